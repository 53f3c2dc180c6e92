"""What is being waited for, told to whoever asked for the work: waits happen deep in it, and in many places."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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


async def report(reason: str) -> bool:
    """Tell it to whoever listens here, if anybody does. True when they ask to be told again."""
    report = _listener.get()
    return report is not None and bool(await report(reason))
