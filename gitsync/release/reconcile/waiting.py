"""Releases that cannot go on: those that wait for others, and those that have to be changed first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.status import HelmReleaseStatus
from gitsync.errors import (
    BlockedError,
    DependencyCycle,
    DependencyMissing,
    GitsyncError,
    KubeConfigMissing,
    ObjectTaken,
    ReleaseNameLeft,
    ReleaseNameTaken,
    ValuesMissing,
)
from gitsync.logs import Once
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.readyexpr import evaluate_ready_exprs, with_ready_expr
from gitsync.release.dependencies.waiters import Waiters
from gitsync.release.reconcile.request import ReconcileRequest, Subject
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.release.status.reasons import blocked_reason, stalled_reason

if TYPE_CHECKING:
    from gitsync.cel.expressions import Expressions

#: Seconds until the next look at a release that is refused and about to be removed.
LOOK_AGAIN = 15.0
#: Errors that mostly last until somebody does something.
_NEEDS_SOMEBODY = (DependencyCycle, DependencyMissing, KubeConfigMissing, ObjectTaken, ValuesMissing)


class Waiting:
    """Registers which release waits for which, and reports each wait once."""

    def __init__(self, index: ReleaseIndex, writer: StatusWriter, expressions: Expressions, once: Once) -> None:
        self._index = index
        self._writer = writer
        self._expressions = expressions
        self._once = once
        self.waiters = Waiters()
        #: Releases that wait for another HelmRelease to give up an object or Helm release, rather than to be ready.
        self._for_owner: set[ObjectKey] = set()

    async def dependencies_ready(self, release: HelmRelease) -> bool:
        """Whether all dependencies of a release are ready; its readyExprs are evaluated anew. Raises:
        RetryableError."""
        if watched := with_ready_expr(release):
            self.waiters.watch(release.key, watched)  # before the evaluation, so that later changes wake it again
            await evaluate_ready_exprs(release, self._index, self._expressions.of(release.metadata.namespace))
        return self._index.blocked(release.key) is None

    async def block(self, request: ReconcileRequest, error: GitsyncError | None) -> float | None:
        """Have the release wait for others, whose changes wake it. ``error`` says for what, None for dependencies.
        Returns seconds until the wait is to be reported, None when it has been.
        """
        blocked = self._index.blocked(request.key) if not isinstance(error, ObjectTaken) else None
        self._for_owner.discard(request.key)
        owner = error.owner if isinstance(error, ObjectTaken) else self._index.owners.winner(request.key)
        if owner is not None:
            self._wait_for(request.key, owner)
        if isinstance(error, ReleaseNameLeft) and (owner is None or not self._index.may_let_go(owner)):
            return 0.0  # the other has let go since the decision, before this release was registered to be woken
        if blocked is not None:
            error = blocked.error
            if pause := self.waiters.add(request.key, blocked.on):
                return pause
        if not isinstance(error, BlockedError):
            return 0.0  # what held it back has just become ready
        await self._writer.write(request, request.status.blocked(blocked_reason(error), error.told))
        passing = isinstance(error, ObjectTaken) and error.passing
        level = "warning" if isinstance(error, _NEEDS_SOMEBODY) and not passing else "info"
        self._once(request.key, request.log, error.message, level=level, hint=error.hint)
        return None

    def unblock(self, request: ReconcileRequest, *, silent: bool) -> None:
        """Nothing holds the release back any more; ``silent``: it has nothing to do, so that is not logged."""
        waited = self.waiters.remove(request.key)
        if request.key in self._for_owner and not silent:
            return  # whether it may have the object is found out only when it claims it
        self._for_owner.discard(request.key)
        was_said = waited and self._once.over(request.key)
        if was_said and not silent:
            request.log.info("all dependencies are ready, proceeding with release")

    async def refuse(self, subject: Subject, error: GitsyncError) -> float | None:
        """Report an error that the same HelmRelease, chart and values would have again, and wait for a change. Returns
        seconds until the next pass, if any."""
        self.waiters.remove(subject.key)
        self._for_owner.discard(subject.key)
        other = self._index.owners.winner(subject.key)
        if other is not None:
            self._wait_for(subject.key, other)
        elif isinstance(error, ReleaseNameTaken):
            return 0.0  # the other HelmRelease has given up the Helm release since
        if self._index.is_leaving(subject.key):
            subject.log.debug("release goes, whatever is wrong with it", error=error.message)
            return LOOK_AGAIN  # in case it is not removed after all
        status = subject.status.stalled(stalled_reason(error), error.told)
        await self.say(subject, status, "release failed", error)
        return None

    async def say(self, subject: Subject, status: HelmReleaseStatus, event: str, error: GitsyncError) -> None:
        """Write a status, and log why when that is news."""
        if await self._writer.write(subject, status):
            subject.log.error(event, error=error)

    def forget(self, key: ObjectKey) -> None:
        """The release is gone."""
        self.waiters.forget(key)
        self._for_owner.discard(key)

    def _wait_for(self, key: ObjectKey, other: ObjectKey) -> None:
        """Wake ``key`` when ``other`` changes, the HelmRelease that owns its Helm release."""
        self._for_owner.add(key)
        self.waiters.add(key, frozenset({other}))
        self.waiters.watch(key, frozenset(self._index.ancestry.lineage(other)))
