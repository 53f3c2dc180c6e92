"""A few places for processes in which foreign input is worked on, and who gets one of them next.

Work that keeps a place for longer than SLICE seconds while others wait is ended, and begun anew later. From then on it
counts as slow: one place is always left for work that is not, and all slow work shares the others. So a template that
never ends holds up others for one slice, once, and not at all when it comes back.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cachetools import LRUCache

from gitsync.errors import WorkerLost
from gitsync.runtime.cache import Room
from gitsync.runtime.progress import telling

T = TypeVar("T")

#: Seconds for which work may keep a place while others wait.
SLICE: Final = 5.0
#: Seconds until a place is tried again that is to be taken away, but whose process has yet to start.
_AGAIN = 0.1
#: Seconds that ``close`` waits for the work it has ended to leave its places.
_FAREWELL = 5.0
#: Seconds beyond its deadline after which work that is still in its place counts as stuck: ending it did not help.
LATE: Final = 15.0
_REMEMBERED = 1024


@dataclass(eq=False, slots=True)
class Ticket:
    """Work that waits for a place or has one. ``slow``: it is known to take longer than a slice. ``number`` says when
    it came, ``since`` when it got its place. Its owner ends it after ``deadline`` seconds; ``end``, set when the work
    has begun, ends it at once. ``preempted``: its place was taken away for others."""

    owner: str
    slow: bool
    number: int
    deadline: float = 60.0
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = 0.0
    end: Callable[[], None] | None = None
    preempted: bool = False


class Places:
    """``size`` places, shared by all worker processes of this process, of whatever pool: so what they may take together
    is bounded. ``remembered`` likewise is the room for all caches of their answers. ``close`` it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.remembered = Room()
        self._numbers = itertools.count()
        self._waiting: list[Ticket] = []
        self._running: list[Ticket] = []
        self._slow: LRUCache[str, bool] = LRUCache(_REMEMBERED)
        self._alarm: asyncio.TimerHandle | None = None
        self._closed = False
        self._freed = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether nobody has a place."""
        return not self._running

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed: then nobody gets a place any more."""
        return self._closed

    def number(self) -> int:
        """A number for a new ticket: the lower, the sooner. Work that is begun anew keeps its number, so that it does
        not wait behind what came meanwhile."""
        return next(self._numbers)

    @property
    def stuck(self) -> str:
        """Why nobody gets a place any more; "" when places do become free: work that is merely slow does not count, for
        it ends at its deadline."""
        now = time.monotonic()
        late = [item for item in self._running if now - item.since > item.deadline + LATE]
        if self._closed or len(late) < self.size:
            return ""
        return f"no worker process has come to its end within {LATE:g} s of its deadline"

    def ticket(self, owner: str, subject: str, number: int, deadline: float, *, slow: bool = False) -> Ticket:
        """A ticket for work of this ``owner``; owners take turns. By ``subject`` the work is known again as slow; ""
        when that is not to be remembered."""
        return Ticket(owner, slow or subject in self._slow, number, deadline)

    async def run(self, owner: str, subject: str, deadline: float, work: Callable[[Ticket], Awaitable[T | None]]) -> T:
        """Do ``work`` in a place when it is its turn, and return its result. A result of None says that it has lost its
        place to others: they go first, and it is begun anew. Raises: WorkerLost; what ``work`` raises."""
        number, slow = self.number(), False
        while True:
            ticket = self.ticket(owner, subject, number, deadline, slow=slow)
            await self.take(ticket)
            try:
                result = await work(ticket)
            finally:
                self.leave(ticket)
            if result is not None:
                return result
            slow = True
            self.mark_slow(subject)

    async def take(self, ticket: Ticket) -> None:
        """Wait until it is this ticket's turn; a wait of more than a second is reported. ``leave`` the place in the
        end. Raises: WorkerLost."""
        if self._closed:
            raise closed()
        self._waiting.append(ticket)
        self._dispatch()
        try:
            if not ticket.turn.is_set():
                async with telling(lambda: f"a worker process: all {self.size} are busy"):
                    await ticket.turn.wait()
        except BaseException:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            else:
                self.leave(ticket)
            raise

    def leave(self, ticket: Ticket) -> None:
        """Give up the ticket's place."""
        self._running.remove(ticket)
        self._freed.set()
        self._dispatch()

    def mark_slow(self, subject: str) -> None:
        """Remember that this work takes longer than a slice."""
        if subject:
            self._slow[subject] = True

    async def close(self) -> None:
        """End all work that has a place, and give out no place any more."""
        self._closed = True
        for ticket in self._waiting:
            ticket.turn.set()
        self._running += self._waiting
        self._waiting.clear()
        for ticket in self._running:
            if ticket.end is not None:
                ticket.end()
        if self._alarm is not None:
            self._alarm.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while self._running:
                    self._freed.clear()
                    await self._freed.wait()

    def _dispatch(self) -> None:
        """Give out the places that are free. Where quick work still waits, take one away, or set a timer for that."""
        while len(self._running) < self.size and not self._closed:
            ticket = chosen(self._waiting, self._running, self.size)
            if ticket is None:
                break
            self._waiting.remove(ticket)
            self._running.append(ticket)
            ticket.since = time.monotonic()
            ticket.turn.set()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.size > 1 and len(self._running) == self.size and any(not item.slow for item in self._waiting):
            self._preempt()

    def _preempt(self) -> None:
        """Take a place from work that has had it for more than a slice. Where some is still within its first slice, a
        timer looks again when that is over."""
        now = time.monotonic()
        quick = [item for item in self._running if not item.slow and now - item.since < SLICE]
        if quick:
            due = min(item.since for item in quick) + SLICE - now
            self._alarm = asyncio.get_running_loop().call_later(max(due, 0.01), self._dispatch)
            return
        victim = max((item for item in self._running if not item.slow), key=lambda item: item.since, default=None)
        if victim is None or victim.preempted:
            return
        if victim.end is None:  # it has a place, but has yet to begin: there is nothing to end so far
            self._alarm = asyncio.get_running_loop().call_later(_AGAIN, self._dispatch)
            return
        victim.preempted = True
        victim.end()


def closed() -> WorkerLost:
    """The error for whoever wants a place after ``close``."""
    return WorkerLost("the worker processes have been ended")


def chosen(waiting: Iterable[Ticket], running: Sequence[Ticket], size: int) -> Ticket | None:
    """Who is next: quick work before slow, then the owner who has fewest places now, then who came first. Slow work
    never has the last place, where there are several. Pure."""
    room_for_slow = sum(item.slow for item in running) < max(1, size - 1)
    owners = [item.owner for item in running]
    able = [item for item in waiting if room_for_slow or not item.slow]
    return min(able, key=lambda item: (item.slow, owners.count(item.owner), item.number), default=None)
