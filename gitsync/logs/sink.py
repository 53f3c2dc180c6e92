"""Where lines go: a queue and one thread that writes, so that a reader who does not keep up never stops the agent.

On a terminal the same thread draws what goes on at the bottom, so that nothing is ever written into that.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitsync.logs.bottom import Bottom

#: Lines waiting to be written before further ones are dropped.
QUEUE_LINES = 10_000
#: Seconds between two looks of the clock at the bottom of a terminal.
_TICK = 1.0
#: Seconds after a line for more to come: each time that this thread wakes, the one with the event loop has to wait.
_GATHER = 0.02
#: Lines that are written at once, at most.
_TOGETHER = 100


class _Say(NamedTuple):
    """For the bottom of the terminal."""

    who: int
    text: str
    since: float


class _Hide(NamedTuple):
    """1: the bottom of the terminal is to be left alone; -1: no more."""

    more: int


class Sink:
    """Writes lines to ``stream`` in order. ``lost_line(count)`` renders the line that tells of dropped ones; ``bottom``
    is what a terminal has below the last line."""

    def __init__(
        self,
        stream: TextIO,
        lost_line: Callable[[int], str],
        *,
        queue_lines: int = QUEUE_LINES,
        bottom: Bottom | None = None,
    ) -> None:
        self._stream = stream
        self._lost_line = lost_line
        self.bottom = bottom
        self._queue: queue.Queue[str | threading.Event | _Say | _Hide | None] = queue.Queue(queue_lines)
        #: Set while somebody waits for lines to be written.
        self._hurried = threading.Event()
        self._lost = 0
        #: Whether anything was ever to be at the bottom.
        self._has_said = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="gitsync-logs", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Hand over one line; never waits, never raises."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def say(self, who: int, text: str, since: float) -> None:
        """Have something at the bottom of the terminal (see Bottom); never waits, never raises."""
        self._has_said = True
        self._put_unless_full(_Say(who, text, since))

    def hide(self, timeout: float) -> bool:
        """Have nothing at the bottom of the terminal until ``unhide``; waits until it is so, at most ``timeout``
        seconds. False when there is nothing to undo."""
        if not self._has_said or not self._put_unless_full(_Hide(1)):
            return False
        self.flush(timeout)
        return True

    def unhide(self) -> None:
        """Undo ``hide``."""
        self._put_unless_full(_Hide(-1))

    def flush(self, timeout: float) -> bool:
        """Wait until what was handed over so far is written; False when ``timeout`` seconds were not enough."""
        written = threading.Event()
        self._hurried.set()
        try:
            self._queue.put(written, timeout=timeout)
        except queue.Full:
            return False
        return written.wait(timeout)

    def close(self, timeout: float) -> None:
        """Write what waits, then end the thread. It is left behind when its reader does not take the lines in time."""
        if not self._closed:
            self._closed = True
            if self.flush(timeout):
                self._queue.put(None)
                self._thread.join(timeout)

    def _put_unless_full(self, item: _Say | _Hide) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        lines: list[str] = []
        while (item := self._next()) is not None:
            if isinstance(item, str):
                lines.append(item)
            if lines and (not isinstance(item, str) or self._queue.empty() or len(lines) == _TOGETHER):
                self._put_lines(lines)
                lines.clear()
                self._hurried.wait(_GATHER)
            if isinstance(item, threading.Event):
                self._hurried.clear()
                item.set()
            elif isinstance(item, _Say | _Hide):
                self._on_bottom(item)
        if self.bottom is not None and (last := self.bottom.gone()):
            self._write(last)

    def _next(self) -> str | threading.Event | _Say | _Hide | None:
        """What was handed over next; None at the end. What moves at the bottom of a terminal moves meanwhile."""
        while True:
            try:
                return self._queue.get(timeout=_TICK if self.bottom is not None and self.bottom.is_moving else None)
            except queue.Empty:
                self._put("")

    def _put_lines(self, lines: list[str]) -> None:
        lost, self._lost = self._lost, 0
        self._put("\n".join([*lines, *([self._lost_line(lost)] if lost else ()), ""]))

    def _on_bottom(self, item: _Say | _Hide) -> None:
        if self.bottom is None:
            return
        if isinstance(item, _Say):
            self.bottom.say(*item)
        else:
            self.bottom.hide(item.more)
        self._put("")

    def _put(self, text: str) -> None:
        if self.bottom is not None:
            text = self.bottom.around(text, time.monotonic())
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except (
            OSError,
            ValueError,
            AttributeError,
        ):  # io.UnsupportedOperation is both; a closed stream is a ValueError
            descriptor = -1
        try:
            if descriptor < 0:
                self._stream.write(text)
                self._stream.flush()
            else:
                # Past the stream's buffer: its lock, held by a thread stuck in a write, would be fatal at exit.
                _write_all(descriptor, text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        except (OSError, ValueError):
            self._lost += text.count("\n")  # a closed pipe, a full disk: nobody is left to tell


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # somebody made our terminal non-blocking
            select.select([], [descriptor], [], 1.0)
