"""Waiting until what a plan has applied is ready, or has failed: its releases, and all else namespace by namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from gitsync.api.conditions import ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FALSE, SYNC_LABEL
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import MissingRight, NotReadyInTime, ObjectFailed
from gitsync.health import Health
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import reporting, telling
from gitsync.runtime.together import until_one_fails
from gitsync.sync.outcome import Outcomes, ReleasesSettling
from gitsync.sync.plan import Step
from gitsync.sync.policy import left_alone
from gitsync.sync.reporting.timeline import Turn, turn_of_release
from gitsync.sync.rollout.course import Course, passed_on
from gitsync.sync.rollout.lacking import LackingSources
from gitsync.text import listed

#: How many of the releases that are waited for are named.
_TOLD = 2


@dataclass
class Settling:
    """Waits until the objects of one ``course`` are ready. Those that are not are noted in its report."""

    course: Course
    #: The releases that still waited for others when the wait for releases ended.
    _waited: list[ObjectKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        course = self.course
        self._spec, self._index, self._report = course.spec, course.index, course.report
        self._releases = [step.key for step in course.steps if course.spec.is_release(step.key)]
        #: Of a Kustomization with ``wait``: objects that need no change. They have to be ready, too.
        self._standing = {
            step.key: step.live for step in course.plan.steps if step.live is not None and self._stands(step)
        }
        self._lacking = LackingSources(course.cluster)

    @contextmanager
    def timing(self) -> Iterator[None]:
        """While it lasts, the phases of releases are noted in the timeline."""
        followed, applied, timeline = self.course.followed, self.course.applied, self._report.timeline

        def said(key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
            if key in followed and key in applied:
                timeline.turn(key, turn_of_release(after))

        unsubscribe = self._index.subscribe(said)
        try:
            yield
        finally:
            unsubscribe()

    async def run(self, interrupt: Interrupt) -> None:
        """Return when all has settled. Raises: ClusterUnavailable and other RetryableErrors."""
        await until_one_fails(
            self._settle_releases(self._releases),
            *(self._settle(namespace, interrupt) for namespace in self._namespaces()),
            self._settle_standing(interrupt),
        )

    async def after_prune(self) -> None:
        """Wait once more for the releases that waited for one which has been removed now, and for those that depend
        on them."""
        if any(self._spec.is_release(entry.key) for entry in self.course.plan.prune):
            self.course.releases = ReleasesSettling(self._index, self._waited)
            await self._settle_releases(self._releases)

    def judge_releases(self) -> None:
        """Note in the report how each release stands in the end."""
        if not self._spec.waits:
            return
        # A release that has failed may be looked at once more in this moment, as after each write of its status.
        outcomes, applied = Outcomes(self._index, at_rest=True), self.course.applied
        for key in (key for key in self._releases if key in applied):
            outcome = outcomes.of(key)
            if outcome.phase == "suspended":
                self._report.suspended(key)
            elif outcome.phase != "ready":
                self._report.outcome("failed" if outcome.phase == "failed" else "waiting", key, outcome.message)
        if not self._spec.is_root:  # the Kustomization is ready when these are
            for key in self.course.followed & (applied.keys() | self._standing.keys()):
                outcome = outcomes.of(key)
                if outcome.phase not in ("ready", "suspended"):
                    self._report.unready.append(ObjectFailed(f"{key}: {outcome.message}", key=key))

    def _stands(self, step: Step) -> bool:
        if self._spec.is_root or not self._spec.waits or step.verdict != "unchanged":
            return False
        return not left_alone(step.desired.manifest, step.live)

    def _namespaces(self) -> set[str]:
        pruned = {entry.key.namespace for entry in self.course.plan.prune}
        return {step.key.namespace for step in self.course.steps} | pruned

    async def _settle_releases(self, releases: Sequence[ObjectKey]) -> None:
        """Wait for the commit's releases, once they have been applied."""
        await self.course.tried.all_of(releases)
        with reporting(passed_on(self.course.outside, news_only=True)):
            async with telling(lambda: self._unsettled(releases)):
                await self.course.releases.follow(self._spec.settle_timeout, self.course.hopeless or self._in_vain)
        outcomes = Outcomes(self._index)
        self._waited = [key for key in releases if outcomes.of(key).phase == "waiting"]

    def _unsettled(self, releases: Iterable[ObjectKey]) -> str:
        """The first releases that are waited for, in words. Why is said only of those that have failed so far: the
        others' messages change all the time."""
        outcomes, applied = Outcomes(self._index), self.course.applied
        left = [key for key in releases if key in applied and outcomes.of(key).phase in ("moving", "waiting")]
        ready = {key: ready_of(self._index.manifest(key)) for key in left[:_TOLD]}
        texts = {key: f": {it.get('message')}" if it.get("status") == FALSE else "" for key, it in ready.items()}
        return listed((f"{key}{texts.get(key, '')}" for key in left), _TOLD)

    async def _in_vain(self, index: ReleaseIndex, keys: Collection[ObjectKey]) -> bool:
        """Whether these releases, which are all that have not settled, wait for something that nothing of this
        commit will bring: no release, no step, and no controller of a custom resource."""
        course, loop = self.course, asyncio.get_running_loop()
        if course.busy:
            return False
        if course.made_at > loop.time():
            loop.call_at(course.made_at, course.releases.look_again)
            return False
        # HelmReleases that cannot be applied yet wait as well, for a release to bring what they lack.
        return await self._lacking.hopeless(index, keys, [key for key in keys if index.expects(key)])

    async def _settle(self, namespace: str, interrupt: Interrupt) -> None:
        """Wait until what was applied in a namespace is ready, or has failed."""
        course = self.course
        steps = [step for step in course.steps if step.key.namespace == namespace]
        await course.over.all_of(step.key for step in steps)
        mine = [course.desired(step).key for step in steps]
        plain = {key: it for key in mine if (it := course.applied.get(key)) and course.is_waited_for(key, it)}
        course.busy |= plain.keys()
        await self._until_ready(replace(self._wait_for(plain), on_health=self._judged), interrupt)
        course.busy -= plain.keys()
        course.releases.look_again()
        await course.releases.settled(key for key in mine if self._spec.is_release(key))
        course.settled.add(namespace)

    async def _settle_standing(self, interrupt: Interrupt) -> None:
        """Wait until the objects that needed no change are ready, or have failed. Deletions do not wait for them."""
        plain = {key: live for key, live in self._standing.items() if self.course.is_waited_for(key, live)}
        await self._until_ready(self._wait_for(plain), interrupt)

    def _wait_for(self, objects: dict[ObjectKey, Manifest]) -> WaitFor:
        return WaitFor(objects, SYNC_LABEL, self._spec.settle_timeout, self._spec.readiness)

    async def _until_ready(self, want: WaitFor, interrupt: Interrupt) -> None:
        try:
            await wait_ready(self.course.cluster, want, interrupt)
        except (NotReadyInTime, ObjectFailed, MissingRight) as error:
            self._report.not_ready(error)

    def _judged(self, key: ObjectKey, health: Health) -> None:
        is_over = health.status in ("ready", "failed")
        self._report.timeline.turn(key, None if is_over else Turn("settle", health.message))
