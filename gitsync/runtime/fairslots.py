"""Slots: how many things may be under way at once, shared out fairly among the owners who ask for them."""

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

#: Owners of whom it is remembered when they were last given a slot.
_REMEMBERED = 1024
#: How many outdated entries a heap of waiting owners may have beside those that are valid, before it is made anew.
_SPARE = 16


@dataclass(eq=False, slots=True)
class _Turn:
    """One ``take`` that waits. ``first`` is set when it is the first of its owner's, ``given`` when it has a slot."""

    number: int
    first: asyncio.Event = field(default_factory=asyncio.Event)
    given: asyncio.Event = field(default_factory=asyncio.Event)


class Slot:
    """A slot, taken until the end of a ``with`` block or until ``give_back``, which may be called more than once."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def give_back(self, *_: object) -> None:
        """Let others have the slot. Fit for a callback: its arguments are ignored."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            give_back()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.give_back()


class FairSlots:
    """``size`` slots, of which one owner has at most ``each``. ``what`` says what they are for: "releases".

    A slot that becomes free goes to the owner who has fewest; of several to the one whose last turn is longest ago, or
    who never had one; of these to the one who asked first. So an owner who wants a hundred does not keep out one who
    wants one. Thousands may wait: what a turn costs hardly grows with them.
    """

    def __init__(self, size: int, what: str, *, each: int | None = None) -> None:
        self._size = size
        self._each = size if each is None else each
        self._what = what
        self._held: Counter[Hashable] = Counter()
        self._taken = 0
        self._waiting: dict[Hashable, deque[_Turn]] = {}
        #: Owners who wait, by how many slots they have: heaps of (their last turn, the number of their first ``_Turn``,
        #: owner). Entries that are outdated stay until they come up.
        self._next: defaultdict[int, list[tuple[int, int, Hashable]]] = defaultdict(list)
        self._numbers = itertools.count()
        #: When each owner was last given a slot, as a number that counts slots given.
        self._given: LRUCache[Hashable, int] = LRUCache(_REMEMBERED)
        self._turns = itertools.count()

    @asynccontextmanager
    async def held(self, owner: Hashable) -> AsyncIterator[None]:
        """Have a slot for the body, as by ``take``."""
        with await self.take(owner):
            yield

    async def take(self, owner: Hashable) -> Slot:
        """A slot for ``owner``, once there is one; another task may give it back. When that takes long because others
        have all slots, the reason is reported, by the first who waits of each owner."""
        await self._take(owner)
        return Slot(lambda: self._give_back(owner))

    @property
    def is_idle(self) -> bool:
        """Whether nobody has a slot or waits for one."""
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
        """Why ``owner`` waits, in words; "" when no more than his own slots are in his way."""
        others = self._taken - self._held[owner]
        if not others or self._taken < self._size:
            return ""
        return f"a slot: all {self._size} for {self._what} are taken, {others} by others"

    def _call_next(self, owner: Hashable) -> None:
        """Enter an owner anew among those who wait: his first turn, or how many slots he has, has changed."""
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
        """The owner who gets the next slot, by the order that the class describes; None when nobody may have one."""
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
    """``FairSlots`` for each owner, of ``size``, so that no owner waits for another. Within, each of his parts has at
    most ``each``, and they take turns as owners do there."""

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
