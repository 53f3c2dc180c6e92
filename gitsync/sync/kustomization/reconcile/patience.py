"""How long Kustomizations wait: until they are tried again, until a wait is reported, and for changes that are about to
come. State only; no I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.backoff import Backoff
from gitsync.runtime.progress import SILENCE

#: Seconds between two reports of a wait for dependencies of which ever fewer are not ready.
BETWEEN_WORDS = 5.0
#: Seconds between such reports of different Kustomizations. Of a hundred that wait in layers most have begun before
#: their turn to report comes; and a report is a write of a status, which costs the API server as much as six small
#: applies.
PACE = 0.1
#: Seconds to wait for a change that mostly comes with the same commit: a Kustomization is removed a moment after its
#: directory is gone, say. Also the seconds, at first, between two looks whether others have taken an object.
MOMENT = 1.0
#: Seconds from the agent's start in which a Kustomization's old status still counts, if no commit of the synced
#: repository has been carried out yet: mostly nothing has changed meanwhile.
START = 60.0
#: Seconds for a release to take up the chart of the commit, in which a Kustomization may be no longer.
CHART_TIME = 10.0
#: Seconds between two tries of what failed, at first; they grow up to the Kustomization's retryInterval.
FIRST_RETRY = 5.0


class Graces:
    """Waits of some seconds, one for each Kustomization and revision, from when they are first asked about."""

    def __init__(self) -> None:
        self._until: dict[ObjectKey, tuple[str, float]] = {}

    def left(self, key: ObjectKey, revision: str, seconds: float) -> float:
        """Seconds that are left of the wait at this revision, which begins with the first call; 0 or less when it is
        over."""
        now = time.monotonic()
        known, until = self._until.get(key, ("", 0.0))
        if known != revision:
            until = now + seconds
            self._until[key] = revision, until
        return until - now

    def is_under_way(self, key: ObjectKey) -> bool:
        """Whether there is a wait that is not over."""
        return self._until.get(key, ("", 0.0))[1] > time.monotonic()

    def forget(self, key: ObjectKey) -> None:
        """Forget the wait, if there is one."""
        self._until.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a Kustomization waited ``on`` when its wait was last looked at, and the moment ``due`` (monotonic) before
    which a wait for fewer of these is not reported. ``has_turn``: at that moment it may be reported."""

    on: frozenset[ObjectKey]
    due: float
    has_turn: bool = False


class Patience:
    """The waits of every Kustomization of a cluster."""

    def __init__(self) -> None:
        self._tries: Backoff[ObjectKey] = Backoff(FIRST_RETRY)
        self._looks: Backoff[ObjectKey] = Backoff(MOMENT)
        self._waits: dict[ObjectKey, _Wait] = {}
        #: The moment (monotonic) at which the next wait may be reported.
        self._next_word = 0.0
        #: What the log last said that each waits for; a wait for fewer of these is no news.
        self._told: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: Waits of Kustomizations that a commit is about to change, and of those whose directory it has removed.
        self._changing, self._removed = Graces(), Graces()
        #: For how long statuses from before the agent's start count.
        self._starting = Graces()

    def until_retry(self, kustomization: Kustomization) -> float:
        """Seconds until the next try: growing, up to the Kustomization's own interval for it."""
        return min(self._tries.next(kustomization.key), max(kustomization.retry_after, FIRST_RETRY))

    def until_look(self, kustomization: Kustomization) -> float:
        """Seconds until the next look whether objects that are to be deleted are gone."""
        retry = self.until_retry(kustomization)
        return min(self._looks.next(kustomization.key), retry)

    def look_soon(self, key: ObjectKey) -> None:
        """An object that is to be deleted has changed: the next look is soon."""
        self._looks.reset(key)

    def until_told(self, key: ObjectKey, on: frozenset[ObjectKey]) -> float:
        """Seconds until a wait for these is to be reported; 0: now. Most waits are over when the others have taken
        up the same commit. Where many dependencies become ready one after the other, each is not worth a write;
        where many Kustomizations wait at a time, they are reported one after the other."""
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
        """Whether the log has said already that it waits for all of these."""
        return bool(on) and on <= self._told.get(key, frozenset())

    def told(self, key: ObjectKey, on: frozenset[ObjectKey]) -> None:
        """The log has said that it waits for these."""
        self._told[key] = on

    def not_blocked(self, key: ObjectKey) -> None:
        """Its dependencies are ready."""
        self._told.pop(key, None)

    def until_changed(self, key: ObjectKey, revision: str) -> float:
        """Seconds left to wait for the commit to change the Kustomization itself; a moment for each revision."""
        return self._changing.left(key, revision, MOMENT)

    def is_to_change(self, key: ObjectKey) -> bool:
        """Whether it is waiting for the commit to change it."""
        return self._changing.is_under_way(key)

    def not_to_change(self, key: ObjectKey) -> None:
        """No commit is about to change it."""
        self._changing.forget(key)

    def until_removed(self, key: ObjectKey, revision: str, *, is_in_chart: bool) -> float:
        """Seconds left in which a Kustomization whose directory is gone may be removed itself."""
        return self._removed.left(key, revision, CHART_TIME if is_in_chart else MOMENT)

    def stands(self, key: ObjectKey) -> float:
        """Seconds left in which its status from before the agent's start counts."""
        return self._starting.left(key, "the start", START)

    def not_waiting(self, key: ObjectKey) -> None:
        """It waits for nothing any more."""
        self._waits.pop(key, None)

    def succeeded(self, key: ObjectKey) -> None:
        """It has succeeded: the next failure is tried again soon."""
        self._tries.reset(key)

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._waits.pop(key, None)
        self._told.pop(key, None)
        for graces in (self._changing, self._removed, self._starting):
            graces.forget(key)
        self._tries.reset(key)
        self._looks.reset(key)
