"""What is being waited for, told to whoever asked for the work: waits happen deep in it, and in many places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context, ContextVar, copy_context

from gitsync.errors import GitsyncError

#: Is told a reason. True: tell it again soon, also when it is still the same.
Report = Callable[[str], Awaitable[bool | None]]

#: Seconds that a wait goes on silently, at first and between two reasons: most are over by then, and nobody wants to
#: read about those.
SILENCE = 1.0
_listener: ContextVar[Report | None] = ContextVar("listener", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Inside, ``report`` is told what is waited for: an object and why it is not as it should be."""
    token = _listener.set(report)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Report | None:
    """Who is told here what is waited for: to be told on by who listens in its place."""
    return _listener.get()


async def report(reason: str) -> bool:
    """Tell it to whoever listens here, if anybody does. True when they ask to be told again."""
    told = _listener.get()
    return told is not None and bool(await told(reason))


@asynccontextmanager
async def telling(reason: Callable[[], str]) -> AsyncIterator[None]:
    """Whoever listens here is told why the body takes so long, if it takes longer than SILENCE; nothing as long as the
    reason is ""."""
    task: asyncio.Task[None] | None = None

    async def tell() -> None:
        again = True
        with suppress(GitsyncError):  # who listens could not pass it on; the wait itself is none the worse for it
            while again:
                again = await report(why) if (why := reason()) else True
                await asyncio.sleep(SILENCE)

    loop, inside = asyncio.get_running_loop(), copy_context()

    def begin() -> None:
        nonlocal task
        task = loop.create_task(tell(), context=inside)

    # No task for the many that are over sooner. A timer that is cancelled keeps its context until its time, and with
    # that whoever listens: so it has an empty one.
    silence = loop.call_later(SILENCE, begin, context=Context())
    try:
        yield
    finally:
        silence.cancel()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
