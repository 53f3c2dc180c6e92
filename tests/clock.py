"""Time that passes when a test wants it to: nobody waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Stands in for the module ``time`` of one module: ``monkeypatch.setattr(connection, "time", Clock())``."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """As ``time.monotonic``, and ahead of it."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


@contextmanager
def jumping_clock() -> Iterator[None]:
    """The clock of the running event loop stands still while something is to be done, and jumps to the next timer when
    nothing is. For code that waits for timers and events of its own only: what a socket, a thread or a process brings
    comes after any timer.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    now = loop.time()
    selector = loop._selector  # type: ignore[attr-defined]
    select = selector.select

    def jump(timeout: float | None = None) -> object:
        nonlocal now
        found = select(0 if timeout else timeout)
        if timeout and not found:
            now += timeout
        return found

    loop.time = lambda: now  # type: ignore[method-assign]
    selector.select = jump
    try:
        yield
    finally:
        del loop.time, selector.select
