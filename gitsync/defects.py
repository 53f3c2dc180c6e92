"""Defects of gitsync itself: each is said once, and outlived, so that one never ends what others need."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import structlog

from gitsync.backoff import Backoff
from gitsync.logs import Once

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds until what has ended in a defect is tried again: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: What went well for so many seconds is tried again after the first pause when it ends in a defect once more.
HEALTHY = 60.0
_KEPT = 256

#: Which defects were met: by the task's name, and where and about what they were raised.
_met = Once(_KEPT)


def tell_defect(task: str, error: BaseException, **about: Any) -> None:
    """Log a defect that ``task`` has met: with its stack trace the first time, and for whoever debugs after that."""
    where = traceback.extract_tb(error.__traceback__)[-1:]
    if _met.is_news((task, f"{type(error).__name__} {where} {sorted(about.items())}")):
        log.error("a defect in gitsync; please report it", task=task, **about, exc_info=error)
    else:
        log.debug("the same defect in gitsync again", task=task, error=str(error), **about)


@contextmanager
def telling_of_loop() -> Iterator[None]:
    """While entered, what fails in the running loop's own callbacks is said, where nobody waits for it."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_tell_of_loop)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _tell_of_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is None:
        log.warning("event loop complains", what=context["message"])
    else:
        tell_defect("event loop", error, what=context["message"])


async def outlive(task: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do ``work``; when it ends in a defect say so, and do it again after a pause, which grows until it goes well for a
    while. Returns what it returns."""
    pauses: Backoff[str] = Backoff(FIRST_PAUSE, most=LONGEST_PAUSE)
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            return await work()
        except Exception as error:
            tell_defect(task, error)
        if clock() - began >= HEALTHY:
            pauses.reset(task)
        await asyncio.sleep(pauses.next(task))


@asynccontextmanager
async def outliving(task: str, *works: Callable[[], Coroutine[Any, Any, object]]) -> AsyncIterator[None]:
    """While entered, each of ``works`` is done in a task of its own, which outlives defects; they are cancelled at the
    end, and waited for."""
    tasks = [asyncio.create_task(outlive(task, work), name=task) for work in works]
    try:
        yield
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
