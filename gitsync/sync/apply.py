"""One commit into the cluster: plan, remember, apply in order, wait until it has settled, prune, write down.

Every step can be cut short by a newer commit or a kill and is done again from what is there: the inventory is written
before the first apply, and what was deleted is forgotten only after it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_own_kind
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import COMMIT_ANNOTATION, KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import find_all
from gitsync.apply.live import LiveReader
from gitsync.apply.ownership import prune_disabled
from gitsync.backoff import Reminders
from gitsync.diff.ignore import tolerating
from gitsync.errors import (
    ApiError,
    GitsyncError,
    NotServed,
    OwnedByAnother,
    Superseded,
)
from gitsync.graph import Edge, Graph
from gitsync.manifests import Desired, DesiredObject, unread_errors
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.wantedobjects import SyncClaims
from gitsync.runtime.fairslots import FairSlots
from gitsync.runtime.slices import in_slices
from gitsync.sources.resolve.artifacts import Artifact, SyncedRepository
from gitsync.sync.default_namespace import with_default_namespace
from gitsync.sync.outcome import Hopeless
from gitsync.sync.owner import Owner
from gitsync.sync.plan import Step, SyncPlan, mass_prune, staged, to_prune, verdict_of
from gitsync.sync.policy import is_left_once_there, left_alone
from gitsync.sync.reporting.report import Failures, Report
from gitsync.sync.reporting.underway import UnderWay
from gitsync.sync.rollout.prune import Pruner
from gitsync.sync.rollout.rollout import Rollout
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import ALLOW_MASS_PRUNE, inventory_key
from gitsync.sync.storage.history import JournalEntry, Result, append
from gitsync.sync.storage.inventory import Entry, Inventory, entry_of
from gitsync.sync.storage.store import InventoryStore
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Seconds for requests under way to end when a newer commit is there.
INTERRUPT_GRACE = 0.3


@dataclass(frozen=True)
class SyncResult:
    """How a sync ended. ``retry``: something failed that may go well without a new commit. ``problems`` are what could
    not be applied or deleted, ``unready`` what has not become ready, ``left`` what was to be deleted and stays
    for now. ``changed``: something in the cluster is another; ``why`` is what a commit is held for. ``emptied``: it has
    made a Namespace anew, and what was in the one that somebody had deleted has gone with that."""

    result: Result
    retry: bool = False
    waiting: int = 0
    problems: tuple[GitsyncError, ...] = ()
    unready: tuple[GitsyncError, ...] = ()
    left: tuple[str, ...] = ()
    changed: bool = False
    why: str = ""
    emptied: bool = False


@dataclass
class Syncer:
    """Syncs commits of one source, one at a time; several of these may work side by side on one cluster.

    ``wanted`` says who else wants an object, releases that have yet to be rendered included. The ``slots`` for
    concurrent applies are made once for a cluster, and shared by its syncs. ``hopeless`` ends the wait for releases
    before its time; who gives it waits for sources as he likes.
    """

    cluster: Cluster
    index: ReleaseIndex
    wanted: SyncClaims
    spec: SyncSpec
    store: InventoryStore
    live: LiveReader
    #: What the releases that are applied here take their charts from.
    repository: SyncedRepository
    slots: FairSlots
    hopeless: Hopeless | None = None
    under_way: UnderWay = field(default_factory=UnderWay)

    def __post_init__(self) -> None:
        self._inventory: Inventory | None = None
        self._held = ""
        #: The commit that is tried again and again, "" for none, and what was said of it.
        self._tried = ""
        self._reminders, self._failures = Reminders(), Failures()
        #: What syncs did that were cut short: it is yet to come into the journal, newest first.
        self._unwritten: tuple[JournalEntry, ...] = ()

    @property
    def owner(self) -> Owner:
        """Whose the objects are."""
        return self.spec.owner

    async def inventory(self) -> Inventory:
        """What is known to be in the cluster; read once, then kept here, since nobody else writes it."""
        if self._inventory is None:
            self._inventory = await self.store.inventory()
        return self._inventory

    async def plan(self, desired: Desired, *, full: bool, guess: bool = False) -> SyncPlan:
        """What would be done for a commit. ``full`` compares every object with the cluster, else only those whose
        content is not the one last applied. ``guess``: an object that nobody has had is taken as not there, without
        asking for it; applying it finds out. Writes nothing."""
        desired = await with_default_namespace(desired, self.cluster, self.spec.default_namespace)
        self._stand_for(self.store.kustomization_of(desired))
        inventory = await self.inventory()
        objects = desired.objects.values()
        asked = [
            item.key
            for item in objects
            if self._serves(item.key)
            and (full or self.spec.is_release(item.key) or not _same(item, inventory.get(item.key)))
        ]
        # What somebody else has is there, though no list of what syncs have applied names it.
        new = {key for key in asked if inventory.get(key) is None and not self.wanted.claimants(key)}
        new -= {item.key for item in objects if is_left_once_there(item.manifest)}
        live = await self.live.read(asked, new=new, labels=self.owner.labels, guess=guess)
        prune = to_prune(inventory, desired.objects.keys())
        news = [entry for entry in prune if not entry.dropped]
        # What a release has by now is not missing in Git, wherever its file is.
        missing = [entry for entry in news if not self.wanted.claimants(entry.key, but=self.owner.claimant)]
        unread = unread_errors(desired.unread, ((entry.key, entry.origin) for entry in missing))
        desired = replace(desired, errors=(*desired.errors, *unread))
        prune_skipped = _why_not_pruned(desired, self.spec.prune)
        leaving = set() if prune_skipped else set(self._leaving(prune))
        to_be = await self._others_to_be(
            {self.owner.other(found) for found in live.values() if found is not None} - {""}
        )
        # Comparing a Deployment takes 0.15 ms: thousands would hold up every release.
        steps = tuple(await in_slices(self._step(item, inventory, live, leaving, to_be) for item in objects))
        return SyncPlan(
            desired,
            steps,
            staged(steps, release_graph(desired)),
            prune=() if prune_skipped else prune,
            stays=prune if prune_skipped else (),
            held="" if prune_skipped or self.spec.allow_mass_prune else mass_prune(news, inventory),
            prune_skipped=prune_skipped if prune else "",
        )

    def _stand_for(self, kustomization: ObjectKey | None) -> None:
        """From here on what this Kustomization has, or had as Flux's, is the sync's."""
        if kustomization == self.owner.kustomization:
            return
        self.spec = replace(self.spec, owner=replace(self.owner, kustomization=kustomization))
        self._inventory = None
        if kustomization is not None and (it := kustomization.namespaced_name) != self.owner.full_name:
            self.wanted.claims.forget(Claimant("sync", it))

    def _step(
        self,
        item: DesiredObject,
        inventory: Inventory,
        live: Mapping[ObjectKey, Manifest | None],
        leaving: Collection[Claimant],
        to_be: Mapping[Claimant, frozenset[ObjectKey]],
    ) -> Step:
        if not self._serves(item.key):
            why = f"is not in namespace '{self.cluster.namespace}', the only one that is served (watch_namespace)"
            return Step(item, "out_of_scope", why)
        if item.key not in live:
            return Step(item, "unchanged")
        found = live[item.key]
        left = tolerating(item.manifest, found, self.spec.ignore) if found is not None else item.manifest
        if left is found:
            return Step(item, "unchanged", "all of it is left to others by spec.ignore", found)
        let_go = partial(self._let_go, item.key, to_be)
        step = verdict_of(replace(item, manifest=left), inventory.get(item.key), found, self.owner, let_go)
        step = replace(
            step, desired=item, why=self._unread(found) or step.why if step.verdict == "foreign" else step.why
        )
        if found is None or self.owner.owns(found) or not step.applies:
            return step
        claimants = self.wanted.claimants(item.key, for_good=True)
        holders = [one for one in claimants if one.kind == "HelmRelease" and one not in leaving]
        if not holders:
            return step
        return replace(step, holder=holders[0])

    async def _judged(self, plan: SyncPlan, before: Inventory, item: DesiredObject) -> Step:
        """What is to be done about an object that is there, though the plan knows of none."""
        live = await self.live.read([item.key])
        other = self.owner.other(found) if (found := live[item.key]) is not None else ""
        to_be = await self._others_to_be({other} - {""})
        return self._step(item, before, live, set(self._leaving(plan.prune)), to_be)

    def _unread(self, live: Manifest | None) -> str:
        """Why another sync, which has an object, may go on wanting it: its commit cannot be read in whole."""
        other = self.owner.other(live) if live is not None else ""
        _, why = self.wanted.claims.unread.get(Claimant("sync", other), ("", ""))
        return f"belongs to sync {other!r}, which may go on wanting it: {why}" if why else ""

    async def _others_to_be(self, others: Collection[str]) -> dict[Claimant, frozenset[ObjectKey]]:
        """What these syncs, which have objects that are asked about, will want: as far as they are on their way, or are
        no more. One that is gone may have left what it had on purpose."""
        if not others:
            return {}
        found = await self.wanted.to_be()
        for other in others:
            sync = Claimant("sync", other)
            if sync not in found and not self.wanted.claims.knows(sync) and await self._is_gone(other):
                found[sync] = frozenset()
        return found

    async def _is_gone(self, other: str) -> bool:
        """Whether a sync is neither a Kustomization that is there nor another agent's, which has an inventory."""
        namespace, _, name = other.rpartition("/")
        if not namespace or self.spec.cluster:
            return False  # as gitsync 0.1 wrote it, which knew no Kustomizations; or another cluster's agent did
        kustomization = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, namespace, name)
        try:
            return not await find_all(self.cluster, [kustomization, inventory_key(namespace, name)])
        except ApiError:
            return False  # who may not look cannot say so

    def _let_go(self, key: ObjectKey, to_be: Mapping[Claimant, frozenset[ObjectKey]], other: str) -> bool:
        """Whether another sync of this agent, which an object belongs to, does not want it any more; or will not, once
        it has taken up its commit (``to_be``)."""
        sync = Claimant("sync", other)
        if (wanted := to_be.get(sync)) is not None:
            return key not in wanted
        return self.wanted.claims.knows(sync) and sync not in self.wanted.claimants(key)

    def _serves(self, key: ObjectKey) -> bool:
        return bool(self.spec.cluster) or not is_own_kind(key) or self.cluster.serves(key)

    async def sync(self, desired: Desired, *, full: bool, files: int, interrupt: Interrupt) -> SyncResult:
        """Make the cluster match a commit. ``files`` is how many it changed, for the log.

        Raises: RetryableError when the cluster is away; InventoryError.
        """
        plan = await self.plan(desired, full=full, guess=True)
        desired = plan.desired
        if self._tried != desired.commit.id:
            self._tried, self._reminders, self._failures = desired.commit.id, Reminders(), Failures()
        report = Report(desired.commit, self.spec.context, self._reminders, self._failures)
        before = await self.inventory()
        if plan.held and not await self.store.confirmed(desired.commit.id):
            return await self._hold(plan, report)
        plan = plan.acting_on(desired.commit)
        self._note_returning(plan, before)
        try:
            # From before anybody takes up the commit: what its HelmReleases want is known when they have been applied.
            expected = {it.key for it in plan.steps if self.spec.works_on(it.key) and (it.applies or it.refused)}
            with self.index.expecting(expected) as arrived:
                plan = await self._with_others(plan, desired, full=full)
                self._begin(plan, desired, before, files, report)
                report.unchanged(sum(step.verdict == "unchanged" for step in plan.steps))
                for key in expected - {step.key for stage in plan.stages for step in stage}:
                    arrived(key)
                return await self._carry_out(plan, desired, before, report, arrived, interrupt)
        except Superseded as error:
            return await self._end(report, desired.commit, "superseded", why=error.message)
        except GitsyncError:
            if report.changes:
                self._unwritten = append(self._unwritten, report.entry("failed"))
            raise

    def _note_returning(self, plan: SyncPlan, before: Inventory) -> None:
        """Kustomizations that a commit has removed and this one brings again: those that are still being deleted are so
        by that commit, and not by hand, also when another process deleted them."""
        for key in filter(self.spec.is_kustomization, plan.wanted):
            if (entry := before.get(key)) is not None and entry.dropped and self.index.remover_of(key) is None:
                self.index.set_remover(key, CommitInfo(entry.dropped[-1]))

    def _begin(self, plan: SyncPlan, desired: Desired, before: Inventory, files: int, report: Report) -> None:
        for problem in desired.errors:
            report.counts["failed"] += 1
            hint = {"hint": problem.hint} if problem.hint else {}
            report.repeated("error", "file cannot be used", file=str(problem.origin), error=problem.message, **hint)
        for found in desired.warnings:
            about = {"object": found.key, "file": str(found.origin), "warning": found.message, "hint": found.hint}
            report.repeated(
                "warning", "manifest needs a look", **{name: value for name, value in about.items() if value}
            )
        if plan.prune_skipped and (self.spec.is_root or self.spec.prune):
            report.repeated("warning", "pruning is off for this commit", why=plan.prune_skipped)
        todo = [step for stage in plan.stages for step in stage]
        leaving = [
            entry for entry in plan.prune if entry != before.get(entry.key)
        ]  # what a retry asks again is no news
        if todo or leaving:
            report.begun = True
            report.repeated(
                "info",
                "sync started",
                files=files,
                objects=sum(not self.spec.is_release(step.key) for step in todo),
                releases=sum(self.spec.is_release(step.key) for step in todo),
                **({"prune": len(leaving)} if leaving else {}),
            )
        elif desired.commit.id != before.commit and not desired.errors:
            say = report.log.info if self.spec.is_root else report.log.debug  # one of many syncs has no news with most
            if below := sum(isinstance(step.desired.model, Kustomization) for step in plan.steps):
                say("commit is for its Kustomizations to take up", files=files, kustomizations=below)
            else:
                say("commit changes nothing in the cluster", files=files)

    async def _hold(self, plan: SyncPlan, report: Report) -> SyncResult:
        if self._held == report.commit.id:
            return SyncResult("held", waiting=len(plan.prune), why=plan.held)
        self._held = report.commit.id
        # It may have been read from elsewhere, and who confirms needs its object.
        await self.store.save_inventory(await self.inventory())
        key = self.store.inventory_key
        report.log.warning(
            "commit is held until it is confirmed",
            why=plan.held,
            hint="if that is meant, run with --allow-mass-prune or confirm this commit: kubectl -n "
            f"{key.namespace} annotate --overwrite configmap {key.name} {ALLOW_MASS_PRUNE}={report.commit.short}",
        )
        report.counts["waiting"] = len(plan.prune)
        for entry in plan.prune:
            report.would_delete(entry.key, entry.origin)
        await self._journal(report, "held", plan.held, quiet=True)
        return SyncResult("held", waiting=len(plan.prune), why=plan.held)

    async def _with_others(self, plan: SyncPlan, desired: Desired, *, full: bool) -> SyncPlan:
        """The plan anew when it comes upon objects of others: these may be about to let go of them by the very same
        commit, which they take up when it is carried out."""
        if all(step.verdict != "foreign" for step in plan.steps):
            return plan
        self.claim(plan)
        self._take_up(plan)
        return (await self.plan(desired, full=full, guess=True)).acting_on(desired.commit)

    async def _carry_out(
        self,
        plan: SyncPlan,
        desired: Desired,
        before: Inventory,
        report: Report,
        arrived: Callable[[ObjectKey], None],
        interrupt: Interrupt,
    ) -> SyncResult:
        await self.store.check_size(before.with_entries([*_entries_after(plan, before, desired.commit), *plan.prune]))
        await self._remember(before.with_entries([*_entries(plan, before, desired.commit), *plan.prune]))
        self.claim(plan)
        self._take_up(plan)
        for step in plan.steps:
            if step.applies:
                self.wanted.about_to_write(step.key, desired.commit.id)
            if step.refused:
                error = OwnedByAnother if step.verdict == "foreign" else NotServed
                report.failed(step.key, error(step.why), str(step.desired.origin))
        rollout = Rollout(
            self.cluster,
            self.index,
            self.owner,
            self.wanted,
            self.repository,
            Pruner(self.cluster, self.spec, self.index, self.wanted, before.commit, plan.unserved),
            plan,
            report,
            self.slots,
            self.spec,
            partial(self._judged, plan, before),
            self.hopeless,
        )
        with self.under_way.following(self.spec, report):
            await interrupt.guard(rollout.run(arrived, interrupt), INTERRUPT_GRACE)
        if rollout.placed:
            plan = plan.placing(rollout.placed)
            self.claim(plan)
        self.wanted.claims.set_leaving(self.owner.claimant, ())  # those that are still there stay
        self.wanted.claims.set_leaving_syncs(self.owner.claimant, ())
        left = [entry.key for entry in plan.prune if entry.key not in rollout.leaving.forgotten]
        self.wanted.claim("kept", [*left, *plan.unpruned])
        failed, waiting = report.counts["failed"], report.counts["waiting"]
        result = await self._end(report, desired.commit, "failed" if failed else "succeeded", before=before)
        # Last, so that a commit whose journal was not written is taken for one that is not done yet.
        done = [entry_for(step, desired.commit, before) for step in plan.steps if _is_done(step, rollout.applied)]
        inventory = (await self.inventory()).with_entries(done).without([*rollout.leaving.forgotten, *rollout.placed])
        await self._remember(replace(inventory, commit=desired.commit.id))
        return replace(
            result,
            retry=report.retry,
            waiting=waiting,
            problems=tuple(report.problems),
            unready=tuple(report.unready),
            left=tuple(report.left),
            changed=bool(report.changes),
            emptied=rollout.emptied,
        )

    def _take_up(self, plan: SyncPlan) -> None:
        """From here on the plan's commit is what the repository has."""
        releases = [step for step in plan.steps if self.spec.is_release(step.key)]
        changing = [step.key for step in releases if step.verdict in ("new", "changed")]
        self.index.written(step.desired for step in plan.steps if self.spec.works_on(step.key) and not step.refused)
        self.repository.carry_out(Artifact.of(plan.desired), changing)

    def claim(self, plan: SyncPlan) -> None:
        """From here on, a plan's commit is what Git wants: releases ask before they delete an object, and before they
        take one."""
        me = self.owner.claimant
        waiting = {step.key for step in plan.steps if step.holder is not None or step.verdict == "foreign"}
        self.wanted.claims.set_left_alone(me, (step.key for step in plan.steps if _is_left_alone(step)))
        self.wanted.claim("let go", waiting)
        self.wanted.claim("commit", (key for key in plan.wanted if key not in waiting))
        self.wanted.claim("kept", [*kept_so_far(plan.prune, plan.desired.commit.id), *plan.unpruned])
        self.wanted.claims.set_leaving(me, self._leaving(plan.prune))
        self.wanted.claims.set_leaving_syncs(me, self._leaving_syncs(plan.prune))
        unread = plan.desired.errors[:1]
        self.wanted.claims.set_brought(me, () if self.spec.cluster else _brought(plan))
        why = "".join(f"{problem.origin} cannot be read: {problem.message}" for problem in unread)
        self.wanted.claims.set_commit(me, plan.desired.commit.id, why, prunes=self.spec.prune)

    def _leaving(self, prune: Iterable[Entry]) -> Iterable[Claimant]:
        """The releases that are removed with these entries: others may have what they hold at once."""
        for entry in prune:
            live = self.index.manifest(entry.key) if self.spec.is_release(entry.key) else None
            if self._goes(live):
                yield Claimant.of_release(entry.key)

    def _leaving_syncs(self, prune: Iterable[Entry]) -> Iterable[Claimant]:
        """Those of the Kustomizations that are removed with these entries: they take up no commit any more."""
        for entry in prune:
            if self.spec.is_kustomization(entry.key) and self._goes(self.index.others.manifest(entry.key)):
                yield Claimant("sync", entry.key.namespaced_name)

    def _goes(self, live: Manifest | None) -> bool:
        return live is not None and self.owner.has(live) and not prune_disabled(live)

    async def _remember(self, inventory: Inventory) -> None:
        await self.store.save_inventory(inventory)
        self._inventory = inventory

    async def _end(
        self, report: Report, commit: CommitInfo, result: Result, why: str = "", before: Inventory | None = None
    ) -> SyncResult:
        if result != "failed":
            self._tried = ""  # what is wrong after this is news
        quiet = result == "succeeded" and not report.changes and not report.begun
        # That a commit changes nothing is told once, by the sync of the settings: most change nothing for most others.
        is_news = before is None or before.commit != commit.id if self.spec.is_root else False
        if quiet and not is_news and await self._is_told(commit):
            return SyncResult(result)
        await self._journal(report, result, why, quiet)
        return SyncResult(result)

    async def _is_told(self, commit: CommitInfo) -> bool:
        """Whether the journal has all that was done for a commit, and no failure that has been made good since."""
        newest = next(iter(await self.store.journal()), None)
        is_made_good = newest is not None and newest.commit == commit.id and newest.has_failed
        # A commit that was taken back, as by a forced push, is held no more.
        is_let_go = newest is not None and newest.result == "held"
        return not self._unwritten and not is_made_good and not is_let_go

    async def _journal(self, report: Report, result: Result, why: str = "", quiet: bool = False) -> None:
        entry = report.entry(result, why) if quiet else report.finish(result, why)
        journal = await self.store.journal()
        for new in (*reversed(self._unwritten), entry):
            journal = append(journal, new)
        await self.store.save_journal(journal)
        self._unwritten = ()


def _brought(plan: SyncPlan) -> Iterable[HelmRelease | Kustomization]:
    """What a plan has to apply that wants objects itself; Kustomizations, of which it is heard later that they are as
    they should be, also where nothing is to be done."""
    for step in plan.steps:
        model = step.desired.model
        if step.refused:
            continue
        if isinstance(model, Kustomization):
            yield model
        elif isinstance(model, HelmRelease) and step.applies:
            # By its commit, whose chart it is to have, though the release may be there still as it was before.
            notes = {**model.metadata.annotations, COMMIT_ANNOTATION: plan.desired.commit.id}
            metadata = model.metadata.model_copy(update={"annotations": notes})
            yield model.model_copy(update={"metadata": metadata})


def _is_left_alone(step: Step) -> bool:
    """Whether an object is wanted to be there, and is not applied, also when nobody has looked for it."""
    manifest = step.desired.manifest
    is_there = step.verdict == "unchanged" and is_left_once_there(manifest)
    return is_there or bool(left_alone(manifest, step.live))


def kept_so_far(prune: Iterable[Entry], commit: str) -> list[ObjectKey]:
    """What a commit before this one has dropped, and nobody could delete."""
    return [entry.key for entry in prune if any(dropped != commit for dropped in entry.dropped)]


def release_graph(desired: Desired) -> Graph[ObjectKey]:
    """What waits for what among a commit's HelmReleases, each edge with its file and line."""
    edges = []
    for key, release in desired.helm_releases.items():
        item = desired.objects[key]
        edges += [Edge(key, dependency, item.field_origin(path)) for dependency, path in release.dependencies()]
    return Graph(desired.helm_releases, edges)


def _same(item: DesiredObject, entry: Entry | None) -> bool:
    return entry is not None and not entry.dropped and entry.digest == item.digest


def _why_not_pruned(desired: Desired, prune: bool) -> str:
    if not prune:
        return "--no-prune"
    bad = sorted(desired.bad_paths)
    if bad:
        return f"{listed(bad)} cannot be read, so nobody knows what left Git"
    return ""


def entry_for(step: Step, commit: CommitInfo, before: Inventory) -> Entry:
    """The inventory's entry of an object that is as this commit wants it."""
    old, digest = before.get(step.key), step.desired.digest
    same = old is not None and (old.digest == digest or (old.begun == digest and step.verdict == "drifted"))
    cause = old.commit if same and old is not None else commit.id
    return entry_of(step.key, step.desired.manifest, step.desired.digest, cause, step.desired.origin)


def _entries(plan: SyncPlan, before: Inventory, commit: CommitInfo) -> list[Entry]:
    """Entries to remember before anything is applied, with no digest: nobody can say what an object holds between now
    and the end of the sync, and a commit that takes this one back halfway has to apply all of it again."""
    entries = (entry_for(step, commit, before) for step in plan.steps if step.applies)
    return [replace(entry, digest="", begun=entry.digest) for entry in entries]


def _entries_after(plan: SyncPlan, before: Inventory, commit: CommitInfo) -> list[Entry]:
    """Entries at the end, when all has gone well. What there is no room for then is not to be begun now."""
    return [entry_for(step, commit, before) for step in plan.steps if step.applies or step.verdict == "unchanged"]


def _is_done(step: Step, applied: dict[ObjectKey, Manifest]) -> bool:
    return step.verdict == "unchanged" or step.key in applied
