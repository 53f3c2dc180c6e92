"""The line at the bottom of a terminal that says what goes on: gone before anything else is written, drawn again after
it. Pure: what there is to write is returned.
"""

from __future__ import annotations

from collections.abc import Callable

from gitsync.api.duration import format_duration
from gitsync.text import DIM, painted, printable

#: To the first column, and nothing to the right of it: how the line goes away.
ERASE = "\r\x1b[K"


class Bottom:
    """What is drawn there. Several may want to say something (a command, and the agent that it runs): the last one
    that does is heard. ``width`` is that of the terminal in columns."""

    def __init__(self, width: Callable[[], int], *, colour: bool) -> None:
        self._width = width
        self._colour = colour
        #: By who says it: the text, and since when it goes on.
        self._said: dict[int, tuple[str, float]] = {}
        self._is_drawn = False
        self._hidden = 0

    @property
    def is_moving(self) -> bool:
        """Whether the line shows seconds, and so has to be drawn again."""
        return bool(self._said) and not self._hidden

    def say(self, who: int, text: str, since: float) -> None:
        """Have ``text`` there, with the seconds since ``since``; "" for nothing more from this one."""
        if text:
            self._said[who] = text, since
        else:
            self._said.pop(who, None)

    def hide(self, more: int) -> None:
        """1: leave the terminal to somebody else; -1: they are done."""
        self._hidden += more

    def around(self, text: str, now: float) -> str:
        """What to write to have ``text`` (whole lines) above the line as it is at ``now``."""
        erase = ERASE if self._is_drawn else ""
        self._is_drawn = self.is_moving
        return erase + text + (self._line(now) if self._is_drawn else "")

    def gone(self) -> str:
        """What to write to have it away for good."""
        self._said.clear()
        return self.around("", 0.0)

    def _line(self, now: float) -> str:
        from rich.cells import set_cell_size

        said, since = list(self._said.values())[-1]
        text = printable(f"{said} · {format_duration(max(0, round(now - since)))}")
        # In the last column the next character would begin another row, which erasing does not reach.
        return painted(set_cell_size(text, self._width() - 1).rstrip(), DIM if self._colour else "")
