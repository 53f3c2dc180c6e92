"""What time does to a sync: Syncer and SyncReconciler on a real API server, with a clock that is put ahead by hand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gitsync.api.identity import CommitInfo
from gitsync.backoff import Reminders
from gitsync.errors import GitUnavailable, NotReadyInTime
from gitsync.git import Mirror
from gitsync.live.requests import confirm_commit
from gitsync.manifests import Desired
from gitsync.runtime.progress import reporting
from gitsync.runtime.schedule import Schedule
from gitsync.sync.apply import SyncResult
from gitsync.sync.build import CommitSource
from gitsync.sync.reconciler import CONFIRMED_WITHIN, FULL_INTERVAL, SyncReconciler
from gitsync.sync.rollout.applying import GONE_TIMEOUT
from gitsync.sync.spec import SETTLE_TIMEOUT
from tests.clock import LoopClock, clock_put_ahead
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.sync.syncing import Content, Place, places
from tests.until import until

FIRST, SECOND, THIRD = "a" * 40, "b" * 40, "c" * 40
HOUR, DAY = 3600.0, 86_400.0
#: Seconds between two tries at most, and by what part of them they vary.
MOST, JITTER = 300.0, 0.2
MANY: Content = {f"map-{number}": "one" for number in range(12)}


@pytest.fixture
async def clock() -> AsyncIterator[LoopClock]:
    with clock_put_ahead() as clock:
        yield clock


@pytest.fixture
async def place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    async with places(control_plane, namespace, ["fleet"]) as (made,):
        yield made


@pytest.fixture
def unready(monkeypatch: pytest.MonkeyPatch) -> None:
    """``web`` is a Deployment whose image nobody has; ``app`` is not suspended, and nobody works on it."""
    plain = Place._manifest

    def manifest(self: Place, name: str, text: str) -> str:
        if name != "web":
            return plain(self, name, text).replace("suspend: true", "suspend: false")
        metadata = f"metadata: {{name: {self.name}-web, namespace: {self.namespace}}}"
        container = "{name: web, image: 'registry.example/app:nonexistent'}"
        template = f"{{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{container}]}}}}"
        spec = f"spec: {{selector: {{matchLabels: {{app: web}}}}, template: {template}}}"
        return f"apiVersion: apps/v1\nkind: Deployment\n{metadata}\n{spec}\n"

    monkeypatch.setattr(Place, "_manifest", manifest)


@asynccontextmanager
async def syncing(
    place: Place, commit: str, content: Content, is_waiting: Callable[[str], bool]
) -> AsyncIterator[asyncio.Task[SyncResult]]:
    """A sync that waits, which is known by all that it has told."""
    told: list[str] = []

    async def note(reason: str) -> bool:
        told.append(reason)
        return True

    with reporting(note):
        task = asyncio.create_task(place.sync(commit, content, full=True))
    try:
        await until(lambda: task.done() or (is_waiting("\n".join(told)) and not place.cluster.under_way))
        for _ in range(10):  # what goes on without an answer of anybody
            await asyncio.sleep(0)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_wait_for_what_never_becomes_ready_ends_at_its_deadline_and_says_why(
    place: Place, clock: LoopClock, unready: None
) -> None:
    async with syncing(place, FIRST, {"kept": "one", "web": "one"}, lambda told: "ImagePullBackOff" in told) as task:
        clock.advance(SETTLE_TIMEOUT - 60)
        await until(lambda: not place.cluster.under_way)
        assert not task.done()
        clock.advance(61)
        result = await task
    (problem,) = result.unready
    assert isinstance(problem, NotReadyInTime)
    assert f"not ready within {SETTLE_TIMEOUT:g}s: Deployment/{place.namespace}/fleet-web" in problem.message
    assert "ImagePullBackOff" in problem.message
    assert await place.texts("kept") == {"kept": "one"}


async def test_a_release_that_nobody_works_on_is_waited_for_until_the_deadline_and_counted(
    place: Place, clock: LoopClock, unready: None
) -> None:
    def is_there(told: str) -> bool:
        return place.syncer.index.manifest(place.key("app")) is not None

    async with syncing(place, FIRST, {"kept": "one", "app": "one"}, is_there) as task:
        clock.advance(SETTLE_TIMEOUT + 1)
        result = await task
    assert (result.result, result.waiting) == ("succeeded", 1)


async def test_one_that_is_on_its_way_out_and_does_not_go_holds_up_its_successor_for_a_minute_and_nothing_else(
    place: Place, clock: LoopClock
) -> None:
    await place.sync(FIRST, {"stays": "one", "other": "one"})
    await place.held_by("test.dev/it-stays", "stays")
    async with syncing(
        place, SECOND, {"stays": "two", "other": "two"}, lambda told: "is being deleted" in told
    ) as task:
        clock.advance(GONE_TIMEOUT - 10)
        await until(lambda: not place.cluster.under_way)
        assert not task.done()
        clock.advance(11)
        result = await task
    assert (result.result, result.retry) == ("failed", True)
    assert [type(problem) for problem in result.problems] == [NotReadyInTime]
    assert await place.texts("other") == {"other": "two"}
    await place.held_by("", "stays")


async def test_what_a_commit_fails_for_is_said_again_at_growing_distance(
    place: Place, clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.sync.apply.Reminders", partial(Reminders, clock.time))
    began, said = clock.time(), list[int]()
    await place.sync(FIRST, {"own": "one"})
    await place.cluster.delete(place.key("own"))
    place.cluster.refused = place.key("own").name
    for minute in range(20):
        clock.advance(began + 65 * minute - clock.time())
        with capture_logs() as lines:
            await place.sync(FIRST, {"own": "one"}, full=True)
        if any(line["event"] == "object failed" and line["log_level"] == "error" for line in lines):
            said.append(minute)
    assert said == [0, 1, 3, 7, 15]


class Repository:
    """Stands in for a repository: what each commit wants is said beforehand. While it is ``away``, nobody can ask."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.contents: dict[str, Content] = {}
        self.head_id = ""
        self.is_away = False
        self.source = SimpleNamespace(local_path=None, url="https://git.example/fleet")
        self.default_branch, self.cloned_from = "main", ""
        self.mirror = cast(Mirror, self)

    def push(self, commit: str, content: Content) -> None:
        self.head_id, self.contents[commit] = commit, content

    async def head(self) -> str:
        if self.is_away:
            raise GitUnavailable("the Git server is away")
        return self.head_id

    async def fetch(self, commit: str) -> CommitInfo:
        return CommitInfo(commit)

    async def verify(self, commit: CommitInfo) -> None:
        """All are good."""

    async def verified(self, commit_id: str, wanted: object) -> str:
        return ""

    async def read(self, commit: CommitInfo) -> Desired:
        return await self.place.desired(commit.id, self.contents[commit.id])


class LoopSchedule:
    """The Schedule by the loop's clock, and without its jitter."""

    def every(self, name: str, seconds: float, call: Callable[..., Any], *args: Any) -> None:
        def due() -> None:
            call(*args)
            self.every(name, seconds, call, *args)

        asyncio.get_running_loop().call_later(seconds, due)

    def once(self, name: str, delay: float, call: Callable[..., Any], *args: Any) -> None:
        asyncio.get_running_loop().call_later(delay, call, *args)


class Agent:
    """A repository that is synced, and the moments at which that was tried."""

    def __init__(self, place: Place, clock: LoopClock) -> None:
        self.place, self.clock = place, clock
        self.repository = Repository(place)
        source = cast(CommitSource, self.repository)
        self.reconciler = SyncReconciler(source, place.syncer, place.syncer.repository, 60.0)
        self.tries: list[float] = []
        sync = place.syncer.sync

        async def noted(*args: Any, **named: Any) -> SyncResult:
            self.tries.append(clock.time())
            return await sync(*args, **named)

        place.syncer.sync = noted  # type: ignore[method-assign]

    async def idle(self) -> None:
        """Until all that is due has been done."""
        for _ in range(3):
            await asyncio.sleep(0)
            await until(lambda: not self.reconciler.is_syncing and not self.place.cluster.under_way)

    async def passes(self, seconds: float, step: float) -> None:
        """Let time go by."""
        for _ in range(math.ceil(seconds / step)):
            self.clock.advance(step)
            await self.idle()

    def ended(self) -> str:
        """How the last sync did."""
        assert self.reconciler.result is not None
        return self.reconciler.result.result

    async def push(self, commit: str, content: Content) -> None:
        self.repository.push(commit, content)
        await self.reconciler.poll()
        await self.idle()


@pytest.fixture
async def agent(place: Place, clock: LoopClock) -> AsyncIterator[Agent]:
    agent = Agent(place, clock)
    running = asyncio.create_task(agent.reconciler.run(cast(Schedule, LoopSchedule())))
    try:
        yield agent
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await agent.reconciler.stop(1.0)


async def test_a_cluster_that_is_away_is_tried_ever_more_rarely_and_at_least_every_few_minutes(
    agent: Agent, place: Place
) -> None:
    place.cluster.is_away = True
    await agent.push(FIRST, {"kept": "one"})
    await agent.passes(2000, 1.0)
    gaps = [later - earlier for earlier, later in pairwise(agent.tries)]
    assert len(gaps) > 10
    for number, gap in enumerate(gaps):
        usual = min(2.0**number, MOST)
        # What is compared at its interval comes between, and a step is a second.
        assert gap <= usual * (1 + JITTER) + 2, gaps
    assert max(gaps) > MOST * (1 - JITTER) - 2, gaps

    place.cluster.is_away = False
    await agent.passes(MOST * (1 + JITTER) + 2, 10.0)
    assert await place.texts("kept") == {"kept": "one"}
    tries = len(agent.tries)
    await agent.passes(FULL_INTERVAL - MOST, 60.0)
    assert len(agent.tries) <= tries + 1, "what has gone well is not tried again before its interval"


async def test_what_somebody_changes_by_hand_is_as_git_says_after_the_interval(agent: Agent, place: Place) -> None:
    await agent.push(FIRST, {"kept": "one"})
    await place.cluster.patch(place.key("kept"), {"data": {"text": "by hand"}}, manager="somebody")
    await agent.passes(FULL_INTERVAL - 60, 60.0)
    assert await place.texts("kept") == {"kept": "by hand"}, "an unchanged head costs nothing"
    await agent.passes(120, 60.0)
    assert await place.texts("kept") == {"kept": "one"}


async def test_a_repository_that_is_away_leaves_all_as_it_is_and_is_asked_until_it_is_back(
    agent: Agent, place: Place
) -> None:
    await agent.push(FIRST, {"kept": "one"})
    agent.repository.is_away = True
    agent.repository.push(SECOND, {"kept": "two"})
    await agent.passes(DAY, HOUR)
    assert await place.texts("kept") == {"kept": "one"}
    assert isinstance(agent.reconciler.error, GitUnavailable)
    agent.repository.is_away = False
    await agent.passes(120, 10.0)
    assert await place.texts("kept") == {"kept": "two"}
    assert agent.reconciler.error is None


async def test_a_commit_that_is_held_stays_held_for_days_and_goes_on_soon_after_it_is_confirmed(
    agent: Agent, place: Place
) -> None:
    await agent.push(FIRST, MANY)
    with capture_logs() as lines:
        await agent.push(SECOND, {"map-0": "one"})
        await agent.passes(3 * DAY, HOUR)
    assert agent.ended() == "held"
    assert await place.texts(*MANY) == MANY
    assert [line["event"] for line in lines].count("commit is held until it is confirmed") == 1
    assert len(agent.tries) > 10, "it is looked at again and again"

    await confirm_commit(place.cluster, place.syncer.store.inventory_key, SECOND)
    await agent.passes(CONFIRMED_WITHIN + 1, 1.0)
    assert await place.texts(*MANY) == {**dict.fromkeys(MANY), "map-0": "one"}
    assert agent.ended() == "succeeded"
