"""One commit into the cluster: plan, remember, apply in order, wait until it has settled, prune, write down.

Every step can be cut short by a newer commit or a kill and is done again from what is there: the inventory is written
before the first apply, and what was deleted is forgotten only after it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_own_kind
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import COMMIT_ANNOTATION, FIELD_MANAGER, WELL_KNOWN
from gitsync.backoff import Reminders
from gitsync.errors import (
    ApiError,
    GitsyncError,
    NotServed,
    OwnedByAnother,
    Superseded,
)
from gitsync.manifests import Desired
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.fairslots import FairSlots
from gitsync.sources.resolve.artifacts import Artifact, SyncedRepository
from gitsync.sync.outcome import Hopeless
from gitsync.sync.owner import Owner
from gitsync.sync.plan import Step, SyncPlan
from gitsync.sync.planner import Planner
from gitsync.sync.policy import is_left_once_there, left_alone
from gitsync.sync.reporting.report import Failures, Report
from gitsync.sync.reporting.underway import UnderWay
from gitsync.sync.rollout.course import Course
from gitsync.sync.rollout.inherited import report_inherited
from gitsync.sync.rollout.prune import Pruner
from gitsync.sync.rollout.rollout import Rollout
from gitsync.sync.rollout.unanswered import Unanswered, Write
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import ALLOW_MASS_PRUNE
from gitsync.sync.storage.history import JournalEntry, Result, append
from gitsync.sync.storage.inventory import Entry, Inventory, entry_of
from gitsync.sync.storage.store import InventoryStore

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Seconds for requests under way to end when a newer commit is there.
INTERRUPT_GRACE = 0.3
#: Seconds to find out and write down what a sync has done that the end of the agent cuts short.
LAST_WORDS = 3.0
_FLUX_SYSTEM = ObjectKey("", "Namespace", "", WELL_KNOWN)


@dataclass(frozen=True)
class SyncResult:
    """How a sync ended. ``retry``: something failed that may go well without a new commit. ``waiting`` counts the
    objects that wait for others. ``problems`` are the errors of objects that could not be applied or deleted,
    ``unready`` of those that have not become ready; ``left`` are objects that were to be deleted and stay for now, in
    words. ``changed``: it has changed something in the cluster. ``why`` the commit is held, "" if it is not.
    ``emptied``: it has made a Namespace anew that somebody had deleted, and with it objects of this sync."""

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

    The ``planner`` says what is to be done. The ``slots`` for concurrent applies are shared by all syncs of the
    cluster. ``hopeless``, if given, says when waiting for releases is in vain: then the sync ends its wait early.
    """

    planner: Planner
    #: The source of the commits; releases may take their charts from it.
    repository: SyncedRepository
    slots: FairSlots
    hopeless: Hopeless | None = None
    under_way: UnderWay = field(default_factory=UnderWay)

    def __post_init__(self) -> None:
        self._held = ""
        #: The commit that is being tried again, "" for none, and what the log has said of it.
        self._tried = ""
        self._reminders, self._failures = Reminders(), Failures()
        #: Called when all of a commit is applied, and has yet to become ready.
        self.on_applied: Callable[[Desired], None] = lambda _: None
        #: Called when no more requests are to be sent for now: all objects have been applied or refused, or wait.
        self.on_sent: Callable[[], None] = lambda: None
        #: Journal entries of syncs that were cut short, newest first; they have yet to be written.
        self._unwritten: tuple[JournalEntry, ...] = ()
        self._unanswered = Unanswered()
        #: Whether an agent before this one may have begun the commit.
        self._is_first = True

    @property
    def cluster(self) -> Cluster:
        """Where the objects are."""
        return self.planner.cluster

    @property
    def index(self) -> ReleaseIndex:
        """All HelmReleases."""
        return self.planner.index

    @property
    def wanted(self) -> SyncClaims:
        """What this sync wants, and who else wants its objects."""
        return self.planner.wanted

    @property
    def store(self) -> InventoryStore:
        """Where it is remembered what is in the cluster."""
        return self.planner.store

    @property
    def spec(self) -> SyncSpec:
        """What the sync is told to do."""
        return self.planner.spec

    @property
    def owner(self) -> Owner:
        """Whose the objects are."""
        return self.planner.owner

    async def sync(self, desired: Desired, *, full: bool, files: int, interrupt: Interrupt) -> SyncResult:
        """Make the cluster match a commit. ``files`` is how many it changed, for the log.

        Raises: RetryableError when the cluster is away; InventoryError.
        """
        plan = await self.planner.plan(desired, full=full, guess=True)
        desired = plan.desired
        if self._tried != desired.commit.id:
            self._tried, self._reminders, self._failures = desired.commit.id, Reminders(), Failures()
        report = Report(desired.commit, self.spec.context, self._reminders, self._failures)
        # What syncs that were cut short had sent.
        await self._tell(await self._unanswered.carried_out(self.cluster, last=True), report)
        before = await self.planner.inventory()
        if plan.held and not await self.store.confirmed(desired.commit.id):
            return await self._hold(plan, report)
        plan = plan.acting_on(desired.commit)
        self._note_returning(plan, before)
        if self._is_first:
            journal = await self.store.journal()
            await report_inherited(self.cluster, self.spec, plan, before, journal, report)
            self._is_first = False
        try:
            # Before anything is applied: what the commit's HelmReleases want is known only when they have been applied.
            expected = {it.key for it in plan.steps if self.spec.works_on(it.key) and (it.applies or it.refused)}
            with self.index.expecting(expected) as arrived:
                plan = await self._with_others(plan, desired, full=full)
                self._begin(plan, desired, before, files, report)
                report.unchanged(sum(step.verdict == "unchanged" for step in plan.steps))
                for key in expected - {step.key for stage in plan.stages for step in stage}:
                    arrived(key)
                return await self._carry_out(plan, desired, before, report, arrived, interrupt)
        except Superseded as error:
            return await self._cut_short(report, error.message)
        except asyncio.CancelledError:
            with suppress(GitsyncError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    if report.journal:  # the sync has come to its end, and only that may have yet to be written
                        await self.store.save_journal(report.journal)
                    else:
                        await self._cut_short(report, "the agent was told to stop")
            raise
        except GitsyncError:
            self._keep(report, "failed")
            raise

    async def _cut_short(self, report: Report, why: str) -> SyncResult:
        """The sync is given up. Requests under way may have been carried out all the same."""
        try:
            await self._tell(await self._unanswered.carried_out(self.cluster), report)
            return await self._end(report, report.commit, "superseded", why=why)
        except GitsyncError:
            self._keep(report, "superseded")
            raise

    def _keep(self, report: Report, result: Result) -> None:
        """The journal cannot be written now: have it written with that of the next sync."""
        if report.changes and not report.written:
            self._unwritten = append(self._unwritten, report.entry(result))

    async def _tell(self, done: Iterable[tuple[str, Write]], report: Report) -> None:
        """Report what was carried out though its answer never came, each for its own commit."""
        late: dict[str, Report] = {}
        for verb, write in done:
            is_late = write.commit.id != report.commit.id
            of = late.setdefault(write.commit.id, Report(write.commit, self.spec.context)) if is_late else report
            of.done(verb, write.key, write.origin, write.why)
        if late:
            results = {entry.commit: entry.result for entry in await self.store.journal()}
            for commit, of in late.items():
                self._unwritten = append(self._unwritten, of.entry(results.get(commit, "superseded")))

    def _note_returning(self, plan: SyncPlan, before: Inventory) -> None:
        """Note the Kustomizations that an earlier commit has removed and this one brings again: those that are still
        being deleted are deleted by that commit, and not by hand, also if a process before this one began it."""
        for key in filter(self.spec.is_kustomization, plan.wanted):
            if (entry := before.get(key)) is not None and entry.dropped and self.index.ancestry.remover_of(key) is None:
                self.index.ancestry.set_remover(key, CommitInfo(entry.dropped[-1]))

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
        # Entries that an earlier try was to delete already are no news.
        leaving = [entry for entry in plan.prune if entry != before.get(entry.key)]
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
        # It may have been read from a Kustomization's status: to confirm the commit takes its ConfigMap.
        await self.store.save_inventory(await self.planner.inventory())
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
        """The plan, made anew if it has met objects of other syncs: these may let go of them by the very same commit,
        once they know of it."""
        if all(step.verdict != "foreign" for step in plan.steps):
            return plan
        self.claim(plan)
        self._take_up(plan)
        return (await self.planner.plan(desired, full=full, guess=True)).acting_on(desired.commit)

    async def _ensure_flux_system(self, plan: SyncPlan, report: Report) -> None:
        """Makes the namespace ``flux-system``, if objects of our kinds are to come into it and it is not there: a
        repository does not bring it, since `flux bootstrap` or the installation of Flux's operator makes it. It is left
        without an owner: whoever applies it later becomes that."""
        if not any(step.applies and step.key.namespace == WELL_KNOWN and is_own_kind(step.key) for step in plan.steps):
            return
        if _FLUX_SYSTEM in plan.wanted or await self.cluster.find(_FLUX_SYSTEM) is not None:
            return
        manifest: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": WELL_KNOWN}}
        with suppress(ApiError):  # each object that cannot be applied for want of it says so
            await self.cluster.apply(manifest, manager=FIELD_MANAGER)
            why = "objects of this commit are in it, and it did not exist"
            report.log.info("namespace created", namespace=WELL_KNOWN, why=why)

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
        await self.planner.remember(before.with_entries([*_entries(plan, before, desired.commit), *plan.prune]))
        if self.spec.is_root:
            await self._ensure_flux_system(plan, report)
        self.claim(plan)
        self._take_up(plan)
        self._announce(plan, report)
        course = Course(self.cluster, self.index, plan, report, self.spec, self.hopeless, self._unanswered)
        rollout = Rollout(
            course,
            self.owner,
            self.wanted,
            self.repository,
            Pruner(self.cluster, self.spec, self.index, self.wanted, before.commit, plan.unserved, self._unanswered),
            self.slots,
            judge=partial(self.planner.judged, plan, before),
            on_applied=lambda: self.on_applied(desired),
            on_sent=self.on_sent,
        )
        with self.under_way.following(self.spec, report):
            await interrupt.guard(rollout.run(arrived, interrupt), INTERRUPT_GRACE)
        if course.placed:
            plan = plan.placing(course.placed)
            self.claim(plan)
        self.wanted.claims.set_leaving(self.owner.claimant, ())  # releases that are still there stay for now
        self.wanted.claims.set_leaving_syncs(self.owner.claimant, ())
        left = [entry.key for entry in plan.prune if entry.key not in rollout.leaving.forgotten]
        self.wanted.claim("kept", [*left, *plan.unpruned])
        await rollout.leaving.forget_taken()
        failed, waiting = report.counts["failed"], report.counts["waiting"]
        result = await self._end(report, desired.commit, "failed" if failed else "succeeded", before=before)
        # Last, so that a commit whose journal was not written is taken for one that is not done yet.
        done = [entry_for(step, desired.commit, before) for step in plan.steps if _is_done(step, course.applied)]
        inventory = (
            (await self.planner.inventory()).with_entries(done).without([*rollout.leaving.forgotten, *course.placed])
        )
        await self.planner.remember(replace(inventory, commit=desired.commit.id))
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

    def _announce(self, plan: SyncPlan, report: Report) -> None:
        """Have known what is about to be written, and what is refused."""
        for step in plan.steps:
            if step.applies:
                self.wanted.about_to_write(step.key, plan.desired.commit.id)
            if step.refused:
                error = OwnedByAnother if step.verdict == "foreign" else NotServed
                report.failed(step.key, error(step.why), str(step.desired.origin))

    def _take_up(self, plan: SyncPlan) -> None:
        """From here on, the plan's commit is what sources and releases find in the repository."""
        releases = [step for step in plan.steps if self.spec.is_release(step.key)]
        changing = [step.key for step in releases if step.verdict in ("new", "changed")]
        self.index.written(step.desired for step in plan.steps if self.spec.works_on(step.key) and not step.refused)
        self.repository.carry_out(Artifact.of(plan.desired), changing)

    def claim(self, plan: SyncPlan) -> None:
        """From here on, the objects of the plan are what this sync wants: others ask for that before they delete an
        object or take one over."""
        me = self.owner.claimant
        waiting = {step.key for step in plan.steps if step.holder is not None or step.verdict == "foreign"}
        self.wanted.claims.set_left_alone(me, (step.key for step in plan.steps if _is_left_alone(step)))
        self.wanted.claim("let go", waiting)
        self.wanted.claim("commit", (key for key in plan.wanted if key not in waiting))
        self.wanted.claim("kept", [*kept_so_far(plan.prune, plan.desired.commit.id), *plan.unpruned])
        self.wanted.claims.set_leaving(me, self.planner.leaving(plan.prune))
        self.wanted.claims.set_leaving_syncs(me, self.planner.leaving_syncs(plan.prune))
        unread = plan.desired.errors[:1]
        self.wanted.claims.set_brought(me, () if self.spec.cluster else _brought(plan))
        why = "".join(f"{problem.origin} cannot be read: {problem.message}" for problem in unread)
        self.wanted.claims.set_commit(me, plan.desired.commit.id, why, prunes=self.spec.prune)

    async def _end(
        self, report: Report, commit: CommitInfo, result: Result, why: str = "", before: Inventory | None = None
    ) -> SyncResult:
        if result != "failed":
            self._tried = ""  # what is wrong after this is news
        quiet = result == "succeeded" and not report.changes and not report.begun
        # A commit that changes nothing is only in the journal of the sync of the settings: for most other syncs, most
        # commits change nothing.
        is_news = before is None or before.commit != commit.id if self.spec.is_root else False
        if quiet and not is_news and await self._is_told(commit):
            return SyncResult(result)
        await self._journal(report, result, why, quiet)
        return SyncResult(result)

    async def _is_told(self, commit: CommitInfo) -> bool:
        """Whether the journal has all that was done for a commit, without a failure that has been overcome since."""
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
        report.journal = journal
        await self.store.save_journal(journal)
        self._unwritten, report.written = (), True


def _brought(plan: SyncPlan) -> Iterable[HelmRelease | Kustomization]:
    """What a plan brings that wants objects itself: the HelmReleases to apply; and all Kustomizations, since those that
    need no apply have yet to take up the commit."""
    for step in plan.steps:
        model = step.desired.model
        if step.refused:
            continue
        if isinstance(model, Kustomization):
            yield model
        elif isinstance(model, HelmRelease) and step.applies:
            # With the commit stamped: the release is to have the chart of that, though it may still be as before.
            notes = {**model.metadata.annotations, COMMIT_ANNOTATION: plan.desired.commit.id}
            metadata = model.metadata.model_copy(update={"annotations": notes})
            yield model.model_copy(update={"metadata": metadata})


def _is_left_alone(step: Step) -> bool:
    """Whether an object is to be there and is never applied by this sync, whether or not somebody has looked for it."""
    manifest = step.desired.manifest
    is_there = step.verdict == "unchanged" and is_left_once_there(manifest)
    return is_there or bool(left_alone(manifest, step.live))


def kept_so_far(prune: Iterable[Entry], commit: str) -> list[ObjectKey]:
    """The objects that an earlier commit has dropped, and that could not be deleted so far."""
    return [entry.key for entry in prune if any(dropped != commit for dropped in entry.dropped)]


def entry_for(step: Step, commit: CommitInfo, before: Inventory) -> Entry:
    """The inventory's entry of an object that is as this commit wants it."""
    old, digest = before.get(step.key), step.desired.digest
    same = old is not None and (old.digest == digest or (old.begun == digest and step.verdict == "drifted"))
    cause = old.commit if same and old is not None else commit.id
    return entry_of(step.key, step.desired.manifest, step.desired.digest, cause, step.desired.origin)


def _entries(plan: SyncPlan, before: Inventory, commit: CommitInfo) -> list[Entry]:
    """Entries to write before anything is applied. Objects to apply have no digest: until the sync ends it is not known
    what they hold, and a commit that reverts this one halfway has to apply all of them again."""
    entries = (entry_for(step, commit, before) for step in plan.steps if step.applies)
    return [replace(entry, digest="", begun=entry.digest) for entry in entries]


def _entries_after(plan: SyncPlan, before: Inventory, commit: CommitInfo) -> list[Entry]:
    """Entries as they will be if all goes well: if there is no room for them, the sync must not begin."""
    return [entry_for(step, commit, before) for step in plan.steps if step.applies or step.verdict == "unchanged"]


def _is_done(step: Step, applied: dict[ObjectKey, Manifest]) -> bool:
    return step.verdict == "unchanged" or step.key in applied
