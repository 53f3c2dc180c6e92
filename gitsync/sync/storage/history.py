"""What each commit did, kept in the cluster for ``gitsync log``. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from gitsync.api.identity import Manifest
from gitsync.sync.storage.packing import pack, unpack

#: Commits that are kept, and changes of each; ``JournalEntry.more`` says how many more changes there were.
MAX_COMMITS = 50
MAX_CHANGES = 200
MAX_UNPACKED = 16 * 1024 * 1024
_KEY = "journal"
#: The end of the year 9999, in seconds since the epoch.
_LAST_MOMENT = 253_402_300_799.0

#: Two times that differ by no more seconds are of the same moment.
_SAME_MOMENT = 0.1
#: So many of the newest commits keep the spans of their objects.
TIMED_COMMITS = 20

#: "running" is never in the journal: it is for syncs under way.
Result = Literal["succeeded", "failed", "superseded", "held", "running"]
#: What happens to an object during a span. "apply": it is being applied; "wait": it waits for others; "settle": it has
#: yet to become ready.
SpanKind = Literal["apply", "wait", "settle"]


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time of an object: what happened to it, in words, from ``begin`` to ``end``, in seconds since its sync
    began."""

    kind: SpanKind
    what: str
    begin: Annotated[float, Field(allow_inf_nan=False)]
    end: Annotated[float, Field(allow_inf_nan=False)]

    def later(self, seconds: float) -> Span:
        """The same span, of a sync that has begun so many seconds earlier."""
        return Span(self.kind, self.what, round(self.begin + seconds, 3), round(self.end + seconds, 3))


@dataclass(frozen=True, slots=True)
class JournalChange:
    """One change of an object: ``verb`` is created, changed, deleted, kept, failed or waiting; ``why`` in words;
    ``spans`` are the spans of the object in order, which do not count when changes are compared."""

    verb: str
    object: str
    origin: str = ""
    why: str = ""
    spans: tuple[Span, ...] = field(default=(), compare=False)

    def is_open(self, took: float) -> bool:
        """Whether its last span is still going on, in a sync under way that had ``took`` so many seconds when this was
        written."""
        return bool(self.spans) and self.spans[-1].end >= took - _SAME_MOMENT

    def later(self, seconds: float) -> JournalChange:
        """The same change, of a sync that has begun so many seconds earlier."""
        return replace(self, spans=tuple(span.later(seconds) for span in self.spans)) if self.spans else self


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One commit. ``time`` is the end of its sync and ``began`` its beginning, in seconds since the epoch (``began`` is
    0 where it is not known); ``took`` are the seconds that were spent on it; ``why`` says why it is held or was given
    up. In an entry that is "running", ``time`` is when it was written."""

    commit: str
    author: str
    subject: str
    time: Annotated[float, Field(ge=0, le=_LAST_MOMENT)]
    took: Annotated[float, Field(allow_inf_nan=False)]
    result: Result
    counts: dict[str, int] = field(default_factory=dict)
    changes: tuple[JournalChange, ...] = ()
    more: int = 0
    began: Annotated[float, Field(ge=0, le=_LAST_MOMENT)] = 0.0
    why: str = ""

    @property
    def weight(self) -> int:
        """About how much room the entry takes: one for itself and each change, a third for each span."""
        return 1 + len(self.changes) + sum(len(change.spans) for change in self.changes) // 3

    @property
    def untimed(self) -> JournalEntry:
        """The entry without the spans of its objects."""
        if not any(change.spans for change in self.changes):
            return self
        return replace(self, changes=tuple(replace(change, spans=()) for change in self.changes))

    @property
    def has_failed(self) -> bool:
        """Whether something has failed, and has not succeeded since."""
        return any(change.verb == "failed" for change in self.changes)


def append(entries: Sequence[JournalEntry], new: JournalEntry) -> tuple[JournalEntry, ...]:
    """The journal with a new entry, newest first. If the newest commit is synced again, its entry gets the new changes,
    too."""
    rest = list(entries)
    if rest and rest[0].commit == new.commit and rest[0].result != "held":
        new = _merged(rest.pop(0), new)
    elif rest and rest[0].commit == new.commit:
        rest.pop(0)
    kept = (_bounded(new), *rest)[:MAX_COMMITS]
    return (*kept[:TIMED_COMMITS], *(entry.untimed for entry in kept[TIMED_COMMITS:]))


def _merged(old: JournalEntry, new: JournalEntry) -> JournalEntry:
    told_again = {change.object for change in new.changes}
    past = [
        change
        for change in old.changes
        if change.verb not in ("failed", "waiting") and (change.object not in told_again or change.verb in DONE)
    ]
    began = old.began or new.began
    # Of a commit that is taken up again, what has been done counts on; what is left as it is, or fails, is said anew.
    done = {verb: old.counts[verb] + new.counts.get(verb, 0) for verb in DONE & old.counts.keys()}
    changes = tuple(dict.fromkeys([*past, *(change.later(new.began - began) for change in new.changes)]))
    return replace(
        new, took=old.took + new.took, counts={**new.counts, **done}, changes=changes, more=old.more, began=began
    )


#: Verbs of changes that were made in the cluster.
DONE = frozenset({"created", "changed", "deleted"})


def _bounded(entry: JournalEntry) -> JournalEntry:
    if len(entry.changes) <= MAX_CHANGES:
        return entry
    more = entry.more + len(entry.changes) - MAX_CHANGES
    return replace(entry, changes=entry.changes[:MAX_CHANGES], more=more)


def encode(entries: Sequence[JournalEntry]) -> dict[str, Any]:
    """``data`` and ``binaryData`` of the ConfigMap. Takes time that grows with the journal: call it in a thread."""
    return {"data": {"commits": str(len(entries))}, "binaryData": {_KEY: pack(entries)}}


def decode(config_map: Manifest) -> tuple[JournalEntry, ...]:
    """The journal in a ConfigMap, newest first; empty when it holds none yet. Takes time, as ``encode``.

    Raises: InventoryError when it is damaged, or unpacks to more than MAX_UNPACKED.
    """
    hint = "delete it: what past commits did is forgotten, nothing else"
    return unpack(config_map, _KEY, MAX_UNPACKED, _entries, hint=hint) or ()


def encode_all(journals: Mapping[str, Sequence[JournalEntry]]) -> dict[str, Any]:
    """``data`` and ``binaryData`` of the ConfigMap with the journals of many syncs, by ``namespace/name``."""
    commits = {entry.commit for entries in journals.values() for entry in entries}
    return {"data": {"commits": str(len(commits))}, "binaryData": {_KEY: pack(journals)}}


def decode_all(config_map: Manifest) -> dict[str, tuple[JournalEntry, ...]]:
    """The journals in a ConfigMap. Raises: as ``decode``."""
    hint = "delete it: what past commits did is forgotten, nothing else"
    found = unpack(config_map, _KEY, MAX_UNPACKED, lambda body: {k: _entries(v) for k, v in body.items()}, hint=hint)
    return found or {}


def newest(journals: Mapping[str, Sequence[JournalEntry]], most: int) -> dict[str, tuple[JournalEntry, ...]]:
    """The newest entries of many journals, as far as they weigh no more than ``most``. Pure."""
    entries = [(entry.time, name, entry) for name, items in journals.items() for entry in items]
    kept: dict[str, tuple[JournalEntry, ...]] = {}
    for _, name, entry in sorted(entries, key=lambda item: item[:2], reverse=True):
        most -= entry.weight
        if most < 0:
            break
        kept[name] = (*kept.get(name, ()), entry)
    return kept


def _entries(rows: Any) -> tuple[JournalEntry, ...]:
    """Raises: ValueError."""
    return _shape().validate_python(rows)


@functools.cache
def _shape() -> TypeAdapter[tuple[JournalEntry, ...]]:
    return TypeAdapter(tuple[JournalEntry, ...])
