"""A plan on its way into the cluster: objects applied, waited for, and what left Git deleted, each as soon as what it
needs is there. Every wait holds up only what it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.manifests import DesiredObject
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.fairslots import FairSlots
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import listener, reporting
from gitsync.runtime.together import until_one_fails
from gitsync.sync.owner import Owner
from gitsync.sync.plan import Step
from gitsync.sync.rollout.applying import Applying
from gitsync.sync.rollout.course import Course
from gitsync.sync.rollout.leaving import Leaving
from gitsync.sync.rollout.prune import Pruner
from gitsync.sync.rollout.settling import Settling

if TYPE_CHECKING:
    from gitsync.sources.resolve.artifacts import SyncedRepository


@dataclass
class Rollout:
    """Carries one sync's plan out, once. ``run`` returns when everything is ready and deleted, or has failed; the
    outcome is in ``course``, its report, and ``leaving``. ``judge`` plans for an object that is in the cluster, and
    was not when the plan was made. ``on_applied`` is called when all is applied, and nothing has failed: it has yet
    to become ready. ``on_sent`` is called when no more requests are to be sent for now."""

    course: Course
    owner: Owner
    wanted: SyncClaims
    repository: SyncedRepository
    pruner: Pruner
    slots: FairSlots
    judge: Callable[[DesiredObject], Awaitable[Step]]
    on_applied: Callable[[], None]
    on_sent: Callable[[], None]

    def __post_init__(self) -> None:
        self.leaving = Leaving(self.course, self.owner, self.wanted, self.pruner)
        self._settling = Settling(self.course)
        self._applying = Applying(
            self.course,
            self.owner,
            self.wanted,
            self.repository,
            self.slots,
            self.judge,
            self.on_applied,
            self.on_sent,
        )

    @property
    def emptied(self) -> bool:
        """Whether the namespace of an object had gone, and was made again."""
        return self._applying.emptied

    async def run(self, arrived: Callable[[ObjectKey], None], interrupt: Interrupt) -> None:
        """Carry the plan out; ``arrived`` is called for each step that has been dealt with. Raises: ClusterUnavailable
        and other RetryableErrors, with the rest given up; Superseded."""
        # Connections that are opened meanwhile keep these functions alive as long as they are open: they refer to no
        # more.
        outside, tell = listener(), self.course.report.repeated
        self.course.outside = outside

        async def log_reason(reason: str) -> None:
            tell("info", "waiting", **{"for": reason})
            if outside is not None:
                await outside(reason)

        with reporting(log_reason), self._settling.timing():
            if self.course.spec.is_root:
                self.wanted.claims.first_commit.set()
            await until_one_fails(
                self._applying.run(arrived, interrupt),
                self._settling.run(interrupt),
                *self.leaving.run(interrupt),
            )
            await self._settling.after_prune()
        self._settling.judge_releases()
