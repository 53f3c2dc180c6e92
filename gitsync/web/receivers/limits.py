"""How much is taken of a receiver: how often, what came before, and how often a line is due about what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

from cachetools import LRUCache, TTLCache

#: Deliveries at once, and a second, that count of one receiver: a push of a hundred tags is one each.
BURST: Final = 60
PER_SECOND: Final = 5.0
#: Seconds in which the same delivery again has no effect, and how many are remembered of all receivers.
REMEMBERED_FOR: Final = 600.0
MOST_REMEMBERED: Final = 4096
#: Seconds between two lines about wrong deliveries of one receiver.
BETWEEN_WARNINGS: Final = 60.0
_MOST_RECEIVERS: Final = 4096

Clock = Callable[[], float]


class Rates:
    """Token buckets. Only what is proved takes from one, so that nobody without the token can empty it."""

    def __init__(self, clock: Clock = time.monotonic, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._clock = clock
        self._burst, self._per_second = burst, per_second
        self._left: LRUCache[Hashable, tuple[float, float]] = LRUCache(_MOST_RECEIVERS)

    def take(self, key: Hashable) -> float:
        """Take one; 0 when there was one, else the seconds until there is."""
        now = self._clock()
        left, since = self._left.get(key, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        if left < 1:
            self._left[key] = left, now
            return (1 - left) / self._per_second
        self._left[key] = left - 1, now
        return 0.0


class Replays:
    """What was delivered lately. A delivery without an identity is never the same."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._known: TTLCache[tuple[Hashable, bytes], None] = TTLCache(MOST_REMEMBERED, REMEMBERED_FOR, clock)

    def is_new(self, receiver: Hashable, identity: bytes) -> bool:
        """Whether it is the first time; it counts as known then."""
        if not identity:
            return True
        if (receiver, identity) in self._known:
            return False
        self._known[receiver, identity] = None
        return True

    def forget(self, receiver: Hashable, identity: bytes) -> None:
        """Nothing came of it, so that it may come again."""
        self._known.pop((receiver, identity), None)


class Wrongs:
    """Deliveries that proved nothing, counted for one line a minute of each receiver."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._counts: LRUCache[Hashable, tuple[int, float]] = LRUCache(_MOST_RECEIVERS)

    def count(self, key: Hashable) -> int:
        """One more; how many there were since the last line when the next is due, else 0."""
        now = self._clock()
        count, due = self._counts.get(key, (0, now))
        if now < due:
            self._counts[key] = count + 1, due
            return 0
        self._counts[key] = 0, now + BETWEEN_WARNINGS
        return count + 1
