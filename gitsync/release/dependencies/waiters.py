"""Releases that are held back by others, to be woken when those change; and when that is worth reporting."""

from __future__ import annotations

import time

from gitsync.api.identity import ObjectKey

#: Seconds between two writes about dependencies of which ever fewer are not ready.
REPEAT = 0.5


class Waiters:
    """Which releases wait for which others. State only."""

    def __init__(self) -> None:
        self._on: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: By blocked release, the releases of which any change may end its wait: dependencies with a readyExpr, and the
        #: owner of the same Helm release.
        self._watched: dict[ObjectKey, frozenset[ObjectKey]] = {}
        self._said_at: dict[ObjectKey, float] = {}

    def waiting_for(self, key: ObjectKey) -> list[ObjectKey]:
        """The releases that wait for this one."""
        return [waiting for waiting, on in self._on.items() if key in on]

    def watching(self, key: ObjectKey) -> list[ObjectKey]:
        """The releases whose wait any change of this one may end."""
        return [waiting for waiting, on in self._watched.items() if key in on]

    def add(self, key: ObjectKey, on: frozenset[ObjectKey]) -> float:
        """``key`` waits for ``on`` now. Returns seconds until that is to be reported, 0 for now: where many
        dependencies become ready one after the other, each is not worth a write.
        """
        fewer = on < self._on.get(key, frozenset())
        self._on[key] = on
        pause = self._said_at.get(key, 0.0) + REPEAT - time.monotonic()
        if fewer and pause > 0:
            return pause
        self._said_at[key] = time.monotonic()
        return 0.0

    def watch(self, key: ObjectKey, others: frozenset[ObjectKey]) -> None:
        """Any change of ``others`` may end the wait of ``key``."""
        self._watched[key] = others

    def remove(self, key: ObjectKey) -> bool:
        """``key`` waits for nothing any more. Returns whether it did."""
        self._watched.pop(key, None)
        return self._on.pop(key, None) is not None

    def forget(self, key: ObjectKey) -> None:
        """``key`` is gone."""
        self.remove(key)
        self._said_at.pop(key, None)
