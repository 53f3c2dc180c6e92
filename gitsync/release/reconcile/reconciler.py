"""One pass over one HelmRelease: gather facts, decide, act, write the status.
 A pass is level-triggered: it looks at the present state, whatever woke it, and a pass with nothing to do writes
nothing. It raises for defects only; an error becomes a status, a log line, and a time for the next pass.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitsync.api.conditions import Said, held_for
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import (
    FALSE,
    INSTALL_FAILED,
    INVALID,
    KIND_NOT_SERVED,
    READY,
    RECONCILIATION_FAILED,
    RELEASED,
    SOURCE_NOT_READY,
    UNINSTALL_FAILED,
    UPGRADE_FAILED,
)
from gitsync.backoff import Backoff
from gitsync.cel.expressions import Expressions
from gitsync.errors import (
    ArtifactPending,
    ChartError,
    ChartRepositoryUnavailable,
    FieldErrors,
    GitsyncError,
    KindUnknown,
    MissingRight,
    NotFound,
    ObjectTaken,
    ReleaseNotAllowed,
    RetryableError,
    Superseded,
    UninstallFailed,
)
from gitsync.logs import Once, keep_secret, keeping_secrets
from gitsync.release.clusters import TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import is_current
from gitsync.release.desired import DesiredRelease
from gitsync.release.drift.correct import Drift
from gitsync.release.impliedcharts import ImpliedCharts
from gitsync.release.reconcile.adopt import adopt, note_revision
from gitsync.release.reconcile.decide import Decision, NextAction
from gitsync.release.reconcile.drifting import look_for_drift
from gitsync.release.reconcile.engine import Engines
from gitsync.release.reconcile.facts import Facts
from gitsync.release.reconcile.finalize import Finalizer, say_given_up
from gitsync.release.reconcile.foreign import ForeignChanges
from gitsync.release.reconcile.gather import FactFinder, Lookups, facts_of_spec
from gitsync.release.reconcile.request import ReconcileRequest, Subject
from gitsync.release.reconcile.runner import run_action
from gitsync.release.reconcile.uninstall import delete_leftovers, uninstall_replaced
from gitsync.release.reconcile.waiting import Waiting
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.release.render import Renderer
from gitsync.release.revision import release_fields
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.unsupported import without_effect
from gitsync.release.values.references import References
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.runtime.progress import reporting
from gitsync.runtime.recorder import EventRecorder
from gitsync.sources.charts.chart import ChartArtifact, ChartSource

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Seconds between two looks at somebody else's action.
LOOK_AGAIN = 15.0
#: Seconds until the next pass over a release whose chart is missing, while a commit may be about to change it.
TO_BE_CHANGED = 2.0
_FAILED = {"install": INSTALL_FAILED, "upgrade": UPGRADE_FAILED}


@dataclass
class Reconciler:
    """Does the passes. ``wake`` asks for another pass of a release (a dependent, or itself); ``clock`` gives seconds
    since the epoch."""

    cluster: Cluster
    index: ReleaseIndex
    clusters: TargetClusters
    charts: ChartSource
    references: References
    events: EventRecorder
    expressions: Expressions
    renderer: Renderer
    drift: Drift
    wanted: WantedObjects
    wake: Callable[[ObjectKey], None]
    clock: Callable[[], float] = time.time
    implied: ImpliedCharts | None = None

    def __post_init__(self) -> None:
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._once = Once()
        self._writer = StatusWriter(self.cluster, self.index, self.events)
        self._waiting = Waiting(self.index, self._writer, self.expressions, self._once)
        self._foreign = ForeignChanges(self._writer, self._once)
        self._engines = Engines(self.renderer, self._writer, self.expressions, self.wanted)
        self._finalizer = Finalizer(
            self.clusters, self.index, self._engines, self._waiting.waiters, self._once, self.implied
        )
        self._lookups = Lookups(self.clusters.of, self._chart, self._values, self._waiting.dependencies_ready)

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """One pass. Returns seconds until the next one, None to wait until woken."""
        manifest = self.index.manifest(key)
        if manifest is None:
            await self._forget(key)
            return None
        subject = Subject.of(manifest, self.index.ancestry.commit_of(key))
        try:
            release = self.index.get(key)
        except FieldErrors as error:
            return await self._guarded(subject, self._say_invalid(subject, error))
        if release is None:
            return None
        request = ReconcileRequest(manifest, subject.commit, subject.log, release, self.clusters.at(key), interrupt)
        again: float | None = None
        try:
            with keeping_secrets(), self.index.looking(key):
                keep_secret(self.references.secrets(key))
                again = await self._guarded(request, self._pass(request))
        finally:
            if again != 0.0:
                self.index.set_at_work(key, at_work=False)
        return again

    def changed(self, key: ObjectKey) -> None:
        """A HelmRelease is new, has changed or is gone: wake those that wait for it."""
        for waiting in self._waiting.waiters.waiting_for(key):
            self.wake(waiting)

    def touched(self, key: ObjectKey) -> None:
        """A HelmRelease has changed in any way: wake those whose readyExprs are about it."""
        for waiting in self._waiting.waiters.watching(key):
            self.wake(waiting)

    async def _guarded(self, subject: Subject, work: Awaitable[float | None]) -> float | None:
        """Do the work of a pass. Waits before an action begins are reported; errors are reported, and end in another
        pass later."""

        async def say(reason: str) -> None:
            subject.log.info("waiting", **{"for": reason})

        try:
            with reporting(say):
                again = await work
        except NotFound as error:
            if error.key == subject.key:
                return None  # the HelmRelease itself is gone; its deletion wakes this queue
            return await self._retry(subject, error)
        except Superseded as error:
            subject.log.info("release interrupted", why=error.message)
            return 0.0
        except ArtifactPending as error:
            return await self._wait_for_commit(subject, error)
        except GitsyncError as error:
            return await self._retry(subject, error)
        self._backoff.reset(subject.key)
        return again

    async def _wait_for_commit(self, subject: Subject, error: ArtifactPending) -> float | None:
        """The artifact comes with a commit that is under way: mostly at once. If it takes longer, the sync logs why,
        and not each of its releases."""
        if error.retry_after is None and not is_current(subject.manifest):
            await self._writer.write(subject, subject.status.retrying(SOURCE_NOT_READY, error.told))
        return error.retry_after

    async def _say_invalid(self, subject: Subject, error: FieldErrors) -> None:
        status = subject.status.stalled(INVALID, error.message)
        await self._waiting.say(subject, status, "release is invalid", error)

    async def _pass(self, request: ReconcileRequest) -> float | None:
        release = request.release
        if release.metadata.deletion_timestamp:
            again = await self._finalizer.finalize(request)
            now = self.index.manifest(request.key)
            if now is None or now["metadata"].get("uid") != request.release.metadata.uid:
                await self._forget(request.key)
            return again
        self._say_suspension(request)
        if not release.spec.suspend:
            await self._finalizer.add(request)
        facts = await facts_of_spec(release, self.index, self.clusters.rules, self.expressions)
        self._warn_of_fields(request, facts)
        finder = FactFinder(release, request.status, self._lookups, self.renderer, self.index.owners, self.clock)
        try:
            # Gathering facts may be cut short: a chart's server may not answer, a template may not end.
            finder.objects_taken = await request.interrupt.guard(self.wanted.objects_taken(release))
            facts, decision = await request.interrupt.guard(finder.decision(facts))
        except Superseded as error:
            request.log.debug("release is looked at anew", why=error.message)
            return 0.0
        if finder.target is not None:
            request.changed_cluster = finder.target is not request.target
            request.target = finder.target
        await self._foreign.look(request, facts, finder.compared)
        try:
            return await self._act(request, finder, decision)
        except ObjectTaken as error:
            return await self._waiting.block(request, error)
        except ChartError as error:  # ValuesError and RenderError among them
            return await self._waiting.refuse(request, error)

    async def _act(self, request: ReconcileRequest, finder: FactFinder, decision: Decision) -> float | None:
        """Carry out the decision. Returns seconds until the next pass, None for when woken."""
        match decision.action:
            case NextAction.SUSPEND:
                await self._foreign.look_at_suspended(request)
                await self._writer.write(request, request.status.suspended())
                return None
            case NextAction.BLOCK:
                return await self._waiting.block(request, decision.error)
            case NextAction.REFUSE if decision.error is not None:
                return await self._waiting.refuse(request, decision.error)
        desired = finder.desired
        if desired is None:
            raise ValueError(f"{decision.action} was decided of a release of which it is not known what it is to be")
        self._waiting.unblock(request, silent=decision.action is NextAction.NOTHING)
        engine = self._engines(request.target)
        if finder.given_up_to is not None:
            say_given_up(self._once, request, finder.given_up_to)
        if decision.uninstall_first is not None:
            await self.wanted.objects_of(request.release)  # nothing is uninstalled for what cannot be rendered
            await uninstall_replaced(engine, request, desired, decision.uninstall_first)
        match decision.action:
            case NextAction.NOTHING:
                await self._in_sync(request, desired)
                if self.index.is_leaving(request.key):
                    return None  # others have taken objects of it, which is no drift
                if self.wanted.leftovers_may_go(request.key):
                    await delete_leftovers(engine, request, desired.ref)
                return await look_for_drift(self.drift, self._writer, request)
            case NextAction.ADOPT if finder.compared is not None:
                await adopt(engine, request, desired, finder.compared)
                return 0.0
            case NextAction.WAIT:
                return await self._wait_for_other(request, desired)
        self.index.set_at_work(request.key, at_work=True)
        return await run_action(engine, request, desired, decision.action)

    def _say_suspension(self, request: ReconcileRequest) -> None:
        """Log each change of ``spec.suspend`` once."""
        topic = "suspend"
        if request.release.spec.suspend:
            if self._once(request.key, request.log, "release is suspended", topic=topic):
                self._once.over(request.key)  # once it is resumed, waits are logged again
        elif self._once.over(request.key, topic):
            request.log.info("release is resumed")

    async def _in_sync(self, request: ReconcileRequest, desired: DesiredRelease) -> None:
        before = request.status.condition(READY)
        await self._write_in_sync(request, desired)
        if before is not None and before.status == FALSE:  # else a success without an action is not logged
            lasted = held_for(before, datetime.fromtimestamp(self.clock(), UTC))
            request.log.info("release is ready again", **({} if lasted is None else {"after": f"{lasted:.0f}s"}))

    async def _write_in_sync(self, request: ReconcileRequest, desired: DesiredRelease) -> None:
        newest = request.target.records.latest(desired.ref.storage, desired.ref.name)
        if newest is None:
            raise RetryableError(f"release {desired.ref} has gone meanwhile")
        if request.status.last_revision != newest.version or not request.status.is_deployed:
            await note_revision(self._engines(request.target), request, desired)
            return
        action = "install" if newest.version == 1 else request.status.last_action
        chart = f"{desired.chart.name}@{desired.chart.version}"
        message = f"Helm {action} succeeded for release {desired.ref}.v{newest.version} with chart {chart}"
        await self._writer.write(request, request.status.in_sync(f"{action.capitalize()}Succeeded", message))

    async def _wait_for_other(self, request: ReconcileRequest, desired: DesiredRelease) -> float:
        """Somebody else's action is under way, or was interrupted."""
        self._once(
            request.key, request.log, "another operation is in progress", **release_fields(request.key, desired.ref)
        )
        if not is_current(request.manifest):  # a release that is Ready stays so while somebody works on it by hand
            message = f"another operation is in progress on {desired.ref}"
            await self._writer.write(request, request.status.progressing(message))
        return LOOK_AGAIN

    def _warn_of_fields(self, request: ReconcileRequest, facts: Facts) -> None:
        fields = without_effect(request.release) if facts.hindrance is None and not facts.suspended else ()
        if fields:
            event, listed = "fields without effect yet", ", ".join(fields)
            self._once(request.key, request.log, event, topic="fields", level="warning", fields=listed)

    async def _retry(self, subject: Subject, error: GitsyncError) -> float:
        """An error that spends no retry, since it is the environment's: try again later, and report it once."""
        asked = error.retry_after if isinstance(error, RetryableError) and error.retry_after else 0.0
        delay = max(self._backoff.next(subject.key), asked)
        uninstall = "deletionTimestamp" in subject.manifest["metadata"] or isinstance(error, UninstallFailed)
        event = "uninstall failed, will be tried again" if uninstall else "release will be tried again"
        self._once(subject.key, subject.log, event, error=error.message, level="warning", hint=error.hint)
        if is_current(subject.manifest):
            return delay  # it stays Ready: an error of the environment does not change that
        unserved = next((cause for cause in (error, error.__cause__) if isinstance(cause, KindUnknown)), None)
        self.index.set_unserved(subject.key, unserved)
        reason = KIND_NOT_SERVED if unserved is not None else RECONCILIATION_FAILED
        reason = SOURCE_NOT_READY if isinstance(error, ChartRepositoryUnavailable) else reason
        reason = UNINSTALL_FAILED if uninstall else reason
        try:
            await self._writer.write(
                subject, subject.status.retrying(reason, error.told, *_outcome(error, reason, subject.status))
            )
        except GitsyncError as further:
            subject.log.debug("status could not be written", error=further.message)
        return delay

    async def _chart(self, release: HelmRelease) -> ChartArtifact:
        """The chart. Raises: ChartError; ArtifactPending instead while a commit that may change the release is under
        way."""
        try:
            return await self.charts.locate(release)
        except ChartError as error:
            if not (why := self.wanted.to_be_changed(release.key)):
                raise
            raise ArtifactPending(f"{error.message}; {why}", retry_after=TO_BE_CHANGED) from error

    async def _values(self, release: HelmRelease) -> tuple[dict[str, Any], frozenset[str]]:
        values = await self.references.values(release)
        secrets = self.references.secrets(release.key)
        keep_secret(secrets)
        return values, secrets

    async def _forget(self, key: ObjectKey) -> None:
        await self.references.forget(key)
        await self.clusters.forget(key)
        self._waiting.forget(key)
        self._once.forget(key)
        self._backoff.reset(key)


def _outcome(error: GitsyncError, reason: str, status: ObservedStatus) -> tuple[Said, ...]:
    """The condition besides Ready that an error is about. For want of a right, even the records may not be known; then
    the status tells which action would be next."""
    if isinstance(error, UninstallFailed):
        return ((error.condition, FALSE, reason, error.told),)
    if reason == UNINSTALL_FAILED:
        return ()
    if isinstance(error, ReleaseNotAllowed):
        return ((RELEASED, FALSE, _FAILED[error.action], error.told),) if error.action in _FAILED else ()
    if isinstance(error, MissingRight):
        return ((RELEASED, FALSE, UPGRADE_FAILED if status.was_deployed else INSTALL_FAILED, error.told),)
    return ()
