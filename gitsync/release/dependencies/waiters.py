"""Which releases are held back by others, so that they are woken when those change; and what was said of it already."""

from __future__ import annotations

import time

from gitsync.api.identity import ObjectKey

#: Seconds between two writes about dependencies of which ever fewer are not ready.
REPEAT = 0.5


class Waiters:
    """Which releases wait for which others. State only."""

    def __init__(self) -> None:
        self._on: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: Of those blocked, the releases of which every change may be what they wait for: dependencies that a readyExpr
        #: judges, and who has the same Helm release.
        self._watched: dict[ObjectKey, frozenset[ObjectKey]] = {}
        self._said_at: dict[ObjectKey, float] = {}

    def waiting_for(self, key: ObjectKey) -> list[ObjectKey]:
        """The releases that wait for this one."""
        return [waiting for waiting, on in self._on.items() if key in on]

    def watching(self, key: ObjectKey) -> list[ObjectKey]:
        """The releases that any change of this one may concern."""
        return [waiting for waiting, on in self._watched.items() if key in on]

    def add(self, key: ObjectKey, on: frozenset[ObjectKey]) -> float:
        """``key`` waits for ``on`` now. Returns seconds until that is worth saying: of many dependencies, one after the
        other becomes ready, and each time is not worth a write.
        """
        fewer = on < self._on.get(key, frozenset())
        self._on[key] = on
        pause = self._said_at.get(key, 0.0) + REPEAT - time.monotonic()
        if fewer and pause > 0:
            return pause
        self._said_at[key] = time.monotonic()
        return 0.0

    def watch(self, key: ObjectKey, others: frozenset[ObjectKey]) -> None:
        """Any change of ``others`` may be what ``key`` waits for."""
        self._watched[key] = others

    def remove(self, key: ObjectKey) -> bool:
        """``key`` waits for nobody any more. True when it did."""
        self._watched.pop(key, None)
        return self._on.pop(key, None) is not None

    def forget(self, key: ObjectKey) -> None:
        """``key`` is gone."""
        self.remove(key)
        self._said_at.pop(key, None)
