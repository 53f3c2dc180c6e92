"""Bounded memory of results."""

from __future__ import annotations

import threading
from operator import attrgetter, itemgetter
from typing import Any, Final, Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")

#: Bytes of results, of worker processes and others, that are kept in memory. Without them work is only done again.
REMEMBERED: Final = 80 << 20


class Room:
    """What several caches may weigh together: when that is too much, the one that weighs most loses what it has used
    longest ago."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._caches: list[Cache[Any]] = []
        self.lock = threading.RLock()

    @property
    def weight(self) -> int:
        """What all caches in the room weigh together now."""
        return sum(cache.weight for cache in self._caches)

    def join(self, cache: Cache[Any]) -> None:
        """Have ``cache`` share the room from now on."""
        self._caches.append(cache)

    def trim(self) -> None:
        """Drop results until all caches together weigh no more than they may. Call it with ``lock`` held."""
        while self.weight > self._most:
            max(self._caches, key=attrgetter("weight")).drop()


class Cache(Generic[T]):
    """The results used last, up to a total weight, and to what there is in a ``room`` with others. Safe to use from
    several threads."""

    def __init__(self, capacity: int, room: Room | None = None) -> None:
        self._entries: LRUCache[str, tuple[T, int]] = LRUCache(capacity, getsizeof=itemgetter(1))
        self._room = room
        self._lock = room.lock if room is not None else threading.RLock()
        if room is not None:
            room.join(self)

    @property
    def weight(self) -> int:
        """What its results weigh together."""
        return int(self._entries.currsize)

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
            if self._room is not None:
                self._room.trim()

    def discard(self, key: str) -> None:
        """Forget a result, if there is one."""
        with self._lock:
            self._entries.pop(key, None)

    def drop(self) -> None:
        """Forget what was used longest ago."""
        self._entries.popitem()

    def clear(self) -> list[T]:
        """Forgets everything, and returns it."""
        with self._lock:
            gone = [result for result, _ in self._entries.values()]
            self._entries.clear()
        return gone
