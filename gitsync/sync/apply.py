"""One commit into the cluster: plan, remember, apply in order, wait until it has settled, prune, write down.

Every step can be cut short by a newer commit or a kill and is done again from what is there: the inventory is written
before the first apply, and what was deleted is forgotten only after it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gitsync.api import drop_nulls
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.api.kinds import is_own_kind, is_release
from gitsync.api.names import FIELD_MANAGER, SYNC_LABEL
from gitsync.apply.applier import Applier
from gitsync.apply.crds import await_served
from gitsync.apply.live import LiveReader
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import (
    ApiError,
    NotReadyInTime,
    NotServed,
    ObjectFailed,
    OwnedByAnother,
    Superseded,
    WebhookUnavailable,
)
from gitsync.graph import Edge, Graph
from gitsync.manifests import Desired, DesiredObject
from gitsync.release.dependencies.index import ReleaseIndex, commit_of
from gitsync.sync.default_namespace import placed
from gitsync.sync.history import Result, append
from gitsync.sync.inventory import Entry, Inventory, entry_of
from gitsync.sync.outcome import Outcomes, Settling
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import Step, SyncPlan, mass_prune, staged, to_prune, verdict_of
from gitsync.sync.prune import Pruner
from gitsync.sync.report import Report
from gitsync.sync.store import ALLOW_MASS_PRUNE, SyncStore
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Seconds that a sync waits for its releases to settle before it goes on to prune and says how they stand.
SETTLE_TIMEOUT = 900.0
CONCURRENT_APPLIES = 16


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
    """Syncs commits of one repository. One sync at a time."""

    cluster: Cluster
    index: ReleaseIndex
    owner: Owner
    store: SyncStore
    live: LiveReader
    options: SyncOptions = field(default_factory=SyncOptions)

    def __post_init__(self) -> None:
        self._applier = Applier(self.cluster, FIELD_MANAGER)
        self._pruner = Pruner(self.cluster, self.owner, self.index)
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
        steps = tuple(self._step(item, inventory, live) for item in objects)
        prune_skipped = _unpruned(desired, self.options.prune)
        prune = to_prune(inventory, desired.objects.keys())
        return SyncPlan(
            desired,
            steps,
            staged(steps, release_graph(desired)),
            prune=() if prune_skipped else prune,
            held="" if prune_skipped or self.options.allow_mass_prune else mass_prune(prune, inventory),
            prune_skipped=prune_skipped if prune else "",
        )

    def _step(self, item: DesiredObject, inventory: Inventory, live: Mapping[ObjectKey, Manifest | None]) -> Step:
        if not self._serves(item.key):
            why = f"is not in namespace '{self.cluster.namespace}', the only one that is served (watch_namespace)"
            return Step(item, "out_of_scope", why)
        if item.key in live:
            return verdict_of(item, inventory.get(item.key), live[item.key], self.owner)
        return Step(item, "unchanged")

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
        for step in plan.steps:
            if step.refused:
                error = OwnedByAnother if step.verdict == "foreign" else NotServed
                report.failed(step.key, error(step.why), str(step.desired.origin))
        applied = await self._apply(plan, report, interrupt)
        await self._settle(applied, report, interrupt)
        forgotten = await self._pruner.prune(plan.prune, report, interrupt)
        failed, waiting = report.counts["failed"], report.counts["waiting"]
        result = await self._end(report, desired.commit, "failed" if failed else "succeeded", before=before)
        # Last, so that a commit whose journal was not written is taken for one that is not done yet.
        done = [entry_for(step, desired.commit, before) for step in plan.steps if _is_done(step, applied)]
        inventory = (await self.inventory()).with_entries(done).without(forgotten)
        await self._remember(replace(inventory, commit=desired.commit.id))
        return replace(result, retry=report.retry, failed=failed, waiting=waiting)

    async def _apply(self, plan: SyncPlan, report: Report, interrupt: Interrupt) -> dict[ObjectKey, Manifest]:
        """Apply stage after stage. One object that fails does not stop the others."""
        applied: dict[ObjectKey, Manifest] = {}
        slots = asyncio.Semaphore(CONCURRENT_APPLIES)
        self.index.expect(step.key for stage in plan.stages for step in stage if is_release(step.key))
        try:
            for stage in plan.stages:
                interrupt.check()
                answers = await asyncio.gather(*(self._apply_one(step, report, slots) for step in stage))
                answered = {ObjectKey.of(answer): answer for answer in answers if answer is not None}
                applied |= answered
                crds = {key: answer for key, answer in answered.items() if key.kind == "CustomResourceDefinition"}
                if crds:
                    await self._wait(WaitFor(crds, labels="", timeout=60.0), report, interrupt)
                    await await_served(self.cluster, crds.values())
        finally:
            self.index.expect(())
        return applied

    async def _apply_one(self, step: Step, report: Report, slots: asyncio.Semaphore) -> Manifest | None:
        live = step.live
        origin = str(step.desired.origin)
        commit = _commit_for(step, report.commit)
        manifest = stamped(step.desired.manifest, self.owner, commit, step.desired.origin, _edge_origins(step.desired))
        try:
            async with slots:
                answer = await self._applier.apply(drop_nulls(manifest))
        except (ApiError, NotReadyInTime, WebhookUnavailable) as error:
            report.failed(step.key, error, origin)
            return None
        if live is None and _only_by(FIELD_MANAGER, answer):
            report.done("created", step.key, origin)
        elif live is None:
            report.done("changed", step.key, origin, "adopted: was in the cluster already")
        elif answer["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            report.done("changed", step.key, origin, step.why)
        else:
            report.unchanged(1)
        if is_release(step.key):
            self.index.update(step.key, _without_managed_fields(answer))
        return answer

    async def _settle(self, applied: dict[ObjectKey, Manifest], report: Report, interrupt: Interrupt) -> None:
        """Wait until what was applied is ready, has failed, or waits for something that has."""
        plain = {key: answer for key, answer in applied.items() if not is_release(key)}
        want = WaitFor(plain, f"{SYNC_LABEL}={self.owner.name}", self.options.settle_timeout)
        releases = [key for key in applied if is_release(key)]
        await asyncio.gather(self._wait(want, report, interrupt), self._releases_settled(releases, interrupt))
        outcomes = Outcomes(self.index)
        for key in releases:
            outcome = outcomes.of(key)
            if outcome.phase in ("failed", "waiting", "moving"):
                report.outcome("failed" if outcome.phase == "failed" else "waiting", key, outcome.message)

    async def _releases_settled(self, keys: Sequence[ObjectKey], interrupt: Interrupt) -> None:
        dirty: set[ObjectKey] = set()
        news = asyncio.Event()

        def on_change(key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
            dirty.add(key)
            news.set()

        unsubscribe = self.index.subscribe(on_change)
        interrupted = asyncio.create_task(interrupt.wait())
        try:
            settling = Settling(self.index, keys)
            async with asyncio.timeout(self.options.settle_timeout):
                while settling.open:
                    interrupt.check()
                    changed = asyncio.create_task(news.wait())
                    try:
                        await asyncio.wait({changed, interrupted}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        changed.cancel()
                    news.clear()
                    settling.look(list(dirty))
                    dirty.clear()
        except TimeoutError:
            return
        finally:
            interrupted.cancel()
            unsubscribe()

    async def _wait(self, want: WaitFor, report: Report, interrupt: Interrupt) -> None:
        async def say(reason: str) -> None:
            report.log.info("waiting", **{"for": reason})

        try:
            await wait_ready(self.cluster, replace(want, on_reason=say), interrupt)
        except (NotReadyInTime, ObjectFailed) as error:
            report.counts["failed"] += 1
            report.log.error("not ready", error=error)

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


def _unpruned(desired: Desired, prune: bool) -> str:
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
    """Entries to remember before anything is applied: new objects, with no digest, for they are not there yet."""
    return [
        replace(entry_for(step, commit, before), digest="")
        for step in plan.steps
        if step.applies and before.get(step.key) is None
    ]


def _is_done(step: Step, applied: dict[ObjectKey, Manifest]) -> bool:
    return step.verdict == "unchanged" or step.key in applied


def _commit_for(step: Step, commit: CommitInfo) -> CommitInfo:
    """The commit to stamp: this one, but for an object that merely drifted the one that brought its content."""
    drifted = commit_of(step.live) if step.verdict == "drifted" and step.live is not None else None
    return drifted or commit


def _edge_origins(item: DesiredObject) -> list[Origin]:
    if not is_release(item.key):
        return []
    count = len((item.manifest.get("spec") or {}).get("dependsOn") or ())
    return [item.field_origin(("spec", "dependsOn", number)) for number in range(count)]


def _only_by(manager: str, answer: Manifest) -> bool:
    """Whether nobody else has ever written to an object: the apply that it answers has created it."""
    return all(entry.get("manager") == manager for entry in answer["metadata"].get("managedFields") or ())


def _without_managed_fields(manifest: Manifest) -> Manifest:
    rest = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    return {**manifest, "metadata": rest}
