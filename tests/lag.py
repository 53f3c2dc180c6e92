"""Whether the event loop goes on while something large is worked on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

#: Seconds that nothing else may be held up.
LIMIT = 0.05
ROUNDS = 5


async def goes_on(work: Callable[[], Awaitable[object]], in_one_go: Callable[[], object]) -> None:
    """Fail when the loop is held up by ``work``. ``in_one_go`` is what would hold it up for as long as it takes."""
    found = [(await lag_during(work), _seconds_of(in_one_go)) for _ in range(ROUNDS)]
    # The best of some rounds, for the machine has other work, too; on a slow one, held against what it can do.
    assert any(lag < max(LIMIT, once / 3) for lag, once in found), found


async def stays_below(limit: float, work: Callable[[], Awaitable[object]]) -> None:
    """Fail when the loop is held up for ``limit`` seconds in each of some rounds: other work may be to blame in one."""
    found: list[float] = []
    for _ in range(ROUNDS):
        found.append(await lag_during(work))
        if found[-1] < limit:
            return
    raise AssertionError(f"the loop was held up for {found} seconds, at the best for more than {limit:g}")


async def lag_during(work: Callable[[], Awaitable[object]]) -> float:
    """The longest time, in seconds, in which the loop did nothing else while ``work`` went on."""
    longest, last = 0.0, time.perf_counter()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        await work()
        await asyncio.sleep(0)  # work that never lets go of the loop has held it up until now
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
    return longest


def _seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
