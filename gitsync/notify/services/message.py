"""What a chat gets: one heading and a line for each object, within the bounds of the service. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitsync.notify.notice import CONTROLLER, Notice
from gitsync.text import shorten

#: Characters of a heading, and of one line among several.
MOST_HEADING, MOST_LINE = 200, 500
MOST_FACTS, MOST_FACT = 10, 300
#: Facts that the heading says already.
_SAID = frozenset({"commit", "author", "subject"})
RED, GREEN = "#d00000", "#2e9e44"
_ROOM_FOR_REST = 24


@dataclass(frozen=True, slots=True)
class Message:
    """``text`` has a line for each object; ``facts`` are what Alerts add, and the revision of a single event."""

    heading: str
    text: str
    facts: tuple[tuple[str, str], ...]
    is_error: bool
    username: str

    @property
    def color(self) -> str:
        """``#rrggbb``."""
        return RED if self.is_error else GREEN

    def plain(self) -> str:
        """All of it as text."""
        facts = "\n".join(f"{name}: {value}" for name, value in self.facts)
        return "\n".join(filter(None, (self.heading, self.text, facts)))


def message_of(notices: Sequence[Notice], limit: int, username: str = "") -> Message:
    """One message about events of one commit, or about a single event; its text has at most ``limit`` characters. What
    went wrong comes first."""
    ordered = sorted(notices, key=lambda notice: notice.severity != "error")
    first = ordered[0]
    lines = [f"{notice.about}: {notice.message}" for notice in ordered]
    heading = commit_line(first)
    if not heading:
        heading, lines = first.about, [first.message]
    facts = _facts(ordered)
    is_error = first.severity == "error"
    return Message(shorten(heading, MOST_HEADING), fitted(lines, limit), facts, is_error, username or CONTROLLER)


def commit_line(notice: Notice) -> str:
    """``commit 3f2a91c by Ann: redis: persistence off``; as far as it is known."""
    commit = notice.commit
    if commit is None or not commit.id:
        return ""
    by = f" by {commit.author}" if commit.author else ""
    return f"commit {commit.short}{by}" + (f": {commit.subject}" if commit.subject else "")


def fitted(lines: Sequence[str], limit: int) -> str:
    """As many whole lines as have room, and how many more there are."""
    if len(lines) == 1:
        return shorten(lines[0], limit)
    kept: list[str] = []
    used = 0
    for index, line in enumerate(lines):
        line = shorten(" ".join(line.split()), MOST_LINE)
        room = limit if index == len(lines) - 1 else limit - _ROOM_FOR_REST
        if used + len(line) + 1 > room:
            return "\n".join([*kept, f"... and {len(lines) - index} more"])
        kept.append(line)
        used += len(line) + 1
    return "\n".join(kept)


def _facts(notices: Sequence[Notice]) -> tuple[tuple[str, str], ...]:
    """The facts that all notices of a batch have alike; the revision only of a single one."""
    found = notices[0].facts()
    for other in notices[1:]:
        theirs = other.facts()
        found = {name: value for name, value in found.items() if theirs.get(name) == value}
    said = _SAID if notices[0].commit is not None else frozenset()
    kept = [(name, shorten(value, MOST_FACT)) for name, value in found.items() if name not in said and value]
    return tuple(kept[:MOST_FACTS])
