"""One pass over one HelmRelease: gather facts, decide, act, say what came of it.

A pass is level-triggered: it looks at what is, whatever woke it, and a pass with nothing to do writes nothing. It never
raises but for defects; what goes wrong becomes a status, a log line, and a time to come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import (
    FIELD_MANAGER,
    FINALIZER,
    INVALID,
    RECONCILIATION_FAILED,
    RELEASE_CHANGED,
    SOURCE_NOT_READY,
    UNINSTALL_FAILED,
)
from gitsync.apply.readiness import check_expressions
from gitsync.cel.expressions import Expressions
from gitsync.errors import (
    ArtifactPending,
    BlockedError,
    ChartError,
    ChartRepositoryUnavailable,
    CrossNamespaceRefused,
    DependencyCycle,
    DependencyMissing,
    FieldErrors,
    FieldNotSupported,
    GitsyncError,
    KubeConfigMissing,
    KubeConfigRefused,
    NotFound,
    ReleaseNameTaken,
    RenderError,
    RetryableError,
    SourceNotReady,
    Superseded,
    UninstallFailed,
    ValuesError,
    ValuesMissing,
)
from gitsync.release.clusters import TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex, is_current
from gitsync.release.dependencies.readyexpr import judge_dependencies, judged_by_expression
from gitsync.release.dependencies.release_owners import Claim
from gitsync.release.dependencies.waiters import Waiters
from gitsync.release.desired import DesiredRelease, desired_release, left_behind, ref_of
from gitsync.release.reconcile.finalize import leave
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.reconcile.retries import tries_of
from gitsync.release.reconcile.state import NextAction, State, decide, state_of
from gitsync.release.reconcile.test import judged
from gitsync.release.revision import ReleaseRef
from gitsync.release.status.reasons import blocked_reason, stalled_reason
from gitsync.release.status.status import Attempt, StatusData
from gitsync.release.storage.record import HOLDER, checksum
from gitsync.release.unsupported import refused, without_effect
from gitsync.release.values.references import References
from gitsync.runtime.backoff import Backoff
from gitsync.runtime.events import Event
from gitsync.runtime.once import Once
from gitsync.runtime.progress import SILENCE
from gitsync.runtime.recorder import EventRecorder
from gitsync.sources.chart import ChartSource
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

#: What a release waits for that mostly does not come by itself.
_NEEDS_SOMEBODY = (DependencyCycle, DependencyMissing, KubeConfigMissing, ValuesMissing)
_WAITS = (
    NextAction.INSTALL,
    NextAction.UPGRADE,
    NextAction.RETRY,
    NextAction.UNINSTALL_AND_RETRY,
    NextAction.ROLLBACK_AND_RETRY,
)


@dataclass
class Reconciler:
    """Does the passes. ``wake`` asks for another pass of a release (a dependent, or itself)."""

    cluster: Cluster
    index: ReleaseIndex
    clusters: TargetClusters
    charts: ChartSource
    references: References
    events: EventRecorder
    expressions: Expressions
    wake: Callable[[ObjectKey], None]

    def __post_init__(self) -> None:
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._waiters = Waiters()
        self._once = Once()

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """One pass. Returns seconds until the next one, None to wait until woken."""
        if self.index.manifest(key) is None:
            await self._forget(key)
            return None
        request = ReconcileRequest(
            self.cluster, self.index, self.events, self.clusters.at(key), key, self.index.commit_of(key)
        )
        try:
            again = await self._pass(request, interrupt)
        except NotFound as error:
            if error.key == key:
                return None  # the HelmRelease itself went away meanwhile; its deletion wakes us
            return await self._retry(request, error)
        except Superseded as error:
            request.log.info("release interrupted", why=error.message)
            return 0.0
        except ArtifactPending as error:
            return error.retry_after  # right after a start; whoever carries the first commit out wakes us
        except GitsyncError as error:
            return await self._retry(request, error)
        self._backoff.reset(key)
        return again

    def changed(self, key: ObjectKey) -> None:
        """A HelmRelease changed, came or went: wake those that wait for it."""
        for waiting in self._waiters.waiting_for(key):
            self.wake(waiting)

    def touched(self, key: ObjectKey) -> None:
        """A HelmRelease changed in any way: wake those whose readyExprs are about it."""
        for waiting in self._waiters.watching(key):
            self.wake(waiting)

    async def _pass(self, request: ReconcileRequest, interrupt: Interrupt) -> float | None:
        try:
            release = self.index.get(request.key)
        except FieldErrors as error:
            await self._say(request, request.status.stalled(INVALID, error.message), "release is invalid", error)
            return None
        assert release is not None
        if release.metadata.deletion_timestamp:
            return await self._delete(request, release, interrupt)
        if release.spec.suspend:
            self._once(request.key, request.log, "release is suspended")
            await request.write(request.status.suspended())
            return None
        if FINALIZER not in release.metadata.finalizers:
            await self._add_finalizer(request, release)
        try:
            if fields := refused(release):
                raise FieldNotSupported(f"not supported yet: {', '.join(fields)}", hint="remove it")
            await check_expressions(release, self.expressions)
        except (FieldNotSupported, FieldErrors) as error:
            await self._stall(request, error)
            return None
        if fields := without_effect(release):
            self._once(
                request.key,
                request.log,
                "fields without effect yet",
                topic="fields",
                level="warning",
                fields=", ".join(fields),
            )
        held = self.index.held.get(request.key)
        if held is not None and held.via is None:  # a member of a cycle says so, whatever else is true of it
            return await self._block(request)
        if (other := self.index.owners.winner(request.key)) is not None:
            await self._give_way(request, ref_of(release), other)
            return None
        return await self._aim(request, release, interrupt)

    async def _aim(self, request: ReconcileRequest, release: HelmRelease, interrupt: Interrupt) -> float | None:
        """Find out where the release is to be and what it is to be, and bring it there."""
        try:
            self.clusters.rules.check(release)
            last, request.target = request.target, await self.clusters.of(release)
            request.changed_cluster = request.target is not last
            target = await self._target(release)
        except (KubeConfigMissing, SourceNotReady, ValuesMissing) as error:
            return await self._block(request, error)
        except (ChartError, CrossNamespaceRefused, KubeConfigRefused) as error:
            await self._stall(request, error)
            return None
        try:
            return await self._converge(request, release, target, interrupt)
        except (ValuesError, RenderError) as error:
            await self._stall(request, error)
            return None

    async def _target(self, release: HelmRelease) -> DesiredRelease:
        chart = await self.charts.locate(release)
        target = desired_release(release, chart, await self.references.values(release))
        return replace(target, secrets=self.references.secrets(release.key))

    async def _converge(
        self, request: ReconcileRequest, release: HelmRelease, target: DesiredRelease, interrupt: Interrupt
    ) -> float | None:
        latest = request.target.records.latest(target.ref.storage, target.ref.name)
        state = state_of(
            latest,
            target.digests,
            holder=request.target.records.holder,
            now=time.time(),
            timeout=release.spec.timeout_of("upgrade"),
        )
        attempt = Attempt(release.metadata.generation, target.chart.version, target.digests)
        tries = tries_of(release, request.status, attempt)
        action = decide(judged(state, latest, release, tries.action), tries)
        self._notice_uninstall(request, target, state)
        if action is NextAction.COMPARE:
            if await self._compare(request, release, target, attempt):
                return 0.0
            action = decide(State.OUT_OF_SYNC, tries)
        if request.status.force_requested and action in (NextAction.NOTHING, NextAction.STALL):
            action = NextAction.INSTALL if latest is None else NextAction.UPGRADE
        if (old := self._moved(request, release, target)) is not None and action in (
            NextAction.NOTHING,
            NextAction.TEST,
        ):
            action = (
                NextAction.INSTALL
            )  # what is in sync is so in another namespace, with its records where they will be
        if action in _WAITS and await self._blocked(request, release):
            return await self._block(request)
        self._unblock(request, action)
        if old is not None:
            await self._move(request, release, old, interrupt)
        return await self._act(request, release, target, attempt, action, interrupt)

    def _notice_uninstall(self, request: ReconcileRequest, target: DesiredRelease, state: State) -> None:
        status = request.status
        if (
            state is State.ABSENT
            and not request.changed_cluster
            and status.is_deployed
            and status.last_ref == target.ref
        ):
            revision = status.last_revision
            self._foreign(request, f"revision {revision} was uninstalled", revision=revision, status="uninstalled")

    async def _compare(
        self, request: ReconcileRequest, release: HelmRelease, target: DesiredRelease, attempt: Attempt
    ) -> bool:
        """Whether the newest revision, which somebody else wrote or changed, holds what is wanted; it is ours then."""
        record = await request.target.actions.newest(target.ref)
        status = request.status
        digest, ours = status.digest_of(record.version), HOLDER in record.annotations
        is_new = bool(status.last_revision) and not status.knows(record.version) and not ours
        if is_new or (digest and digest != checksum(record)):
            said = {"revision": record.version, "status": record.status, "description": record.description}
            self._foreign(request, f"revision {record.version} is {record.status} ({record.description})", **said)
        return await request.target.actions.take_over(request, release, target, attempt, record)

    def _foreign(self, request: ReconcileRequest, what: str, **fields: Any) -> None:
        """Somebody else has done something to the release: say so, before it is put right."""
        if self._once(
            request.key, request.log, "release was changed by somebody else", topic="foreign", level="warning", **fields
        ):
            request.tell(Event("Warning", RELEASE_CHANGED, f"the release was changed by somebody else: {what}"))

    async def _move(
        self, request: ReconcileRequest, release: HelmRelease, old: ReleaseRef, interrupt: Interrupt
    ) -> None:
        """The release is to be another: uninstall what it was, unless that is now another HelmRelease's."""
        was = Claim(old.name, old.storage, release.kubeconfig_secret)
        if was == Claim.of(release) or not self._left_to_another(request, was):
            await request.target.actions.move(request, release, old, interrupt)

    def _moved(self, request: ReconcileRequest, release: HelmRelease, target: DesiredRelease) -> ReleaseRef | None:
        """What the release was, when it has another name or namespace than before, or another chart that must not take
        over, and is still there as that."""
        last = request.status.last_ref
        if last is None or request.target.records.latest(last[2], last[0]) is None:
            return None
        return left_behind(release, target, ReleaseRef(*last), request.status.last_chart)

    async def _act(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        target: DesiredRelease,
        attempt: Attempt,
        action: NextAction,
        interrupt: Interrupt,
    ) -> float | None:
        match action:
            case NextAction.NOTHING:
                await self._in_sync(request, target, attempt)
                return await request.target.drift.check(request, release, interrupt)
            case NextAction.STALL:  # said when it happened, and kept in the status
                if await request.target.actions.confirm(request, release, target, attempt):
                    return 0.0
                await request.write(request.status.acknowledged(request.status.last_verb, attempt))
                return None
            case NextAction.TEST:
                return await request.target.actions.test(request, release, target, attempt, interrupt)
            case NextAction.WAIT:
                self._once(request.key, request.log, "another operation is in progress", release=str(target.ref))
                if not is_current(request.manifest):  # else it runs as it should, and somebody works on it by hand
                    await request.write(request.status.progressing(f"another operation is in progress on {target.ref}"))
                return 15.0
            case NextAction.UNLOCK:
                await request.target.actions.unlock(request, target.ref)
                return 0.0
        return await request.target.actions.perform(request, release, target, attempt, action, interrupt)

    async def _in_sync(self, request: ReconcileRequest, target: DesiredRelease, attempt: Attempt) -> None:
        latest = request.target.records.latest(target.ref.storage, target.ref.name)
        assert latest is not None
        if request.status.last_revision != latest.version:
            await request.target.actions.recall(request, target, attempt)
            return
        verb = "install" if latest.version == 1 else "upgrade"
        message = (
            f"Helm {verb} succeeded for release {target.ref}.v{latest.version} "
            f"with chart {target.chart.name}@{target.chart.version}"
        )
        await request.write(request.status.in_sync(f"{verb.capitalize()}Succeeded", message))

    async def _blocked(self, request: ReconcileRequest, release: HelmRelease) -> bool:
        """Whether dependencies hold the release back, its readyExprs asked anew."""
        if judging := judged_by_expression(release):
            self._waiters.watch(request.key, judging)  # before they are asked: what changes meanwhile wakes it again
            await judge_dependencies(release, self.index, self.expressions)
        return self.index.blocked(request.key) is not None

    async def _block(self, request: ReconcileRequest, error: BlockedError | None = None) -> float | None:
        """Wait for others; whoever changes what is waited for wakes this release. Returns seconds until that is said
        again, None when it has been.
        """
        blocked = self.index.blocked(request.key)
        if blocked is not None:
            error = blocked.error
            if pause := self._waiters.add(request.key, blocked.on):
                return pause
        assert error is not None
        await request.write(request.status.blocked(blocked_reason(error), error.told))
        level = "warning" if isinstance(error, _NEEDS_SOMEBODY) else "info"
        self._once(request.key, request.log, error.message, level=level, hint=error.hint)
        return None

    def _unblock(self, request: ReconcileRequest, action: NextAction) -> None:
        was_said = self._waiters.remove(request.key) and self._once.over(request.key)
        if was_said and action is not NextAction.NOTHING:
            request.log.info("all dependencies are ready, proceeding with release")

    async def _stall(self, request: ReconcileRequest, error: GitsyncError) -> None:
        """The same input fails again: say so and wait for another."""
        self._waiters.remove(request.key)
        await self._say(request, request.status.stalled(stalled_reason(error), error.told), "release failed", error)

    async def _give_way(self, request: ReconcileRequest, ref: ReleaseRef, other: ObjectKey) -> None:
        """Another HelmRelease has the release that this one is about: say so, and look again when that one changes."""
        error = ReleaseNameTaken(
            f"release {ref} is that of HelmRelease {other.namespace}/{other.name}",
            hint="give one of them another spec.releaseName, or delete one: the other takes the release over as it is",
        )
        await self._stall(request, error)
        self._waiters.add(request.key, frozenset({other}))
        self._waiters.watch(request.key, frozenset({other}))

    def _left_to_another(self, request: ReconcileRequest, claim: Claim) -> bool:
        """Whether another HelmRelease wants the release that this one lets go of: then nothing is uninstalled."""
        other = self.index.owners.owner(claim, but=request.key)
        if other is not None:
            self._once(request.key, request.log, "release is left to another HelmRelease", other=str(other))
        return other is not None

    async def _say(self, request: ReconcileRequest, status: StatusData, event: str, error: GitsyncError) -> None:
        if await request.write(status):
            request.log.error(event, error=error)

    async def _retry(self, request: ReconcileRequest, error: GitsyncError) -> float:
        """Not this release's fault, or not one that a try is counted for: come back later, and say so once."""
        asked = error.retry_after if isinstance(error, RetryableError) and error.retry_after else 0.0
        delay = max(self._backoff.next(request.key), asked)
        uninstall = "deletionTimestamp" in request.manifest["metadata"] or isinstance(error, UninstallFailed)
        event = "uninstall failed, will be tried again" if uninstall else "release will be tried again"
        self._once(request.key, request.log, event, error=error.message, level="warning", hint=error.hint)
        if is_current(request.manifest):
            return delay  # it runs as it should; that is still true while something else is away
        reason = SOURCE_NOT_READY if isinstance(error, ChartRepositoryUnavailable) else RECONCILIATION_FAILED
        reason = UNINSTALL_FAILED if uninstall else reason
        outcome = error.condition if isinstance(error, UninstallFailed) else ""
        try:
            await request.write(request.status.retrying(reason, error.told, outcome))
        except GitsyncError as further:
            request.log.debug("status could not be written", error=further.message)
        return delay

    async def _add_finalizer(self, request: ReconcileRequest, release: HelmRelease) -> None:
        finalizers = [*release.metadata.finalizers, FINALIZER]
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": release.metadata.resource_version}}
        self.index.update(request.key, await self.cluster.patch(request.key, body, manager=FIELD_MANAGER))

    async def _delete(self, request: ReconcileRequest, release: HelmRelease, interrupt: Interrupt) -> float | None:
        """The HelmRelease is being deleted: uninstall (unless it is suspended), then let it go."""
        if FINALIZER not in release.metadata.finalizers:
            return None
        if dependents := self.index.leaving_dependents(request.key):
            self._waiters.add(request.key, dependents)
            text = listed(sorted(dependents))
            if self._once(request.key, request.log, "waiting to be uninstalled", **{"for": text}):
                return SILENCE  # most have gone by then
            await request.write(request.status.progressing(f"waiting to be uninstalled after {text}"))
            return None
        self._waiters.remove(request.key)
        if not release.spec.suspend and not self._left_to_another(request, Claim.of(release)):
            await leave(self.clusters, request, release, interrupt)
        rest = [item for item in release.metadata.finalizers if item != FINALIZER]
        answer = await self.cluster.patch(request.key, {"metadata": {"finalizers": rest}}, manager=FIELD_MANAGER)
        if rest:
            self.index.update(request.key, answer)
        else:  # that was the last one, so it is gone; a wake before the watch says so must not uninstall once more
            self.index.forget(request.key)
        return None

    async def _forget(self, key: ObjectKey) -> None:
        await self.references.forget(key)
        await self.clusters.leave(key)
        self._waiters.forget(key)
        self._once.forget(key)
        self._backoff.reset(key)
