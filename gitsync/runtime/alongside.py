"""Doing several things at once, and being done with all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all of ``work`` at once. Returns the results in its order; raises the first failure after the others ended."""
    results = await asyncio.gather(*work, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Do ``work`` while the body runs; leaving waits for it. What it raises is raised on leaving, unless the body has
    raised something itself.
    """
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        failure = task.exception()
    if failure is not None:
        raise failure
