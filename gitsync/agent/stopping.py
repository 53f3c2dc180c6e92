"""Stopping the process on a signal, also when something in it hangs."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

from gitsync.logs import has_status_line

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
#: Before the last words: a status line may still be at the bottom of the terminal.
_BELOW: Final = "\n"
#: Seconds for standard error to take the last words.
_PATIENCE: Final = 0.5
#: Seconds after which an alarm of the kernel ends the process if it cannot do so itself.
_BEYOND: Final = 2.0
#: What the thread that waits for signals reads when it is to end.
_OVER: Final = b"\0"
_LAST_WORDS: Final = (
    "gitsync has not come to its end within {seconds:g}s of {name} and is left: what was under way is taken up at the "
    "next start\n"
)


@contextmanager
def told_to_stop(stop: asyncio.Event, leave_after: float | None = None) -> Iterator[None]:
    """Set ``stop`` on SIGINT or SIGTERM. The process exits ``leave_after`` seconds later at the latest (None: it does
    not), also when this block has been left by then: a thread that hangs on foreign input would keep it alive for ever.
    For the main thread.
    """
    ear = _Ear(asyncio.get_running_loop(), stop, leave_after)
    before = {number: signal.signal(number, _heard) for number in _SIGNALS}
    woken = signal.set_wakeup_fd(ear.told, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        ear.over()


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: Python calls handlers in the main thread, once that is free. ``_Ear`` does not wait for that."""


class _Ear:
    """A thread that reads signals from a pipe (``signal.set_wakeup_fd``). It is there from the start, since by then the
    main thread may be in a call that does not return, the loop busy, and a new thread may not start."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event, leave_after: float | None) -> None:
        self._loop = loop
        self._stop = stop
        self._leave_after = leave_after
        self._listens, self.told = os.pipe()
        os.set_blocking(self.told, False)  # as set_wakeup_fd demands
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def over(self) -> None:
        """No more signals come. Those that have come count all the same."""
        with suppress(BlockingIOError):  # the pipe is full: it has enough to read
            os.write(self.told, _OVER)

    def _listen(self) -> None:
        since: float | None = None
        number = 0
        while True:
            left = None if since is None or self._leave_after is None else since + self._leave_after - time.monotonic()
            if left is not None and left <= 0:
                _say_and_leave(self._leave_after or 0.0, number)
            if not _ready(self._listens, select.POLLIN, left):
                continue
            heard = os.read(self._listens, 64)
            if (told := next((it for it in heard if it in _SIGNALS), 0)) and since is None:
                since, number = time.monotonic(), told
                self._tell(number)
            if _OVER in heard and (since is None or self._leave_after is None):
                break
        os.close(self._listens)
        os.close(self.told)

    def _tell(self, number: int) -> None:
        if self._leave_after is not None:
            # Native code that holds the interpreter's lock would stop this thread, too, but not the kernel's alarm.
            signal.setitimer(signal.ITIMER_REAL, self._leave_after + _BEYOND)
        with suppress(RuntimeError):  # the loop has come to its end
            self._loop.call_soon_threadsafe(self._stop.set)


def _say_and_leave(seconds: float, number: int) -> NoReturn:
    # Not by the log, which may have been closed; and only if the pipe takes it, since that may be what hangs.
    words = _LAST_WORDS.format(seconds=seconds, name=signal.Signals(number).name)
    with suppress(OSError):
        if _ready(2, select.POLLOUT, _PATIENCE):
            os.write(2, f"{_BELOW if has_status_line() else ''}{words}".encode())
    os._exit(128 + number)


def _ready(descriptor: int, event: int, seconds: float | None) -> bool:
    """Whether ``descriptor`` can be read, or written to, within so many seconds (None: wait for ever)."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
