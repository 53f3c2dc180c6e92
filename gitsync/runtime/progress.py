"""Reasons for waiting, passed up to whoever asked for the work.

Waits happen deep in the work and in many places, so the listener is not a parameter but belongs to the context: inside
``with reporting(report):``, each ``await report("Deployment/default/a: 0 of 1 replicas ready")`` reaches ``report``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context, ContextVar, copy_context

from gitsync.errors import GitsyncError

#: A listener: is given a reason. It returns True to be told again soon, also when the reason is still the same.
Report = Callable[[str], Awaitable[bool | None]]

#: Seconds before the first reason of a wait, and between two: most waits are over by then, and are not worth a line.
SILENCE = 1.0
_listener: ContextVar[Report | None] = ContextVar("listener", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Make ``report`` the listener of the body: it is told what is waited for, and why that is not ready."""
    token = _listener.set(report)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Report | None:
    """The listener here, None when there is none; for a new listener that passes reasons on to it."""
    return _listener.get()


async def report(reason: str) -> bool:
    """Tell the listener here, if there is one, what is waited for. True when it asks to be told again."""
    told = _listener.get()
    return told is not None and bool(await told(reason))


@asynccontextmanager
async def telling(reason: Callable[[], str]) -> AsyncIterator[None]:
    """Tell the listener here ``reason()`` every SILENCE seconds while the body runs; nothing while that is ""."""
    task: asyncio.Task[None] | None = None

    async def tell() -> None:
        again = True
        with suppress(GitsyncError):  # the listener could not pass it on, which must not end the wait itself
            while again:
                again = await report(why) if (why := reason()) else True
                await asyncio.sleep(SILENCE)

    loop, inside = asyncio.get_running_loop(), copy_context()

    def begin() -> None:
        nonlocal task
        task = loop.create_task(tell(), context=inside)

    # A timer, so that the many waits that are over sooner make no task. Its context is empty, since a cancelled timer
    # is kept until its time, and would keep the listener with it.
    silence = loop.call_later(SILENCE, begin, context=Context())
    try:
        yield
    finally:
        silence.cancel()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
