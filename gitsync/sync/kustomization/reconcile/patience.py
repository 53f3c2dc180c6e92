"""Seconds until a Kustomization is tried again, and until it is worth a word that it waits. State only; no I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.backoff import Backoff
from gitsync.runtime.progress import SILENCE

#: Seconds between two words about dependencies of which ever fewer are not ready.
BETWEEN_WORDS = 5.0
#: Seconds between two words of different Kustomizations about that: of a hundred that wait in layers most are at work
#: before their turn comes, and a word is a write of a status, which costs the API server as much as six small applies.
PACE = 0.1
#: Seconds until a directory that has gone is worth a word: mostly the Kustomization goes a moment later. And those
#: between two looks, at first, at whether others have taken what is to be theirs.
MOMENT = 1.0
#: Seconds from an agent's start in which what a Kustomization says of itself stands, until a commit of the synced
#: repository is carried out: mostly nothing has changed meanwhile.
START = 60.0
#: Seconds for a release to have the chart of the commit, in which a Kustomization may be no more.
CHART_TIME = 10.0
#: Seconds between two tries of what failed, at first; they grow up to the Kustomization's retryInterval.
FIRST_RETRY = 5.0


class Graces:
    """How long something is waited for, for each revision of a Kustomization, from when that is first asked."""

    def __init__(self) -> None:
        self._until: dict[ObjectKey, tuple[str, float]] = {}

    def left(self, key: ObjectKey, revision: str, seconds: float) -> float:
        """Seconds that are left; 0 or less when they are over."""
        now = time.monotonic()
        known, until = self._until.get(key, ("", 0.0))
        if known != revision:
            until = now + seconds
            self._until[key] = revision, until
        return until - now

    def is_under_way(self, key: ObjectKey) -> bool:
        """Whether something is waited for."""
        return self._until.get(key, ("", 0.0))[1] > time.monotonic()

    def forget(self, key: ObjectKey) -> None:
        """Nothing is waited for any more."""
        self._until.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Wait:
    """For whom one waited when that was last looked at to be told, and until when, by the monotonic clock, it is no
    news that it waits for fewer. ``has_turn``: it may be told of then."""

    on: frozenset[ObjectKey]
    due: float
    has_turn: bool = False


class Patience:
    """Of every Kustomization of a cluster."""

    def __init__(self) -> None:
        self._tries: Backoff[ObjectKey] = Backoff(FIRST_RETRY)
        self._looks: Backoff[ObjectKey] = Backoff(MOMENT)
        self._waits: dict[ObjectKey, _Wait] = {}
        #: When the next one that waits may be told of, by the monotonic clock.
        self._next_word = 0.0
        #: For whom each was last said to wait in the log, where fewer are no news.
        self._told: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: Of those that a commit is about to change, and of those whose directory it has removed: how long that waits.
        self._changing, self._removed = Graces(), Graces()
        #: Of those that say something of themselves from before a start.
        self._starting = Graces()

    def until_retry(self, kustomization: Kustomization) -> float:
        """Seconds until the next try: growing, up to the Kustomization's own interval for it."""
        return min(self._tries.next(kustomization.key), max(kustomization.retry_after, FIRST_RETRY))

    def until_look(self, kustomization: Kustomization) -> float:
        """Seconds until it is looked at again whether what is to go is gone."""
        retry = self.until_retry(kustomization)
        return min(self._looks.next(kustomization.key), retry)

    def look_soon(self, key: ObjectKey) -> None:
        """Something of what one waits for that is to go has changed: what comes of that is looked at in a moment."""
        self._looks.reset(key)

    def until_told(self, key: ObjectKey, on: frozenset[ObjectKey]) -> float:
        """Seconds until it is worth a word that one waits for these: mostly that is over when others have the same
        commit. Of many dependencies one after the other becomes ready, and each time is not worth a write. Of many
        that wait at the same time one after the other has its turn."""
        now = time.monotonic()
        wait = self._waits.setdefault(key, _Wait(on, now + SILENCE))
        if now < wait.due and on <= wait.on:
            return wait.due - now
        if not wait.has_turn:
            turn = max(now, self._next_word)
            self._next_word = turn + PACE
            if turn > now:
                self._waits[key] = _Wait(on, turn, has_turn=True)
                return turn - now
        self._waits[key] = _Wait(on, now + BETWEEN_WORDS)
        return 0.0

    def knows(self, key: ObjectKey, on: frozenset[ObjectKey]) -> bool:
        """Whether the log has said already that one waits for all of these."""
        return bool(on) and on <= self._told.get(key, frozenset())

    def told(self, key: ObjectKey, on: frozenset[ObjectKey]) -> None:
        """The log has said that one waits for these."""
        self._told[key] = on

    def not_blocked(self, key: ObjectKey) -> None:
        """What one depends on is ready."""
        self._told.pop(key, None)

    def until_changed(self, key: ObjectKey, revision: str) -> float:
        """Seconds to wait since the commit is about to change the Kustomization, too; a moment for each revision."""
        return self._changing.left(key, revision, MOMENT)

    def is_to_change(self, key: ObjectKey) -> bool:
        """Whether one has been put off since the commit was about to change it."""
        return self._changing.is_under_way(key)

    def not_to_change(self, key: ObjectKey) -> None:
        """No commit is about to change one."""
        self._changing.forget(key)

    def until_removed(self, key: ObjectKey, revision: str, *, is_in_chart: bool) -> float:
        """Seconds in which one may go whose directory is gone."""
        return self._removed.left(key, revision, CHART_TIME if is_in_chart else MOMENT)

    def stands(self, key: ObjectKey) -> float:
        """Seconds in which what one said of itself before a start stands."""
        return self._starting.left(key, "the start", START)

    def not_waiting(self, key: ObjectKey) -> None:
        """One waits for nobody."""
        self._waits.pop(key, None)

    def succeeded(self, key: ObjectKey) -> None:
        """What fails after this is tried again soon."""
        self._tries.reset(key)

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._waits.pop(key, None)
        self._told.pop(key, None)
        for graces in (self._changing, self._removed, self._starting):
            graces.forget(key)
        self._tries.reset(key)
        self._looks.reset(key)
