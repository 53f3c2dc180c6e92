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
    FINALIZER,
    INVALID,
    RECONCILIATION_FAILED,
    RELEASE_CHANGED,
    SOURCE_NOT_READY,
    UNINSTALL_FAILED,
)
from gitsync.errors import (
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
from gitsync.runtime.backoff import Backoff
from gitsync.release.dependencies.waiters import Blocking, Once
from gitsync.release.dependencies.duplicates import Claim
from gitsync.release.action.deploy import ReleaseRef
from gitsync.release.status.events import Happening
from gitsync.cel.expressions import Expressions
from gitsync.release.dependencies.index import ReleaseIndex, is_current
from gitsync.release.reconcile.finalize import leave
from gitsync.release.reconcile.retries import tries_of
from gitsync.apply.readiness import check_expressions
from gitsync.release.dependencies.readyexpr import judge_dependencies, judged_by_expression
from gitsync.runtime.progress import SILENCE
from gitsync.runtime.recorder import EventRecorder
from gitsync.release.storage.record import HOLDER, checksum
from gitsync.release.values.references import References
from gitsync.release.clusters import Sites
from gitsync.release.reconcile.state import Action, State, decide, state_of
from gitsync.release.status.status import Attempt, StatusData
from gitsync.release.unsupported import refused, without_effect
from gitsync.release.desired import ChartSource, Target, left_behind, ref_of, target_of
from gitsync.release.reconcile.test import judged
from gitsync.release.reconcile.request import MANAGER, Turn
from gitsync.release.status.reasons import blocked_reason, stalled_reason
from gitsync.apply.wait import names

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

#: What a release waits for that mostly does not come by itself.
_NEEDS_SOMEBODY = (DependencyCycle, DependencyMissing, KubeConfigMissing, ValuesMissing)
_WAITS = (Action.INSTALL, Action.UPGRADE, Action.RETRY, Action.UNINSTALL_AND_RETRY, Action.ROLLBACK_AND_RETRY)


@dataclass
class Reconciler:
    """Does the passes. ``wake`` asks for another pass of a release (a dependent, or itself)."""

    cluster: Cluster
    index: ReleaseIndex
    sites: Sites
    charts: ChartSource
    references: References
    events: EventRecorder
    expressions: Expressions
    wake: Callable[[ObjectKey], None]

    def __post_init__(self) -> None:
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._blocking = Blocking()
        self._once = Once()

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """One pass. Returns seconds until the next one, None to wait until woken."""
        if self.index.raw(key) is None:
            await self._forget(key)
            return None
        turn = Turn(self.cluster, self.index, self.events, self.sites.at(key), key, self.index.commit_of(key))
        try:
            again = await self._pass(turn, interrupt)
        except NotFound as error:
            if error.key == key:
                return None  # the HelmRelease itself went away meanwhile; its deletion wakes us
            return await self._retry(turn, error)
        except Superseded as error:
            turn.log.info("release interrupted", why=error.message)
            return 0.0
        except GitsyncError as error:
            return await self._retry(turn, error)
        self._backoff.reset(key)
        return again

    def changed(self, key: ObjectKey) -> None:
        """A HelmRelease changed, came or went: wake those that wait for it."""
        for waiting in self._blocking.waiting_for(key):
            self.wake(waiting)

    def touched(self, key: ObjectKey) -> None:
        """A HelmRelease changed in any way: wake those whose readyExprs are about it."""
        for waiting in self._blocking.watching(key):
            self.wake(waiting)

    async def _pass(self, turn: Turn, interrupt: Interrupt) -> float | None:
        try:
            release = self.index.get(turn.key)
        except FieldErrors as error:
            await self._say(turn, turn.status.stalled(INVALID, error.message), "release is invalid", error)
            return None
        assert release is not None
        if release.metadata.deletion_timestamp:
            return await self._delete(turn, release, interrupt)
        if release.spec.suspend:
            self._once(turn, "release is suspended")
            await turn.write(turn.status.suspended())
            return None
        if FINALIZER not in release.metadata.finalizers:
            await self._add_finalizer(turn, release)
        try:
            if fields := refused(release):
                raise FieldNotSupported(f"not supported yet: {', '.join(fields)}", hint="remove it")
            await check_expressions(release, self.expressions)
        except (FieldNotSupported, FieldErrors) as error:
            await self._stall(turn, error)
            return None
        if fields := without_effect(release):
            self._once(turn, "fields without effect yet", topic="fields", level="warning", fields=", ".join(fields))
        held = self.index.held.get(turn.key)
        if held is not None and held.via is None:  # a member of a cycle says so, whatever else is true of it
            return await self._block(turn)
        if (other := self.index.claims.superior(turn.key)) is not None:
            await self._give_way(turn, ref_of(release), other)
            return None
        return await self._aim(turn, release, interrupt)

    async def _aim(self, turn: Turn, release: HelmRelease, interrupt: Interrupt) -> float | None:
        """Find out where the release is to be and what it is to be, and bring it there."""
        try:
            self.sites.rules.check(release)
            last, turn.site = turn.site, await self.sites.of(release)
            turn.arrived = turn.site is not last
            target = await self._target(release)
        except (KubeConfigMissing, SourceNotReady, ValuesMissing) as error:
            return await self._block(turn, error)
        except (ChartError, CrossNamespaceRefused, KubeConfigRefused) as error:
            await self._stall(turn, error)
            return None
        try:
            return await self._converge(turn, release, target, interrupt)
        except (ValuesError, RenderError) as error:
            await self._stall(turn, error)
            return None

    async def _target(self, release: HelmRelease) -> Target:
        chart = await self.charts.locate(release)
        target = target_of(release, chart, await self.references.values(release))
        return replace(target, secrets=self.references.secrets(release.key))

    async def _converge(self, turn: Turn, release: HelmRelease, target: Target, interrupt: Interrupt) -> float | None:
        latest = turn.site.records.latest(target.ref.storage, target.ref.name)
        state = state_of(
            latest,
            target.digests,
            holder=turn.site.records.holder,
            now=time.time(),
            timeout=release.spec.timeout_of("upgrade"),
        )
        attempt = Attempt(release.metadata.generation, target.chart.version, target.digests)
        tries = tries_of(release, turn.status, attempt)
        action = decide(judged(state, latest, release, tries.action), tries)
        self._notice_uninstall(turn, target, state)
        if action is Action.COMPARE:
            if await self._compare(turn, release, target, attempt):
                return 0.0
            action = decide(State.OUT_OF_SYNC, tries)
        if turn.status.force_requested and action in (Action.NOTHING, Action.STALL):
            action = Action.INSTALL if latest is None else Action.UPGRADE
        if (old := self._moved(turn, release, target)) is not None and action in (Action.NOTHING, Action.TEST):
            action = Action.INSTALL  # what is in sync is so in another namespace, with its records where they will be
        if action in _WAITS and await self._blocked(turn, release):
            return await self._block(turn)
        self._unblock(turn, action)
        if old is not None:
            await self._move(turn, release, old, interrupt)
        return await self._act(turn, release, target, attempt, action, interrupt)

    def _notice_uninstall(self, turn: Turn, target: Target, state: State) -> None:
        status = turn.status
        if state is State.ABSENT and not turn.arrived and status.is_deployed and status.last_ref == target.ref:
            revision = status.last_revision
            self._foreign(turn, f"revision {revision} was uninstalled", revision=revision, status="uninstalled")

    async def _compare(self, turn: Turn, release: HelmRelease, target: Target, attempt: Attempt) -> bool:
        """Whether the newest revision, which somebody else wrote or changed, holds what is wanted; it is ours then."""
        record = await turn.site.performer.newest(target.ref)
        status = turn.status
        digest, ours = status.digest_of(record.version), HOLDER in record.annotations
        is_new = bool(status.last_revision) and not status.knows(record.version) and not ours
        if is_new or (digest and digest != checksum(record)):
            said = {"revision": record.version, "status": record.status, "description": record.description}
            self._foreign(turn, f"revision {record.version} is {record.status} ({record.description})", **said)
        return await turn.site.performer.take_over(turn, release, target, attempt, record)

    def _foreign(self, turn: Turn, what: str, **fields: Any) -> None:
        """Somebody else has done something to the release: say so, before it is put right."""
        if self._once(turn, "release was changed by somebody else", topic="foreign", level="warning", **fields):
            turn.tell(Happening("Warning", RELEASE_CHANGED, f"the release was changed by somebody else: {what}"))

    async def _move(self, turn: Turn, release: HelmRelease, old: ReleaseRef, interrupt: Interrupt) -> None:
        """The release is to be another: uninstall what it was, unless that is now another HelmRelease's."""
        was = Claim(old.name, old.storage, release.kubeconfig_secret)
        if was == Claim.of(release) or not self._left_to_another(turn, was):
            await turn.site.performer.move(turn, release, old, interrupt)

    def _moved(self, turn: Turn, release: HelmRelease, target: Target) -> ReleaseRef | None:
        """What the release was, when it has another name or namespace than before, or another chart that must not take
        over, and is still there as that."""
        last = turn.status.last_ref
        if last is None or turn.site.records.latest(last[2], last[0]) is None:
            return None
        return left_behind(release, target, ReleaseRef(*last), turn.status.last_chart)

    async def _act(
        self, turn: Turn, release: HelmRelease, target: Target, attempt: Attempt, action: Action, interrupt: Interrupt
    ) -> float | None:
        match action:
            case Action.NOTHING:
                await self._in_sync(turn, target, attempt)
                return await turn.site.drift.check(turn, release, interrupt)
            case Action.STALL:  # said when it happened, and kept in the status
                if await turn.site.performer.confirm(turn, release, target, attempt):
                    return 0.0
                await turn.write(turn.status.acknowledged(turn.status.last_verb, attempt))
                return None
            case Action.TEST:
                return await turn.site.performer.test(turn, release, target, attempt, interrupt)
            case Action.WAIT:
                self._once(turn, "another operation is in progress", release=str(target.ref))
                if not is_current(turn.manifest):  # else it runs as it should, and somebody works on it by hand
                    await turn.write(turn.status.progressing(f"another operation is in progress on {target.ref}"))
                return 15.0
            case Action.UNLOCK:
                await turn.site.performer.unlock(turn, target.ref)
                return 0.0
        return await turn.site.performer.perform(turn, release, target, attempt, action, interrupt)

    async def _in_sync(self, turn: Turn, target: Target, attempt: Attempt) -> None:
        latest = turn.site.records.latest(target.ref.storage, target.ref.name)
        assert latest is not None
        if turn.status.last_revision != latest.version:
            await turn.site.performer.recall(turn, target, attempt)
            return
        verb = "install" if latest.version == 1 else "upgrade"
        message = (
            f"Helm {verb} succeeded for release {target.ref}.v{latest.version} "
            f"with chart {target.chart.name}@{target.chart.version}"
        )
        await turn.write(turn.status.in_sync(f"{verb.capitalize()}Succeeded", message))

    async def _blocked(self, turn: Turn, release: HelmRelease) -> bool:
        """Whether dependencies hold the release back, its readyExprs asked anew."""
        if judging := judged_by_expression(release):
            self._blocking.watch(turn.key, judging)  # before they are asked: what changes meanwhile wakes it again
            await judge_dependencies(release, self.index, self.expressions)
        return self.index.blocked(turn.key) is not None

    async def _block(self, turn: Turn, error: BlockedError | None = None) -> float | None:
        """Wait for others; whoever changes what is waited for wakes this release. Returns seconds until that is said
        again, None when it has been.
        """
        blocked = self.index.blocked(turn.key)
        if blocked is not None:
            error = blocked.error
            if pause := self._blocking.hold(turn.key, blocked.on):
                return pause
        assert error is not None
        await turn.write(turn.status.blocked(blocked_reason(error), error.told))
        level = "warning" if isinstance(error, _NEEDS_SOMEBODY) else "info"
        self._once(turn, error.message, level=level, hint=error.hint)
        return None

    def _unblock(self, turn: Turn, action: Action) -> None:
        was_said = self._blocking.free(turn.key) and self._once.over(turn.key)
        if was_said and action is not Action.NOTHING:
            turn.log.info("all dependencies are ready, proceeding with release")

    async def _stall(self, turn: Turn, error: GitsyncError) -> None:
        """The same input fails again: say so and wait for another."""
        self._blocking.free(turn.key)
        await self._say(turn, turn.status.stalled(stalled_reason(error), error.told), "release failed", error)

    async def _give_way(self, turn: Turn, ref: ReleaseRef, other: ObjectKey) -> None:
        """Another HelmRelease has the release that this one is about: say so, and look again when that one changes."""
        error = ReleaseNameTaken(
            f"release {ref} is that of HelmRelease {other.namespace}/{other.name}",
            hint="give one of them another spec.releaseName, or delete one: the other takes the release over as it is",
        )
        await self._stall(turn, error)
        self._blocking.hold(turn.key, frozenset({other}))
        self._blocking.watch(turn.key, frozenset({other}))

    def _left_to_another(self, turn: Turn, claim: Claim) -> bool:
        """Whether another HelmRelease wants the release that this one lets go of: then nothing is uninstalled."""
        other = self.index.claims.owner(claim, but=turn.key)
        if other is not None:
            self._once(turn, "release is left to another HelmRelease", other=str(other))
        return other is not None

    async def _say(self, turn: Turn, status: StatusData, event: str, error: GitsyncError) -> None:
        if await turn.write(status):
            turn.log.error(event, error=error)

    async def _retry(self, turn: Turn, error: GitsyncError) -> float:
        """Not this release's fault, or not one that a try is counted for: come back later, and say so once."""
        asked = error.retry_after if isinstance(error, RetryableError) and error.retry_after else 0.0
        delay = max(self._backoff.next(turn.key), asked)
        uninstall = "deletionTimestamp" in turn.manifest["metadata"] or isinstance(error, UninstallFailed)
        event = "uninstall failed, will be tried again" if uninstall else "release will be tried again"
        self._once(turn, event, error=error.message, level="warning", hint=error.hint)
        if is_current(turn.manifest):
            return delay  # it runs as it should; that is still true while something else is away
        reason = SOURCE_NOT_READY if isinstance(error, ChartRepositoryUnavailable) else RECONCILIATION_FAILED
        reason = UNINSTALL_FAILED if uninstall else reason
        outcome = error.condition if isinstance(error, UninstallFailed) else ""
        try:
            await turn.write(turn.status.retrying(reason, error.told, outcome))
        except GitsyncError as further:
            turn.log.debug("status could not be written", error=further.message)
        return delay

    async def _add_finalizer(self, turn: Turn, release: HelmRelease) -> None:
        finalizers = [*release.metadata.finalizers, FINALIZER]
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": release.metadata.resource_version}}
        self.index.see(turn.key, await self.cluster.patch(turn.key, body, manager=MANAGER))

    async def _delete(self, turn: Turn, release: HelmRelease, interrupt: Interrupt) -> float | None:
        """The HelmRelease is being deleted: uninstall (unless it is suspended), then let it go."""
        if FINALIZER not in release.metadata.finalizers:
            return None
        if dependents := self.index.leaving_dependents(turn.key):
            self._blocking.hold(turn.key, dependents)
            text = names(sorted(dependents))
            if self._once(turn, "waiting to be uninstalled", **{"for": text}):
                return SILENCE  # most have gone by then
            await turn.write(turn.status.progressing(f"waiting to be uninstalled after {text}"))
            return None
        self._blocking.free(turn.key)
        if not release.spec.suspend and not self._left_to_another(turn, Claim.of(release)):
            await leave(self.sites, turn, release, interrupt)
        rest = [item for item in release.metadata.finalizers if item != FINALIZER]
        answer = await self.cluster.patch(turn.key, {"metadata": {"finalizers": rest}}, manager=MANAGER)
        if rest:
            self.index.see(turn.key, answer)
        else:  # that was the last one, so it is gone; a wake before the watch says so must not uninstall once more
            self.index.forget(turn.key)
        return None

    async def _forget(self, key: ObjectKey) -> None:
        await self.references.forget(key)
        await self.sites.leave(key)
        self._blocking.forget(key)
        self._once.forget(key)
        self._backoff.reset(key)
