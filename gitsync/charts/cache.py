"""Bounded memory of results."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """The results used last, up to a total weight. Safe to use from several threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._weight = 0
        self._entries: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        """The result, which thereby counts as used."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: str, result: T, weight: int = 1) -> None:
        """Remembers a result; one heavier than the whole cache is not kept."""
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._weight -= old[1]
            if weight > self._capacity:
                return
            self._entries[key] = (result, weight)
            self._weight += weight
            while self._weight > self._capacity:
                _, (_, lighter) = self._entries.popitem(last=False)
                self._weight -= lighter

    def clear(self) -> list[T]:
        """Forgets everything, and returns it."""
        with self._lock:
            gone = [result for result, _ in self._entries.values()]
            self._entries.clear()
            self._weight = 0
        return gone
