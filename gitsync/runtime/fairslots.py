"""So many things at once, taken in turns by whom they are for."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cachetools import LRUCache

from gitsync.runtime.progress import telling

#: Owners of whom it is known when it was their turn.
_REMEMBERED = 1024


@dataclass(eq=False, slots=True)
class _Turn:
    """Somebody who waits: the first of its owner, whose turn comes next, and one who has got a slot."""

    number: int
    first: asyncio.Event = field(default_factory=asyncio.Event)
    given: asyncio.Event = field(default_factory=asyncio.Event)


class FairSlots:
    """``size`` at once, and ``each`` for one owner. A slot that becomes free goes to the owner who has fewest, of
    several to the one who was given one longest ago, or never, and of these to the one who asked first: who wants many
    waits behind himself, not before others. ``what`` they are for, in words: "releases".

    Thousands may wait: what one costs does not grow with them.
    """

    def __init__(self, size: int, what: str, *, each: int | None = None) -> None:
        self._size = size
        self._each = size if each is None else each
        self._what = what
        self._held: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[_Turn]] = {}
        self._numbers = itertools.count()
        #: By owner, which one he was given last, by the order in which they were given out.
        self._given: LRUCache[Hashable, int] = LRUCache(_REMEMBERED)
        self._turns = itertools.count()

    @asynccontextmanager
    async def held(self, owner: Hashable) -> AsyncIterator[None]:
        """Inside, a slot is ``owner``'s. A wait for others' that takes long is reported, once for all who wait."""
        await self._take(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    @property
    def is_idle(self) -> bool:
        """Whether nobody has or wants one."""
        return not self._held and not self._waiting

    async def _take(self, owner: Hashable) -> None:
        turn = _Turn(next(self._numbers))
        self._waiting.setdefault(owner, deque()).append(turn)
        self._waiting[owner][0].first.set()
        self._give_out()
        if turn.given.is_set():
            return
        try:
            await turn.first.wait()
            async with telling(lambda: self._why(owner)):
                await turn.given.wait()
        except BaseException:
            if turn.given.is_set():
                self._give_back(owner)
            else:
                self._waiting[owner].remove(turn)
                self._call_next(owner)
            raise

    def _why(self, owner: Hashable) -> str:
        """What is waited for, in words; "" for what is the owner's own."""
        others = self._held.total() - self._held[owner]
        if not others or self._held.total() < self._size:
            return ""
        return f"a slot: all {self._size} for {self._what} are taken, {others} by others"

    def _call_next(self, owner: Hashable) -> None:
        if self._waiting[owner]:
            self._waiting[owner][0].first.set()
        else:
            del self._waiting[owner]

    def _give_back(self, owner: Hashable) -> None:
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._give_out()

    def _give_out(self) -> None:
        while self._held.total() < self._size:
            able = (owner for owner in self._waiting if self._held[owner] < self._each)
            owner = min(able, key=self._order, default=None)
            if owner not in self._waiting:
                return
            self._held[owner] += 1
            self._given[owner] = next(self._turns)
            self._waiting[owner].popleft().given.set()
            self._call_next(owner)

    def _order(self, owner: Hashable) -> tuple[int, int, int]:
        return self._held[owner], self._given.get(owner, -1), self._waiting[owner][0].number


class Shares:
    """Slots of their own for every owner, ``size`` at once and ``each`` for one part of what is his: nobody ever waits
    for somebody else's, and none of his parts for the others."""

    def __init__(self, size: int, what: str, *, each: int) -> None:
        self._size = size
        self._each = each
        self._what = what
        self._slots: dict[Hashable, FairSlots] = {}

    @asynccontextmanager
    async def held(self, owner: Hashable, part: Hashable) -> AsyncIterator[None]:
        """Inside, one of ``owner``'s slots is taken."""
        slots = self._slots.setdefault(owner, FairSlots(self._size, self._what, each=self._each))
        try:
            async with slots.held(part):
                yield
        finally:
            if slots.is_idle:
                self._slots.pop(owner, None)
