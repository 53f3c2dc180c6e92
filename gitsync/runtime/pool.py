"""A few bounded child processes for work on foreign input. ``places`` decides which work gets one next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from cachetools import TTLCache

from gitsync.errors import LimitExceeded, WorkerLost
from gitsync.runtime.bounded import Bounds, Child, Ended
from gitsync.runtime.places import Places, Ticket, closed
from gitsync.spool import Body

Answer = tuple[Any, list[bytes]]

#: Seconds that a process has to finish an answer that nobody waits for any more, before it is killed.
MOMENT: Final = 0.5
#: Seconds for which the same work is not tried again after it ran into a limit.
CONDEMNED: Final = 600.0
_REMEMBERED = 1024
#: Seconds to wait for a process that is at work for others before another one is started: a start takes as much
#: processor time as twenty small charts.
SOON: Final = 0.5
#: How often work is tried whose process was ended from outside (the kernel's OOM killer, mostly).
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Work:
    """A question for a child process: its function ``call``, with ``content`` and ``blobs``.

    ``subject`` identifies the work: what has run into a limit is not tried again for a while, unless its subject is "".
    ``owner`` is for whom it is done: owners take turns, and what is remembered counts for that owner alone, since it
    may also depend on what he has in the cluster. ``deadline`` is in seconds from the moment when the work begins."""

    call: str
    content: Any = field(repr=False)
    blobs: Sequence[bytes | Body] = field(default=(), repr=False)
    subject: str = ""
    owner: str = ""
    deadline: float = 60.0

    @property
    def known_as(self) -> str:
        """The key under which it is remembered that it ran into a limit, or is slow; "" for neither."""
        return f"{self.owner}\0{self.subject}" if self.subject else ""


class Pool:
    """Child processes, at most one in each of ``places``, started when they are needed. ``close`` it, which also closes
    ``places``."""

    def __init__(
        self, places: Places, bounds: Bounds, modules: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._places = places
        self._bounds = bounds
        self._modules = tuple(modules)
        self._environment = environment
        self._idle: list[Child] = []
        self._busy = 0
        self._returned = asyncio.Event()
        self._condemned: TTLCache[str, tuple[str, str]] = TTLCache(_REMEMBERED, CONDEMNED)
        self._tasks: set[asyncio.Task[None]] = set()

    async def warm(self) -> None:
        """Start a process before anybody asks for it, if that can be done."""
        if not self._idle and self._places.is_idle:
            with suppress(WorkerLost):  # the first ``ask`` will raise it
                self._idle.append(await self._started())

    async def ask(self, work: Work) -> Answer:
        """The answer of a child.

        Raises: LimitExceeded; WorkerLost; what the child's function raises.
        """
        if (known := self._condemned.get(work.known_as)) is not None:
            raise LimitExceeded(known[0], limit=known[1])
        number, lost, slow = self._places.number(), 0, False
        while lost < _TRIES:
            ticket = self._places.ticket(work.owner, work.known_as, number, work.deadline, slow=slow)
            answer = await self._tried(work, ticket, anew=lost > 0)
            if answer is not None:
                return answer
            if not ticket.preempted:
                lost += 1
                continue
            slow = True
            self._places.mark_slow(work.known_as)
        raise WorkerLost("a worker process was ended from outside again and again", hint="is there enough memory?")

    async def close(self) -> None:
        """End all processes, also those that are at work."""
        for child in self._idle:
            child.kill()
        await self._places.close()
        await asyncio.gather(*self._tasks, *(child.close() for child in self._idle), return_exceptions=True)
        self._idle.clear()

    async def _tried(self, work: Work, ticket: Ticket, *, anew: bool) -> Answer | None:
        """Try once, in a new process when ``anew``. None when the process was lost through no fault of this work."""
        await self._places.take(ticket)
        try:
            child = await self._child(anew)
        except BaseException:
            self._places.leave(ticket)
            raise
        self._busy += 1
        ticket.end, fresh = child.kill, not child.answered
        task = asyncio.ensure_future(child.ask(work.call, work.content, work.blobs))
        try:
            await asyncio.wait({task}, timeout=work.deadline)
        except asyncio.CancelledError:
            self._do(self._left(ticket, child, task))
            raise
        if not task.done():
            await self._killed(ticket, child, task)
            raise self._condemn(work, f"was not done within {work.deadline:g} s", "time")
        self._over(ticket, child)
        return self._outcome(work, ticket, task, fresh)

    def _outcome(self, work: Work, ticket: Ticket, task: asyncio.Task[Answer], fresh: bool) -> Answer | None:
        try:
            answer = task.result()
        except Ended as end:
            # A process that others used before may have been full of what is theirs: this work gets a new one.
            if ticket.preempted or end.limit == "" or (not fresh and end.limit != "time"):
                return None
            raise self._condemn(work, self._said(end.limit), end.limit) from None
        except LimitExceeded as error:
            raise self._condemn(work, error.message, error.limit) from None
        ticket.preempted = False  # it was done before the signal came
        return answer

    def _said(self, limit: str) -> str:
        if limit == "memory":
            return f"needs more than {self._bounds.memory >> 20} MiB of memory"
        if limit == "time":
            return f"takes more than {self._bounds.cpu:g} s of processor time"
        # Native code that does not look whether it got memory ends like this.
        return f"crashes the process that does it, mostly for want of memory ({self._bounds.memory >> 20} MiB)"

    def _condemn(self, work: Work, message: str, limit: str) -> LimitExceeded:
        if work.known_as:
            self._condemned[work.known_as] = (message, limit)
        return LimitExceeded(message, limit=limit)

    async def _child(self, anew: bool) -> Child:
        """An idle process, the one used last, or a new one; with ``anew``, always a new one. Raises: WorkerLost."""
        if not anew:
            await self._wait_for_others()
        while self._idle:
            child = self._idle.pop()
            if child.is_alive and not anew:
                return child
            await child.close()
            if anew:
                break
        if self._places.is_closed:
            raise closed()
        return await self._started()

    async def _wait_for_others(self) -> None:
        """Return when a process is idle, or none is at work; after SOON seconds anyway."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON):
                while self._busy and not self._idle:
                    self._returned.clear()
                    await self._returned.wait()

    async def _started(self) -> Child:
        child = Child(self._bounds, self._modules, self._environment)
        try:
            await child.start()
        except OSError as error:
            raise WorkerLost(f"a worker process cannot be started: {error.strerror}") from None
        return child

    def _over(self, ticket: Ticket, child: Child) -> None:
        """Free the place of ``ticket``. ``child``, which was asked there, is kept unless it has grown too much."""
        self._busy -= 1
        self._returned.set()
        if child.is_alive and child.memory < self._bounds.memory // 2:
            self._idle.append(child)
        else:
            self._do(child.close())
        self._places.leave(ticket)

    async def _left(self, ticket: Ticket, child: Child, task: asyncio.Task[Answer]) -> None:
        """Let ``child`` finish an answer that nobody waits for any more, or kill it after MOMENT seconds."""
        await asyncio.wait({task}, timeout=MOMENT)
        if task.done():
            task.exception()
            self._over(ticket, child)
        else:
            await self._killed(ticket, child, task)

    async def _killed(self, ticket: Ticket, child: Child, task: asyncio.Task[Answer]) -> None:
        child.kill()
        try:
            await asyncio.wait({task})
        finally:
            if task.done() and not task.cancelled():
                task.exception()
            self._over(ticket, child)

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
