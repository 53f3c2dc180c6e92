"""What was done about each object of a commit and when, and what it waited for: for the journal. Pure, but for its
clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gitsync.api.conditions import condition_of, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import ARTIFACT_FAILED, DEPENDENCY_MISSING, DEPENDENCY_NOT_READY, OWNED_BY_ANOTHER, STALLED, TRUE
from gitsync.release.dependencies.states import is_current
from gitsync.sync.storage.history import Span, SpanKind
from gitsync.text import shorten

#: Spans that are kept of an object (the last one is always the newest), and characters of the text of one.
MOST_SPANS = 8
_MOST_TEXT = 200
#: Seconds; a shorter span is left out, unless it is the only one.
_SHORTEST = 0.001
#: Reasons for which a release is not ready because it waits for other objects.
_WAITS = frozenset({ARTIFACT_FAILED, DEPENDENCY_MISSING, DEPENDENCY_NOT_READY, OWNED_BY_ANOTHER})
#: What a release waits for when it has just been applied.
_TAKEN_UP = "for the agent to take it up"


@dataclass(frozen=True, slots=True)
class Turn:
    """What is done about an object, or what it waits for, in words."""

    kind: SpanKind
    what: str = ""


APPLY = Turn("apply")
TAKEN_UP = Turn("wait", _TAKEN_UP)


def turn_of_release(manifest: Manifest | None) -> Turn | None:
    """What a HelmRelease that was applied is at, by its status; None when it is ready, or has failed for good."""
    if manifest is None:
        return None
    status, ready = manifest.get("status") or {}, ready_of(manifest)
    if status.get("observedGeneration") != manifest["metadata"].get("generation"):
        return TAKEN_UP
    if condition_of(manifest, STALLED).get("status") == TRUE or is_current(manifest):
        return None
    if ready.get("status") == TRUE:  # it is ready as of the commit before
        return TAKEN_UP
    kind: SpanKind = "wait" if ready.get("reason") in _WAITS else "settle"
    return Turn(kind, str(ready.get("message", "")))


class Timeline:
    """The turns of all objects in one sync. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._open: dict[ObjectKey, tuple[Turn, float]] = {}
        self._past: dict[ObjectKey, list[Span]] = {}

    def turn(self, key: ObjectKey, turn: Turn | None) -> None:
        """Note that from now on this is done about an object; None: nothing more."""
        before = self._open.get(key)
        if before is not None and before[0] == turn:
            return
        if before is not None:
            del self._open[key]
            self._append(key, self._span(*before))
        if turn is not None:
            self._open[key] = turn, self._now()

    @property
    def keys(self) -> Collection[ObjectKey]:
        """The objects that had a turn."""
        return self._past.keys() | self._open.keys()

    def spans(self, key: ObjectKey) -> tuple[Span, ...]:
        """What was done about an object so far, in order."""
        past, now = self._past.get(key, []), self._open.get(key)
        found = [*past, self._span(*now)] if now is not None else past
        return tuple(span for span in found if span.end - span.begin >= _SHORTEST) or tuple(found[:1])

    def _append(self, key: ObjectKey, span: Span) -> None:
        past = self._past.setdefault(key, [])
        if len(past) == MOST_SPANS:
            last = past.pop()
            span = Span(span.kind, span.what, last.begin, span.end)
        past.append(span)

    def _span(self, turn: Turn, begin: float) -> Span:
        return Span(turn.kind, shorten(turn.what, _MOST_TEXT), begin, self._now())

    def _now(self) -> float:
        return round(self._clock() - self._begun, 3)
