"""Doing several things at once, without leaving a task behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from gitsync.errors import RetryableError

T = TypeVar("T")


async def finish_all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all of it, whatever fails. Returns the results in its order; raises the first failure after all have ended."""
    results = await asyncio.gather(*work, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def in_time(work: Awaitable[T], seconds: float, what: str) -> T:
    """The result of ``work``, within ``seconds``. ``what`` begins the error: "release default/app has not been
    rendered" becomes "release default/app has not been rendered within 60s".

    Raises: RetryableError.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise RetryableError(f"{what} within {seconds:g}s") from None


async def until_one_fails(*work: Awaitable[Any]) -> None:
    """Do all of it; the first failure ends the rest, and is raised when that has ended."""
    await _do(work, asyncio.FIRST_EXCEPTION)


@asynccontextmanager
async def as_one() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks, and the body: the first failure ends the rest, and is raised when that has ended. Leaving waits
    for all."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def until_one_ends(*work: Awaitable[Any]) -> None:
    """Do all of it until the first ends, well or badly, and end the rest. Raises what the first has failed with."""
    await _do(work, asyncio.FIRST_COMPLETED)


async def _do(work: Iterable[Awaitable[Any]], until: str) -> None:
    tasks = [asyncio.ensure_future(item) for item in work]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Do ``work`` while the body runs, which is given its task; leaving waits for it. What it raises is raised on
    leaving, unless the body has raised something itself.
    """
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        failure = task.exception()
    if failure is not None:
        raise failure
