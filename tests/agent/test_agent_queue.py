"""The work queue: one pass a key at a time, wakes that come meanwhile are one, interrupts reach the pass under way.

The clock of the event loop is faked: ``sleep`` takes no time, and all that is due by then has been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog
from structlog.testing import capture_logs

from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import report, reporting
from gitsync.runtime.workqueue import WorkQueue
from tests.clock import jumping_clock
from tests.until import until


@pytest.fixture(autouse=True)
async def clock() -> AsyncIterator[None]:
    with jumping_clock():
        yield


class Work:
    """Passes that wait for ``go``, and write down what happened."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.running: dict[str, int] = {}
        self.most = 0
        self.go = asyncio.Event()
        self.answer: float | None = None

    async def __call__(self, key: str, interrupt: Interrupt) -> float | None:
        self.begun.append(key)
        self.running[key] = self.running.get(key, 0) + 1
        self.most = max(self.most, self.running[key])
        waits = [asyncio.create_task(self.go.wait()), asyncio.create_task(interrupt.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self.running[key] -= 1
        self.ended.append(interrupt.reason or key)
        return self.answer


async def test_a_key_that_is_woken_while_it_is_worked_on_gets_one_more_pass_and_never_two_at_once() -> None:
    work = Work()
    queue = WorkQueue(work, "test")
    for _ in range(5):
        queue.wake("a")
    await asyncio.sleep(0)
    for _ in range(5):
        queue.wake("a")
    queue.wake("b")
    work.go.set()
    await asyncio.sleep(1)
    assert work.begun == ["a", "b", "a"]
    assert work.most == 1


async def test_a_pass_that_has_yet_to_begin_sees_what_is_there_and_is_neither_interrupted_nor_repeated() -> None:
    work = Work()
    queue = WorkQueue(work, "test")
    queue.wake("a")
    queue.wake("a", interrupt="it is being removed")
    work.go.set()
    await asyncio.sleep(1)
    assert (work.begun, work.ended) == (["a"], ["a"])


async def test_an_interrupt_ends_the_pass_under_way_and_the_next_one_starts_afresh() -> None:
    work = Work()
    queue = WorkQueue(work, "test")
    queue.wake("a")
    await asyncio.sleep(0)
    queue.wake("a", interrupt="commit 1234567 changes it")
    await asyncio.sleep(0.01)
    assert work.ended == ["commit 1234567 changes it"]
    work.go.set()
    await asyncio.sleep(1)
    assert work.ended == ["commit 1234567 changes it", "a"]


async def test_a_pass_that_asks_to_come_back_does_so_unless_it_is_woken_before() -> None:
    work = Work()
    work.go.set()
    work.answer = 0.01
    queue = WorkQueue(work, "test")
    queue.wake("a")
    await asyncio.sleep(0.095)
    assert len(work.begun) == 10
    work.answer = None
    queue.wake("a")
    await asyncio.sleep(60)
    assert len(work.begun) == 11
    await queue.stop(0)


async def test_what_has_failed_while_something_was_away_is_tried_again_when_that_is_back_and_nothing_else_is() -> None:
    work = Work()
    work.go.set()
    work.answer = 300.0
    queue = WorkQueue(work, "test")
    queue.wake("before")
    await asyncio.sleep(100)
    queue.wake("failed")
    await asyncio.sleep(1)
    work.answer = None
    queue.wake("well")
    await asyncio.sleep(10)
    work.answer = 300.0
    begun = ["before", "failed", "well"]
    assert work.begun == begun
    queue.wake_failed(20)
    await asyncio.sleep(1)
    assert work.begun == [*begun, "failed"]
    await asyncio.sleep(250)
    assert work.begun == [*begun, "failed", "before"]
    await queue.stop(0)
    queue.wake_failed(1000)
    await asyncio.sleep(1)
    assert len(work.begun) == 5


async def test_a_defect_in_a_pass_is_reported_and_takes_nothing_else_down() -> None:
    done = []

    async def work(key: str, interrupt: Interrupt) -> float | None:
        if key == "bad":
            raise ZeroDivisionError
        done.append(key)
        return None

    queue = WorkQueue(work, "test")
    structlog.reset_defaults()
    with capture_logs() as lines:
        queue.wake("bad")
        queue.wake("good")
        await asyncio.sleep(1)
    assert done == ["good"]
    assert [(line["log_level"], line["key"]) for line in lines] == [("error", "bad")]
    await queue.stop(0)


async def test_stopping_lets_passes_end_in_time_and_cancels_the_others() -> None:
    ended = []

    async def work(key: float, interrupt: Interrupt) -> None:
        try:
            await asyncio.sleep(key)
        except asyncio.CancelledError:
            ended.append(("cancelled", key))
            raise
        ended.append(("done", key))

    queue = WorkQueue(work, "test")
    queue.wake(0.01)
    queue.wake(60.0)
    await asyncio.sleep(0)
    await queue.stop(grace=0.2)
    assert ended == [("done", 0.01), ("cancelled", 60.0)]
    queue.wake(0.0)
    await asyncio.sleep(0.01)
    assert len(ended) == 2


@pytest.mark.parametrize("within", [0.02, 60.0])
async def test_a_wake_within_a_time_leaves_an_earlier_one_as_it_is(within: float) -> None:
    work = Work()
    work.go.set()
    queue = WorkQueue(work, "test")
    queue.wake_later("a", 0.02 if within > 1 else 60.0)
    queue.wake_within("a", within)
    await until(lambda: bool(work.begun))
    await queue.stop(grace=1)
    assert len(work.begun) == 1


@pytest.mark.parametrize("woken", [True, False])
async def test_a_later_wake_is_dropped_when_the_key_is_woken_before(woken: bool) -> None:
    work = Work()
    work.go.set()
    queue = WorkQueue(work, "test")
    queue.wake_later("a", 0.05)
    if woken:
        queue.wake("a")
    await asyncio.sleep(0.12)
    assert len(work.begun) == 1


async def test_what_a_pass_reports_is_not_for_whoever_has_woken_it() -> None:
    """A sync lets go of an object and wakes another one by that: what this one waits for is not in its status."""
    told: list[str] = []
    done = asyncio.Event()

    async def listen(reason: str) -> None:
        told.append(reason)

    async def work(key: str, interrupt: Interrupt) -> None:
        await report("something of its own")
        done.set()

    queue: WorkQueue[str] = WorkQueue(work, "test")
    for wake in (queue.wake, lambda key: queue.wake_within(key, 0.01)):
        done.clear()
        with reporting(listen):
            wake("a")
        await asyncio.wait_for(done.wait(), 60)
    assert told == []
    await queue.stop(1.0)
