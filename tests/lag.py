"""Measures whether the event loop goes on while something large is worked on. Time that the process waits for a core
is left out: it depends on other processes alone."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds that the event loop may be held up.
LIMIT = 0.03
ROUNDS = 5
#: What Linux says of the thread that reads it: nanoseconds on a core, nanoseconds of waiting for one, turns.
_TURNS = Path("/proc/thread-self/schedstat")


async def goes_on(work: Callable[[], Awaitable[object]], in_one_go: Callable[[], object]) -> None:
    """Fail when the loop is held up by what ``work`` computes, on the loop or elsewhere with the interpreter's lock.
    ``in_one_go`` is what would hold it up for as long as it takes."""
    found = [(await lag_during(work, time.process_time), _seconds_of(in_one_go)) for _ in range(ROUNDS)]
    # The best of some rounds, for a thread without the lock may have worked meanwhile; on a slow machine, held against
    # what that can do.
    assert any(lag < max(LIMIT, once / 3) for lag, once in found), found


async def stays_below(limit: float, work: Callable[[], Awaitable[object]]) -> None:
    """Fail when the event loop is held up for ``limit`` seconds in each of some rounds, by work or by waiting for a
    core: in one round that may be another process's work."""
    found: list[float] = []
    for _ in range(ROUNDS):
        found.append(await lag_during(work, time_with_a_core))
        if found[-1] < limit:
            return
    raise AssertionError(f"the loop was held up for {found} seconds, at the best for more than {limit:g}")


async def lag_during(work: Callable[[], Awaitable[object]], clock: Callable[[], float]) -> float:
    """The longest time, in seconds of ``clock``, in which the loop did nothing else while ``work`` went on."""
    longest, last = 0.0, clock()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            now = clock()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        with _uncollected():
            await work()
            await asyncio.sleep(0)  # work that never lets go of the loop has held it up until now
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
    return longest


def time_with_a_core() -> float:
    """A clock, in seconds, that stands still while this thread could run and has no core."""
    waited = _waited()
    while True:
        now = time.perf_counter()
        before, waited = waited, _waited()
        if waited == before:  # otherwise it has waited between the two, and the one knows of it and the other does not
            return now - waited


def _waited() -> float:
    """Seconds in which this thread could run and had no core; 0 where the system does not tell."""
    try:
        return int(_TURNS.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def _seconds_of(work: Callable[[], object]) -> float:
    started = time.thread_time()
    with _uncollected():
        work()
    return time.thread_time() - started


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: its time depends on what all tests before have made."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
