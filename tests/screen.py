"""A terminal, as far as gitsync uses one: text, line ends, colours, and taking back the last line."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import unicodedata

from rich.cells import cell_len

#: Categories of what a terminal may act on, of what has no place, and of what turns text around.
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
_PIECE = re.compile(r"\x1b\[[0-9]*m|\x1b\[K|[\r\n]|[^\x00-\x1f\x7f-\x9f]+|.", re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9]*m")


class Screen:
    """What a terminal shows: ``rows``, the last of which is being written. Also what should not occur: ``steering``
    are texts that would steer a terminal, ``too_long`` rows that it would break."""

    def __init__(self, width: int = 120) -> None:
        self.width = width
        self.rows = [""]
        self.steering: list[str] = []
        self.too_long: list[str] = []
        self._column = 0

    def feed(self, text: str) -> None:
        """Show a text that was written."""
        for piece in _PIECE.findall(text):
            if piece == "\n":
                self._end_row()
                self.rows.append("")
                self._column = 0
            elif piece == "\r":
                self._column = 0
            elif piece == "\x1b[K":
                self.rows[-1] = self.rows[-1][: self._column]
            elif not _COLOUR.fullmatch(piece):
                self.steering += [letter for letter in piece if unicodedata.category(letter) in STEERING]
                row = self.rows[-1]
                self.rows[-1] = row[: self._column] + piece + row[self._column + len(piece) :]
                self._column += len(piece)

    def _end_row(self) -> None:
        if cell_len(self.rows[-1]) > self.width:
            self.too_long.append(self.rows[-1])

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.rows)


class Terminal:
    """A pseudo terminal with a screen. Programs get ``slave`` for their output; ``seen`` is all that was ever written
    to it."""

    def __init__(self, width: int = 120) -> None:
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        self.screen = Screen(width)
        self.seen = ""
        #: The texts that stood in the last row, the status line.
        self.bottoms: list[str] = []
        self.is_closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Let go of it, once all that was written has been read."""
        self.is_closed = True
        os.close(self.slave)
        self._reader.join(30)
        os.close(self._master)

    def _read(self) -> None:
        data = b""
        try:
            while True:
                data += os.read(self._master, 65_536)
                whole, data = _whole(data)
                self.seen += whole
                self.screen.feed(whole)
                if self.screen.rows[-1] not in ("", *self.bottoms[-1:]):
                    self.bottoms.append(self.screen.rows[-1])
        except OSError:  # the other end is closed
            return


def _whole(data: bytes) -> tuple[str, bytes]:
    """What can be shown of it: characters and escape codes that have come to their end; and the rest."""
    end = len(data)
    escape = data.rfind(b"\x1b", max(0, end - 8))
    if escape >= 0 and not re.match(rb"\x1b\[[0-9]*[mK]", data[escape:]):
        end = escape
    for cut in range(end, max(0, end - 4), -1):
        try:
            return data[:cut].decode(), data[cut:]
        except UnicodeDecodeError:
            continue
    return data[:end].decode(errors="replace"), data[end:]
