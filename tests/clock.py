"""Clocks that a test sets, so that it need not wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
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
    """The clock of the running event loop stands still while something is to be done, and jumps to the next timer
    when nothing is. Only for code that waits for its own timers and events: an answer of a socket, a thread or a
    process comes after all timers."""
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


class LoopClock:
    """The event loop's clock, which can be put ahead."""

    def __init__(self, time_of_loop: Callable[[], float]) -> None:
        self._time, self._ahead = time_of_loop, 0.0

    def time(self) -> float:
        """As ``time.monotonic``."""
        return self._time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the clock ahead: timers that are due by then run as soon as the loop goes on."""
        self._ahead += seconds


@contextmanager
def clock_put_ahead() -> Iterator[LoopClock]:
    """The clock of the running event loop goes on as usual, and can be put ahead by hand. For code that talks to
    real servers, too: before it is put ahead, no answer may be awaited, since its timeout would pass."""
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop.time)
    loop.time = clock.time  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        del loop.time
