"""What holds the loop up is told from what does not (tests/lag.py)."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

from tests import lag
from tests.lag import LIMIT, goes_on, lag_during, stays_below, time_with_a_core

#: Seconds; several times what a slow machine may take for anything else.
LONG = 6 * LIMIT


def compute(seconds: float = LONG) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(100))


async def test_work_on_the_loop_is_found() -> None:
    async def work() -> None:
        compute()

    with pytest.raises(AssertionError):
        await goes_on(work, lambda: None)
    with pytest.raises(AssertionError, match="the loop was held up"):
        await stays_below(LONG / 2, work)


async def test_work_elsewhere_that_keeps_the_lock_of_the_interpreter_is_found() -> None:
    large = [{"name": f"name {number}", "values": list(range(10))} for number in range(1000)]
    started = time.thread_time()
    json.dumps(large)
    larger = large * int(2 * LONG / (time.thread_time() - started))

    with pytest.raises(AssertionError):
        await goes_on(lambda: asyncio.to_thread(json.dumps, larger), lambda: None)


async def test_waiting_on_the_loop_is_found() -> None:
    async def work() -> None:
        time.sleep(LONG)  # noqa: ASYNC251  # which is what is to be found

    with pytest.raises(AssertionError, match="the loop was held up"):
        await stays_below(LONG / 2, work)


async def test_work_in_a_thread_that_lets_go_of_the_lock_is_none_of_it() -> None:
    await goes_on(lambda: asyncio.to_thread(compute), compute)
    await stays_below(LONG, lambda: asyncio.to_thread(compute))


async def test_waiting_for_others_is_none_of_it() -> None:
    assert await lag_during(lambda: asyncio.sleep(LONG), time.process_time) < LIMIT
    assert await lag_during(lambda: asyncio.sleep(LONG), time_with_a_core) < LONG


def test_a_wait_for_a_core_while_the_clock_is_read_is_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waited, moments = iter([1.0, 6.0, 6.0]), iter([105.0, 106.0])
    monkeypatch.setattr(lag, "_waited", lambda: next(waited))
    monkeypatch.setattr(lag, "time", SimpleNamespace(perf_counter=lambda: next(moments)))
    assert time_with_a_core() == 100.0, "by the first reading it would be 104 or 99"
