"""How a process that is told to stop comes to its end, whatever hangs in it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gitsync.logs import has_status_line

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: On a terminal there may be a status line, which nobody takes away any more.
_BELOW = "\n"
#: Seconds in which the last words are to be taken.
_PATIENCE = 0.5
_LAST_WORDS = (
    "gitsync has not come to its end within {seconds:g}s of {name} and is left: what was under way is taken up at the "
    "next start\n"
)


@contextmanager
def told_to_stop(stop: asyncio.Event, leave_after: float | None = None) -> Iterator[None]:
    """Set ``stop`` when a signal says so. The process is left ``leave_after`` seconds later (None: never), also after
    this has been left itself: a thread that somebody else's input holds would keep it for ever.
    """
    loop = asyncio.get_running_loop()

    def told(number: int, _frame: FrameType | None) -> None:
        # Not the loop's own way: that one is heard by a loop that is busy only when it is done.
        loop.call_soon_threadsafe(stop.set)
        if leave_after is not None:
            _after(leave_after, number)

    before = {number: signal.signal(number, told) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _after(seconds: float, number: int) -> None:
    def leave() -> None:
        # Not by the log, which may have come to its end.
        words = _LAST_WORDS.format(seconds=seconds, name=signal.Signals(number).name)
        text = f"{_BELOW if has_status_line() else ''}{words}".encode()
        saying = threading.Thread(target=os.write, args=(2, text), daemon=True)
        saying.start()
        saying.join(_PATIENCE)  # that nobody reads the log may be what hangs
        os._exit(128 + number)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
