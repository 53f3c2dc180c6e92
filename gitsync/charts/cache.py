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

    def put(self, key: str, result: T, weight: int = 1) -> list[T]:
        """Remembers a result; one heavier than the whole cache is not kept. Returns what had to go."""
        gone: list[T] = []
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._weight -= old[1]
            if weight > self._capacity:
                return gone
            self._entries[key] = (result, weight)
            self._weight += weight
            while self._weight > self._capacity:
                _, (evicted, lighter) = self._entries.popitem(last=False)
                self._weight -= lighter
                gone.append(evicted)
        return gone

    def pop(self, key: str) -> T | None:
        """Takes a result out."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return None
            self._weight -= entry[1]
            return entry[0]

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._entries.clear()
            self._weight = 0

    def values(self) -> list[T]:
        """What is remembered now."""
        with self._lock:
            return [result for result, _ in self._entries.values()]
