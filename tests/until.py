"""Waiting for something that sends no event: another process, a server, a file. The only place where tests of this
kind sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two looks, the first and the longest, and by how much each is longer than the one before: a long wait
#: leaves the machine to what is waited for.
_FIRST, _LAST, _GROWTH = 0.01, 0.1, 1.2
#: The longest pause in seconds after a question that took as long itself.
_LONGEST = 1.0


async def until(condition: Callable[[], object] | Callable[[], Awaitable[object]], timeout: float = 60.0) -> None:  # noqa: ASYNC109
    """Return when ``condition`` is true, be it a coroutine function or not. Raises: TimeoutError."""
    async with asyncio.timeout(timeout):
        for pause in _pauses():
            found = condition()
            if await found if isawaitable(found) else found:
                return
            await asyncio.sleep(pause)


def ask_until(ask: Callable[[], T], done: Callable[[T], object], what: str, timeout: float = 60.0) -> T:
    """The first answer of which ``done`` is true; ``what`` says what is waited for. Raises: AssertionError."""
    deadline, pauses = time.monotonic() + timeout, _pauses()
    while True:
        began = time.monotonic()
        if done(answer := ask()):
            return answer
        now = time.monotonic()
        assert now < deadline, f"not within {timeout:g} s: {what}: {answer}"
        # A program that is asked, such as kubectl, takes the processor from what is waited for: half the time at most.
        time.sleep(max(next(pauses), min(now - began, _LONGEST)))


def _pauses() -> Iterator[float]:
    pause = _FIRST
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LAST)
