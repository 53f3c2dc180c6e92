"""Where lines go: a queue and one thread that writes, so that a reader who does not keep up never stops the agent."""

from __future__ import annotations

import os
import queue
import select
import threading
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

#: Lines waiting to be written before further ones are dropped.
QUEUE_LINES = 10_000


class Sink:
    """Writes lines to ``stream`` in order. ``lost_line(count)`` renders the line that tells of dropped ones."""

    def __init__(self, stream: TextIO, lost_line: Callable[[int], str], *, queue_lines: int = QUEUE_LINES) -> None:
        self._stream = stream
        self._lost_line = lost_line
        self._queue: queue.Queue[str | threading.Event | None] = queue.Queue(queue_lines)
        self._lost = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="gitsync-logs", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Hand over one line; never waits, never raises."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def flush(self, timeout: float) -> bool:
        """Wait until what was handed over so far is written; False when ``timeout`` seconds were not enough."""
        written = threading.Event()
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

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            lost, self._lost = self._lost, 0
            self._put(item + "\n" + (self._lost_line(lost) + "\n" if lost else ""))

    def _put(self, text: str) -> None:
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
