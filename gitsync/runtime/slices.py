"""Long computations on the event loop, a slice at a time: everything else goes on between two of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

#: Seconds of work after which others have their turn.
SLICE = 0.01


async def in_slices(work: Iterable[T]) -> list[T]:
    """All items of ``work``, which computes each when it is asked for the next. The loop's other tasks run between two
    slices and may change what ``work`` looks at. For data that only the loop's thread may touch; else use a thread."""
    done: list[T] = []
    due = time.perf_counter() + SLICE
    for result in work:
        done.append(result)
        if time.perf_counter() >= due:
            await asyncio.sleep(0)
            due = time.perf_counter() + SLICE
    return done
