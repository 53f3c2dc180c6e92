"""Bounded memory of results."""

from __future__ import annotations

import threading
from operator import itemgetter
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class Cache(Generic[T]):
    """The results used last, up to a total weight. Safe to use from several threads."""

    def __init__(self, capacity: int) -> None:
        self._entries: LRUCache[str, tuple[T, int]] = LRUCache(capacity, getsizeof=itemgetter(1))
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        """The result, which thereby counts as used."""
        with self._lock:
            entry = self._entries.get(key)
            return entry[0] if entry is not None else None

    def put(self, key: str, result: T, weight: int = 1) -> None:
        """Remembers a result; one heavier than the whole cache is not kept."""
        with self._lock:
            self._entries.pop(key, None)
            if weight <= self._entries.maxsize:
                self._entries[key] = (result, weight)

    def clear(self) -> list[T]:
        """Forgets everything, and returns it."""
        with self._lock:
            gone = [result for result, _ in self._entries.values()]
            self._entries.clear()
        return gone
