"""So many things at once, taken in turns by whom they are for."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from operator import itemgetter

from cachetools import LRUCache

from gitsync.runtime.progress import telling

#: Owners of whom it is known when it was their turn.
_REMEMBERED = 1024
#: How many notes that hold no more are kept beside those that do.
_SPARE = 16


@dataclass(eq=False, slots=True)
class _Turn:
    """Somebody who waits: the first of its owner, whose turn comes next, and one who has got a slot."""

    number: int
    first: asyncio.Event = field(default_factory=asyncio.Event)
    given: asyncio.Event = field(default_factory=asyncio.Event)


class Slot:
    """One that somebody has until the end of a ``with`` block, or ``give_back``; once more does no harm."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def give_back(self, *_: object) -> None:
        """It is somebody else's from now on. Whatever a callback is given is ignored."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            give_back()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.give_back()


class FairSlots:
    """``size`` at once, and ``each`` for one owner. A slot that becomes free goes to the owner who has fewest, of
    several to the one who was given one longest ago, or never, and of these to the one who asked first: who wants many
    waits behind himself, not before others. ``what`` they are for, in words: "releases".

    Thousands may wait: what one costs hardly grows with them.
    """

    def __init__(self, size: int, what: str, *, each: int | None = None) -> None:
        self._size = size
        self._each = size if each is None else each
        self._what = what
        self._held: Counter[Hashable] = Counter()
        self._taken = 0
        self._waiting: dict[Hashable, deque[_Turn]] = {}
        #: By how many slots they have, who waits, by when he was given one and the number of his first turn; with what
        #: holds no more.
        self._next: defaultdict[int, list[tuple[int, int, Hashable]]] = defaultdict(list)
        self._numbers = itertools.count()
        #: By owner, the last slot that he was given, by the order in which they were.
        self._given: LRUCache[Hashable, int] = LRUCache(_REMEMBERED)
        self._turns = itertools.count()

    @asynccontextmanager
    async def held(self, owner: Hashable) -> AsyncIterator[None]:
        """Inside, a slot is ``owner``'s; as ``take``."""
        with await self.take(owner):
            yield

    async def take(self, owner: Hashable) -> Slot:
        """A slot for ``owner``, who has it until it is given back: also by another task. A wait for others' that takes
        long is reported, once for all who wait."""
        await self._take(owner)
        return Slot(lambda: self._give_back(owner))

    @property
    def is_idle(self) -> bool:
        """Whether nobody has or wants one."""
        return not self._held and not self._waiting

    async def _take(self, owner: Hashable) -> None:
        turn = _Turn(next(self._numbers))
        turns = self._waiting.setdefault(owner, deque())
        turns.append(turn)
        if turns[0] is turn:
            self._call_next(owner)
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
        others = self._taken - self._held[owner]
        if not others or self._taken < self._size:
            return ""
        return f"a slot: all {self._size} for {self._what} are taken, {others} by others"

    def _call_next(self, owner: Hashable) -> None:
        """The first turn of an owner, or how many slots he has, is another one by now."""
        turns = self._waiting.get(owner)
        if not turns:
            self._waiting.pop(owner, None)
            return
        turns[0].first.set()
        held = self._held[owner]
        if held < self._each:
            waiting = self._next[held]
            heappush(waiting, (self._given.get(owner, -1), turns[0].number, owner))
            if len(waiting) > 2 * len(self._waiting) + _SPARE:
                self._next[held] = sorted({it for it in waiting if self._is_next(*it[1:], held)}, key=itemgetter(0, 1))

    def _give_back(self, owner: Hashable) -> None:
        self._taken -= 1
        self._held[owner] -= 1
        self._call_next(owner)
        if not self._held[owner]:
            del self._held[owner]
        self._give_out()

    def _give_out(self) -> None:
        while self._taken < self._size and (owner := self._chosen()) is not None:
            self._taken += 1
            self._held[owner] += 1
            self._given[owner] = next(self._turns)
            self._waiting[owner].popleft().given.set()
            self._call_next(owner)

    def _chosen(self) -> Hashable | None:
        """Who has fewest of those who may have one more, and was given one longest ago."""
        for held in sorted(self._next):
            waiting = self._next[held]
            while waiting:
                _, number, owner = heappop(waiting)
                if self._is_next(number, owner, held):
                    return owner
            del self._next[held]
        return None

    def _is_next(self, number: int, owner: Hashable, held: int) -> bool:
        turns = self._waiting.get(owner)
        return turns is not None and len(turns) > 0 and turns[0].number == number and self._held[owner] == held


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
