"""Lines for people: columns for the time, the level, the commit, the object and what happened.

On a terminal a line has the terminal's width: what happened wraps under its own column, or further left where that is
narrow. Elsewhere (a pipe, a file) one event stays one line, for grep. The author and the subject of a commit stand
where the commit is first spoken of; the structured formats have them on every line.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from cachetools import LRUCache

from gitsync.logs.lines import COUNTS, Line, quoted, shown
from gitsync.text import BOLD, CYAN, DIM, GREEN, RED, YELLOW, painted, printable, shorten

#: Columns of a terminal that does not say how wide it is.
USUAL_WIDTH = 120
#: Fields of which the first that a line has is what it is about, and the kind that goes without saying in that field.
_ABOUT = {"object": "", "release": "HelmRelease/", "kustomization": "Kustomization/", "repository": "", "file": ""}
#: A line of a whole sync is about the Kustomization that it is of.
_SYNC = "sync"
#: Said as a sentence after the event.
_REASONS = ("why", "error", "warning")
#: Fields whose values say by themselves what they are.
_PLAIN = frozenset({"chart"})
_WAITING = re.compile(r"waiting\b")
_LEVEL_STYLES = {"debug": DIM, "warning": YELLOW, "error": RED + BOLD, "critical": RED + BOLD}
_LEVEL_NAMES = {"warning": "WARN", "critical": "FATAL"}
#: Characters of a short commit.
_COMMIT = 7
#: Where the object begins: after ``03:29:14 ERROR f9fd86f ``.
_OBJECT_AT = 23
_OBJECT_WIDTHS = (20, 32)
#: Columns in which sentences are good to read, and fewer of which are better than none.
_COMFORTABLE, _BEARABLE = 45, 30
#: Characters of a field that is neither a reason nor a hint: all of it is shown with ``verbose``.
_LONGEST = 100
#: Commits whose author and subject were said lately.
_MOST_COMMITS = 1000


class Word(NamedTuple):
    """A piece of text that is not to be broken, and its colour. ``breaks``: it begins a row of its own."""

    text: str
    style: str = ""
    breaks: bool = False


class Console:
    """Writes the lines of one log. ``width`` says how many columns there are, and is None where nothing is wrapped;
    ``verbose`` shows from which file and line an object came."""

    def __init__(self, *, colour: bool = False, width: Callable[[], int] | None = None, verbose: bool = False) -> None:
        self._colour = colour
        self._width = width
        self._verbose = verbose
        self._introduced: LRUCache[str, bool] = LRUCache(_MOST_COMMITS)
        self._lock = threading.Lock()

    def text(self, line: Line) -> str:
        """One event, without the end of its last row."""
        width = self._width() if self._width is not None else None
        fields = dict(line.fields)
        about = _take_about(fields)
        commit = printable(str(fields.pop("commit", "")))[:_COMMIT]
        by = _author(line, fields) if self._is_new(commit, fields) else ""
        for name in ("author", "subject", *(() if self._verbose else ("origin",))):
            fields.pop(name, None)
        traceback = str(fields.pop("traceback", ""))
        if width is None and traceback:
            fields["traceback"] = traceback
        longest = None if width is None or self._verbose else _LONGEST
        words = [*_event(line, fields), *_words(by), *_rest(fields, longest)]
        rows = self._rows(self._head(line, commit), about, words, width)
        if width is not None:
            rows += [" " * 9 + printable(row) for row in traceback.splitlines()]
        return "\n".join(rows)

    def _is_new(self, commit: str, fields: dict[str, Any]) -> bool:
        """Whether this line is the one that says whose commit it is."""
        if not commit or not (fields.get("author") or fields.get("subject")):
            return False
        with self._lock:
            known = commit in self._introduced
            self._introduced[commit] = True
        return not known

    def _head(self, line: Line, commit: str) -> str:
        clock = datetime.fromtimestamp(line.time).strftime("%H:%M:%S")
        level = printable(_LEVEL_NAMES.get(line.level, line.level.upper()))
        style = _LEVEL_STYLES.get(line.level, "")
        columns = (self._paint(clock, DIM), self._paint(level, style) + " " * (5 - len(level)))
        return " ".join((*columns, self._paint(commit, DIM) + " " * (_COMMIT - len(commit)), ""))

    def _rows(self, head: str, about: str, words: list[Word], width: int | None) -> list[str]:
        column = _object_width(width)
        taken = _columns(about)
        if width is None:
            text = self._painted(words)
            return [f"{head}{self._paint(about, CYAN)}{' ' * max(0, column - taken)} {text}"]
        at = _OBJECT_AT + column + 1
        if taken > column:  # it pushes what happened to the right, or onto the next row
            words, first = [Word(about, CYAN), *words], _OBJECT_AT
        else:
            head, first = f"{head}{self._paint(about, CYAN)}{' ' * (column - taken)} ", at
        hanging = next((left for left in (at, _OBJECT_AT) if width - left >= _COMFORTABLE), 2)
        if width - first < _BEARABLE:
            first = width  # nothing fits beside it
        begin, *others = wrapped(words, width - first, width - hanging)
        rows = [(head + self._painted(begin)).rstrip()]
        return rows + [" " * hanging + self._painted(row) for row in others]

    def _painted(self, words: Iterable[Word]) -> str:
        runs = groupby(words, lambda word: word.style)
        return " ".join(self._paint(" ".join(word.text for word in run), style) for style, run in runs)

    def _paint(self, text: str, style: str) -> str:
        return painted(text, style) if self._colour else text


def wrapped(words: Iterable[Word], first: int, others: int) -> list[list[Word]]:
    """``words`` in rows: the first of ``first`` columns, and may be empty, the others of ``others``. What is wider than
    a row is cut."""
    rows: list[list[Word]] = [[]]
    room = first
    for word in words:
        needed = _columns(word.text) + bool(rows[-1])
        if needed > room or word.breaks:
            pieces = _pieces(word, others)
            rows += [[piece] for piece in pieces]
            room = others - _columns(pieces[-1].text)
        else:
            rows[-1].append(word)
            room -= needed
    return rows


def _columns(text: str) -> int:
    """How many columns a printable text takes: some letters take two, or none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _pieces(word: Word, width: int) -> list[Word]:
    if _columns(word.text) <= width:
        return [word]
    from rich.cells import chop_cells

    return [Word(piece, word.style) for piece in chop_cells(word.text, max(2, width))] or [word]


def _object_width(width: int | None) -> int:
    least, most = _OBJECT_WIDTHS
    return most if width is None else min(most, max(least, width * 3 // 10))


def _take_about(fields: dict[str, Any]) -> str:
    """What a line is about, which is taken out of ``fields``; "" when it is about everything."""
    for name, kind in _ABOUT.items():
        value = fields.get(name)
        if isinstance(value, str) and value and not _is_address(name, value):
            del fields[name]
            if name == "repository" and (of := fields.pop("kind", "")):
                kind = f"{of}/"
            return printable(kind + value)
    value = fields.pop(_SYNC, "")
    return printable(f"Kustomization/{value}") if value else ""


def _is_address(name: str, value: str) -> bool:
    """Whether this is where a repository is, and not the name of its object."""
    return name == "repository" and (":" in value or value.startswith(("/", ".")))


def _author(line: Line, fields: dict[str, Any]) -> str:
    """Whose commit it is: ``by Ann "redis: new image"``."""
    author, subject = str(fields.get("author", "")), str(fields.get("subject", ""))
    text = " ".join(["by", printable(author)] * bool(author) + [_in_quotes(subject)] * bool(subject))
    return text if line.event.startswith("sync started") else f"(commit {text})"


def _event(line: Line, fields: dict[str, Any]) -> Iterator[Word]:
    """The event, and its reason if it has one; that is taken out of ``fields``."""
    style = _LEVEL_STYLES.get(line.level, BOLD)
    waiting = _WAITING.match(line.event) is not None and "for" in fields
    reasons = [("", fields.pop("for"))] if waiting else []
    reasons += [(RED if name == "error" else "", fields.pop(name)) for name in _REASONS if name in fields]
    link = " for" if waiting else ":" if reasons else ""
    yield from _words(printable(line.event) + link, style)
    for number, (colour, reason) in enumerate(reasons, 1):
        end = ";" if number < len(reasons) else ""
        yield from _words(printable(shown("", reason)) + end, colour)


def _rest(fields: dict[str, Any], longest: int | None) -> Iterator[Word]:
    """Fields by their names, and the hint last, in a row of its own. Counts of nothing are no news; of more than
    ``longest`` characters the rest is left out."""
    hint = fields.pop("hint", "")
    for name, value in fields.items():
        if name in COUNTS and value == 0:
            continue
        label = "" if name in _PLAIN else f"{printable(name)}="
        text = shown(name, value)
        yield from _words(label + quoted(text if longest is None else shorten(text, longest)), DIM)
    if hint:
        first, *others = _words(f"hint: {printable(str(hint))}", GREEN)
        yield first._replace(breaks=True)
        yield from others


def _words(text: str, style: str = "") -> Iterator[Word]:
    return (Word(word, style) for word in text.split(" ") if text)


def _in_quotes(text: str) -> str:
    return printable(json.dumps(text, ensure_ascii=False))
