"""One commit into the cluster: plan, remember, apply in order, wait until it has settled, prune, write down.

Every step can be cut short by a newer commit or a kill and is done again from what is there: the inventory is written
before the first apply, and what was deleted is forgotten only after it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_own_kind, is_release
from gitsync.apply.claims import Claimant, ObjectClaims
from gitsync.apply.delete import WantedBy, nobody
from gitsync.apply.live import LiveReader
from gitsync.errors import (
    NotServed,
    OwnedByAnother,
    Superseded,
)
from gitsync.graph import Edge, Graph
from gitsync.manifests import Desired, DesiredObject, unread_errors
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sources.artifacts import Artifact, SyncedRepository
from gitsync.sync.default_namespace import placed
from gitsync.sync.history import Result, append
from gitsync.sync.inventory import Entry, Inventory, entry_of
from gitsync.sync.outcome import Hopeless
from gitsync.sync.owner import Owner
from gitsync.sync.plan import Step, SyncPlan, mass_prune, staged, to_prune, verdict_of
from gitsync.sync.prune import Pruner
from gitsync.sync.report import Report
from gitsync.sync.rollout import Rollout
from gitsync.sync.store import ALLOW_MASS_PRUNE, SyncStore
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Seconds that a sync waits for its releases to settle before it goes on to prune and says how they stand.
SETTLE_TIMEOUT = 900.0
CONCURRENT_APPLIES = 16
#: Seconds for requests under way to end when a newer commit is there.
INTERRUPT_GRACE = 0.3


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """``prune``: delete what left Git; ``allow_mass_prune``: also when it is most of what there is;
    ``default_namespace``: where objects go whose manifest names none."""

    prune: bool = True
    allow_mass_prune: bool = False
    default_namespace: str = "default"
    settle_timeout: float = SETTLE_TIMEOUT


@dataclass(frozen=True)
class SyncResult:
    """How a sync ended. ``retry``: something failed that may go well without a new commit."""

    result: Result
    retry: bool = False
    failed: int = 0
    waiting: int = 0


@dataclass
class Syncer:
    """Syncs commits of one source, one at a time; several of these may work side by side on one cluster.

    ``claims`` knows what syncs and releases want, ``wanted_by`` asks it, and releases that have yet to be rendered too;
    both, and the ``slots`` for concurrent applies, are shared by all syncs of a cluster. ``hopeless`` ends the wait for
    releases before its time; who gives it waits for sources as he likes.
    """

    cluster: Cluster
    index: ReleaseIndex
    owner: Owner
    store: SyncStore
    live: LiveReader
    #: What the releases that are applied here take their charts from.
    repository: SyncedRepository
    options: SyncOptions = field(default_factory=SyncOptions)
    claims: ObjectClaims = field(default_factory=ObjectClaims)
    wanted_by: WantedBy = nobody
    hopeless: Hopeless | None = None
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_APPLIES))

    def __post_init__(self) -> None:
        self._inventory: Inventory | None = None
        self._held = ""

    async def inventory(self) -> Inventory:
        """What is known to be in the cluster; read once, then kept here, since nobody else writes it."""
        if self._inventory is None:
            self._inventory = await self.store.inventory()
        return self._inventory

    async def plan(self, desired: Desired, *, full: bool) -> SyncPlan:
        """What would be done for a commit. ``full`` compares every object with the cluster, else only those whose
        content is not the one last applied. Writes nothing."""
        inventory = await self.inventory()
        desired = await placed(desired, self.cluster, self.options.default_namespace)
        objects = desired.objects.values()
        asked = [
            item.key
            for item in objects
            if self._serves(item.key) and (full or is_release(item.key) or not _same(item, inventory.get(item.key)))
        ]
        live = await self.live.read(asked, new={key for key in asked if inventory.get(key) is None})
        prune = to_prune(inventory, desired.objects.keys())
        leaving = {Claimant.of_release(entry.key) for entry in prune if is_release(entry.key)}
        steps = tuple(self._step(item, inventory, live, leaving) for item in objects)
        # What a release has by now is not missing in Git, wherever its file is.
        missing = [entry for entry in prune if not self.claims.claimants(entry.key, but=self.owner.claimant)]
        unread = unread_errors(desired.unread, ((entry.key, entry.origin) for entry in missing))
        desired = replace(desired, errors=(*desired.errors, *unread))
        prune_skipped = _why_not_pruned(desired, self.options.prune)
        return SyncPlan(
            desired,
            steps,
            staged(steps, release_graph(desired)),
            prune=() if prune_skipped else prune,
            stays=prune if prune_skipped else (),
            held="" if prune_skipped or self.options.allow_mass_prune else mass_prune(prune, inventory),
            prune_skipped=prune_skipped if prune else "",
        )

    def _step(
        self,
        item: DesiredObject,
        inventory: Inventory,
        live: Mapping[ObjectKey, Manifest | None],
        leaving: Collection[Claimant],
    ) -> Step:
        if not self._serves(item.key):
            why = f"is not in namespace '{self.cluster.namespace}', the only one that is served (watch_namespace)"
            return Step(item, "out_of_scope", why)
        if item.key not in live:
            return Step(item, "unchanged")
        found = live[item.key]
        step = verdict_of(item, inventory.get(item.key), found, self.owner, partial(self._let_go, item.key))
        if found is None or self.owner.owns(found) or not step.applies:
            return step
        holders = [one for one in self.claims.claimants(item.key) if one.kind == "HelmRelease" and one not in leaving]
        if not holders:
            return step
        return replace(step, holder=holders[0])

    def _let_go(self, key: ObjectKey, other: str) -> bool:
        """Whether another sync of this agent, which an object belongs to, does not want it any more."""
        sync = Claimant("sync", other)
        return self.claims.knows(sync) and sync not in self.claims.claimants(key)

    def _serves(self, key: ObjectKey) -> bool:
        return not is_own_kind(key) or self.cluster.serves(key)

    async def sync(self, desired: Desired, *, full: bool, files: int, interrupt: Interrupt) -> SyncResult:
        """Make the cluster match a commit. ``files`` is how many it changed, for the log.

        Raises: RetryableError when the cluster is away; InventoryError.
        """
        plan = await self.plan(desired, full=full)
        desired = plan.desired
        report = Report(desired.commit)
        before = await self.inventory()
        if plan.held and not await self.store.confirmed(desired.commit.id):
            return await self._hold(plan, report)
        self._begin(plan, desired, before, files, report)
        report.unchanged(sum(step.verdict == "unchanged" for step in plan.steps))
        try:
            return await self._carry_out(plan, desired, before, report, interrupt)
        except Superseded as error:
            return await self._end(report, desired.commit, "superseded", why=error.message)

    def _begin(self, plan: SyncPlan, desired: Desired, before: Inventory, files: int, report: Report) -> None:
        for problem in desired.errors:
            report.counts["failed"] += 1
            hint = {"hint": problem.hint} if problem.hint else {}
            report.log.error("file cannot be used", file=str(problem.origin), error=problem.message, **hint)
        for found in desired.warnings:
            about = {"object": found.key, "file": str(found.origin), "warning": found.message, "hint": found.hint}
            report.log.warning("manifest needs a look", **{name: value for name, value in about.items() if value})
        if plan.prune_skipped:
            report.log.warning("pruning is off for this commit", why=plan.prune_skipped)
        todo = [step for stage in plan.stages for step in stage]
        if todo or plan.prune:
            report.begun = True
            report.log.info(
                "sync started",
                files=files,
                objects=sum(not is_release(step.key) for step in todo),
                releases=sum(is_release(step.key) for step in todo),
                **({"prune": len(plan.prune)} if plan.prune else {}),
            )
        elif desired.commit.id != before.commit and not desired.errors:
            report.log.info("commit changes nothing in the cluster", files=files)

    async def _hold(self, plan: SyncPlan, report: Report) -> SyncResult:
        if self._held == report.commit.id:
            return SyncResult("held", waiting=len(plan.prune))
        self._held = report.commit.id
        key = self.store.inventory_key
        report.log.warning(
            "commit is held until it is confirmed",
            why=plan.held,
            hint="if that is meant, run with --allow-mass-prune or confirm this commit: kubectl -n "
            f"{key.namespace} annotate --overwrite configmap {key.name} {ALLOW_MASS_PRUNE}={report.commit.short}",
        )
        report.counts["waiting"] = len(plan.prune)
        await self._journal(report, "held", quiet=True)
        return SyncResult("held", waiting=len(plan.prune))

    async def _carry_out(
        self, plan: SyncPlan, desired: Desired, before: Inventory, report: Report, interrupt: Interrupt
    ) -> SyncResult:
        await self._remember(before.with_entries(_entries(plan, before, desired.commit)))
        # From here on, this is what Git wants: releases ask before they delete an object, and before they take one.
        self.claims.set(self.owner.claimant, "commit", plan.wanted)
        changing = [step.key for step in plan.steps if is_release(step.key) and step.verdict in ("new", "changed")]
        self.repository.carry_out(Artifact.of(desired), changing)
        for step in plan.steps:
            if step.refused:
                error = OwnedByAnother if step.verdict == "foreign" else NotServed
                report.failed(step.key, error(step.why), str(step.desired.origin))
        rollout = Rollout(
            self.cluster,
            self.index,
            self.owner,
            self.claims,
            self.repository,
            Pruner(self.cluster, self.owner, self.index, self.wanted_by),
            plan,
            report,
            self.slots,
            self.options.settle_timeout,
            self.hopeless,
        )
        await _until_done(rollout.run(interrupt), interrupt)
        failed, waiting = report.counts["failed"], report.counts["waiting"]
        result = await self._end(report, desired.commit, "failed" if failed else "succeeded", before=before)
        # Last, so that a commit whose journal was not written is taken for one that is not done yet.
        done = [entry_for(step, desired.commit, before) for step in plan.steps if _is_done(step, rollout.applied)]
        inventory = (await self.inventory()).with_entries(done).without(rollout.forgotten)
        await self._remember(replace(inventory, commit=desired.commit.id))
        return replace(result, retry=report.retry, failed=failed, waiting=waiting)

    async def _remember(self, inventory: Inventory) -> None:
        await self.store.save_inventory(inventory)
        self._inventory = inventory

    async def _end(
        self, report: Report, commit: CommitInfo, result: Result, why: str = "", before: Inventory | None = None
    ) -> SyncResult:
        quiet = result == "succeeded" and not report.changes and not report.begun
        if quiet and before is not None and before.commit == commit.id:
            return SyncResult(result)
        await self._journal(report, result, why, quiet)
        return SyncResult(result)

    async def _journal(self, report: Report, result: Result, why: str = "", quiet: bool = False) -> None:
        entry = report.entry(result) if quiet else report.finish(result, why)
        await self.store.save_journal(append(await self.store.journal(), entry))


def release_graph(desired: Desired) -> Graph[ObjectKey]:
    """What waits for what among a commit's HelmReleases, each edge with its file and line."""
    edges = []
    for key, release in desired.helm_releases.items():
        item = desired.objects[key]
        edges += [Edge(key, dependency, item.field_origin(path)) for dependency, path in release.dependencies()]
    return Graph(desired.helm_releases, edges)


def _same(item: DesiredObject, entry: Entry | None) -> bool:
    return entry is not None and entry.digest == item.digest


def _why_not_pruned(desired: Desired, prune: bool) -> str:
    if not prune:
        return "--no-prune"
    bad = sorted(desired.bad_paths)
    if bad:
        return f"{listed(bad)} cannot be read, so nobody knows what left Git"
    return ""


def entry_for(step: Step, commit: CommitInfo, before: Inventory) -> Entry:
    """The inventory's entry of an object that is as this commit wants it."""
    old = before.get(step.key)
    same = old is not None and old.digest == step.desired.digest
    cause = old.commit if same and old is not None else commit.id
    return entry_of(step.key, step.desired.manifest, step.desired.digest, cause, step.desired.origin)


def _entries(plan: SyncPlan, before: Inventory, commit: CommitInfo) -> list[Entry]:
    """Entries to remember before anything is applied, with no digest: nobody can say what an object holds between now
    and the end of the sync, and a commit that takes this one back halfway has to apply all of it again."""
    return [replace(entry_for(step, commit, before), digest="") for step in plan.steps if step.applies]


def _is_done(step: Step, applied: dict[ObjectKey, Manifest]) -> bool:
    return step.verdict == "unchanged" or step.key in applied


async def _until_done(work: Coroutine[Any, Any, None], interrupt: Interrupt) -> None:
    """Do the work. When somebody asks for an end, requests under way may end, and waits are given up.

    Raises: Superseded.
    """
    task = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(interrupt.wait())
    try:
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=INTERRUPT_GRACE)
        if task.done():
            return task.result()
    finally:
        for item in (task, asked):
            item.cancel()
        await asyncio.gather(task, asked, return_exceptions=True)
    interrupt.check()
