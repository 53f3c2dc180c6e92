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
    """What ``work`` gives, which computes it one by one as it is asked. What it looks at may change between two slices:
    threads are for what must not be disturbed, this is for what threads may not touch."""
    done: list[T] = []
    due = time.perf_counter() + SLICE
    for result in work:
        done.append(result)
        if time.perf_counter() >= due:
            await asyncio.sleep(0)
            due = time.perf_counter() + SLICE
    return done
