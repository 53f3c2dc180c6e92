"""How a commit went: its objects in the order of their turns, and on one axis what each was at and waited for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gitsync.live.commits import RecordedCommit
from gitsync.sync.storage.history import JournalChange, JournalEntry, Span

#: Seconds in which nothing was done that are left out of the axis, and what is shown in their place, as a share.
_PAUSE: Final = 30.0
_FOLD: Final = 0.03
#: The least width of a bar, of 100.
_LEAST: Final = 0.6
#: What a bar is called whose object did not become ready by its end.
FAILED: Final = "failed"
#: Seconds from which on a wait is told in words, and how many of them.
_WORTH_TELLING: Final = 0.05
_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of an object's way, on an axis of 100; ``goes_on``: it is at that now."""

    kind: str
    x: float
    width: float
    what: str
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """What an object waited for, or was at, in seconds."""

    seconds: float
    what: str


@dataclass(frozen=True, slots=True)
class Line:
    """One object: what was done, when it had its turn in seconds since the commit's first sync began (None: nobody
    noted it), its way, and the longest of what it waited for."""

    change: JournalChange
    begin: float | None
    bars: Sequence[Bar] = ()
    waits: Sequence[Wait] = ()


@dataclass(frozen=True, slots=True)
class Waterfall:
    """``lines`` are by Kustomization, "" for the sync itself; ``length`` is that of the axis and ``left_out`` what
    of the time is not on it, both in seconds."""

    lines: Mapping[str, Sequence[Line]]
    length: float
    left_out: float

    @property
    def is_timed(self) -> bool:
        """Whether there is anything to draw."""
        return any(line.bars for lines in self.lines.values() for line in lines)

    @property
    def has_failed(self) -> bool:
        """Whether something did not become ready that was waited for."""
        return any(bar.kind == FAILED for lines in self.lines.values() for line in lines for bar in line.bars)


def waterfall(item: RecordedCommit, since: float = 0.0) -> Waterfall:
    """Of all that a commit did, its Kustomizations included. What is under way has gone on for as many seconds as it
    was noted ``since``."""
    entries = {**({"": item.root} if item.root is not None else {}), **item.through}
    entries = {name: grown(entry, since) for name, entry in entries.items()}
    axis = _Axis(entries.values())
    return Waterfall({name: axis.lines(entry) for name, entry in entries.items()}, axis.length, axis.left_out)


def grown(entry: JournalEntry, since: float) -> JournalEntry:
    """The same so many seconds later, when nothing but time has passed; one that has ended stays as it is."""
    if entry.result != "running":
        return entry
    took = entry.time - entry.began
    changes = (_longer(change, took + since) if change.is_open(took) else change for change in entry.changes)
    return replace(entry, changes=tuple(changes), time=entry.time + since, took=entry.took + since)


def _longer(change: JournalChange, end: float) -> JournalChange:
    return replace(change, spans=(*change.spans[:-1], replace(change.spans[-1], end=end)))


class _Axis:
    """Times of some journals' entries as places from 0 to 100; long pauses are folded."""

    def __init__(self, entries: Iterable[JournalEntry]) -> None:
        times = list(_busy(entries))
        self._zero = min((begin for begin, _ in times), default=0.0)
        self._parts = list(_joined(sorted(times)))
        self.length = sum(end - begin for begin, end in self._parts)
        span = self._parts[-1][1] - self._zero if self._parts else 0.0
        self.left_out = max(span - self.length, 0.0) if len(self._parts) > 1 else 0.0
        self._fold = self.length * _FOLD
        self._whole = (self.length + self._fold * (len(self._parts) - 1)) or 1.0

    def lines(self, entry: JournalEntry) -> list[Line]:
        """The changes of an entry, those first that had their turn first."""
        failed = {change.object for change in entry.changes if change.verb == "failed"}
        found = [self._line(entry, change, failed) for change in entry.changes]
        return sorted(found, key=lambda line: (line.begin is None, line.begin))

    def _line(self, entry: JournalEntry, change: JournalChange, failed: Collection[str]) -> Line:
        if not change.spans or not entry.began:
            return Line(change, None)
        bars = [self._bar(entry, span) for span in change.spans]
        if entry.result == "running" and change.is_open(entry.time - entry.began):
            bars[-1] = replace(bars[-1], goes_on=True)
        elif change.object in failed and bars[-1].kind == "settle":
            bars = [replace(bar, kind=FAILED) if bar.kind == "settle" else bar for bar in bars]
        begin = entry.began + change.spans[0].begin - self._zero
        return Line(change, max(begin, 0.0), bars, _told(change.spans))

    def _bar(self, entry: JournalEntry, span: Span) -> Bar:
        x, end = self._at(entry.began + span.begin), self._at(entry.began + span.end)
        width = max(end - x, _LEAST)
        return Bar(span.kind, round(min(x, 100 - width), 2), round(width, 2), span.what)

    def _at(self, moment: float) -> float:
        before = 0.0
        for begin, end in self._parts:
            if moment <= end:
                return 100 * (before + max(moment - begin, 0.0)) / self._whole
            before += end - begin + self._fold
        return 100.0


def _busy(entries: Iterable[JournalEntry]) -> Iterator[tuple[float, float]]:
    """From when till when something was done."""
    for entry in entries:
        if entry.began and any(change.spans for change in entry.changes):
            yield entry.began, entry.began
            for change in entry.changes:
                for span in change.spans:
                    yield entry.began + span.begin, entry.began + max(span.end, span.begin)


def _joined(times: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The same without overlaps and short pauses."""
    if not times:
        return
    start, last = times[0]
    for begin, end in times[1:]:
        if begin - last > _PAUSE:
            yield start, last
            start = begin
        last = max(last, end)
    yield start, last


def _told(spans: Sequence[Span]) -> list[Wait]:
    worth = [span for span in spans if span.kind != "apply" and span.what and span.end - span.begin >= _WORTH_TELLING]
    longest = sorted(worth, key=lambda span: span.begin - span.end)[:_TOLD]
    return [Wait(span.end - span.begin, span.what) for span in worth if span in longest]
