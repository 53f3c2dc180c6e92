"""How much is taken of a receiver: how often, what came before, and how often a line is due about what is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class Turn:
    """That of one delivery: whether it ``is_new``, and whether something came of it, ``is_done``."""

    is_new: bool
    is_done: bool = False


class Replays:
    """What was delivered lately. A delivery without an identity is never the same."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._known: TTLCache[tuple[Hashable, bytes], None] = TTLCache(MOST_REMEMBERED, REMEMBERED_FOR, clock)
        #: What is under way, with who waits for that to end.
        self._under_way: dict[tuple[Hashable, bytes], asyncio.Event] = {}

    @asynccontextmanager
    async def once(self, receiver: Hashable, identity: bytes) -> AsyncIterator[Turn]:
        """While it is dealt with, the same one waits; after that it is new no more, if this one was done."""
        if not identity:
            yield Turn(is_new=True)
            return
        key = receiver, identity
        while (other := self._under_way.get(key)) is not None:
            await other.wait()
        if key in self._known:
            yield Turn(is_new=False)
            return
        ended = self._under_way[key] = asyncio.Event()
        turn = Turn(is_new=True)
        try:
            yield turn
        finally:
            del self._under_way[key]
            if turn.is_done:
                self._known[key] = None
            ended.set()


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
