"""How a newer desired state ends what is under way for an older one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from gitsync.errors import Superseded

T = TypeVar("T")


class Interrupt:
    """Set once, with a reason for people; whoever waits looks at it. No cancellation: the work ends in good order."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        #: What ends the waits of those who guard their work; by the first of them.
        self._asked: asyncio.Future[None] | None = None
        self.reason = ""

    def set(self, reason: str) -> None:
        """Ask the work to end, for a ``reason`` that people read. Asked again, the first reason stays."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()
            if self._asked is not None:
                self._asked.set_result(None)

    @property
    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return once somebody has asked the work to end; at once where that was before."""
        await self._event.wait()

    async def guard(self, work: Awaitable[T], grace: float = 0.0) -> T:
        """The result of work, unless somebody asks before it is over: then it is cancelled after ``grace`` seconds.

        Raises: Superseded.
        """
        task = asyncio.ensure_future(work)
        try:
            both: set[asyncio.Future[Any]] = {task, self._when_asked()}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if grace and not task.done():
                await asyncio.wait({task}, timeout=grace)
            if task.done():
                return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            elif not task.cancelled():
                task.exception()  # seen, also where who waits for it is cancelled in the same moment
        raise Superseded(self.reason)

    def _when_asked(self) -> asyncio.Future[None]:
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            if self.is_set:
                self._asked.set_result(None)
        return self._asked

    def check(self) -> None:
        """For between two steps of the work. Raises: Superseded, with the reason, once somebody has asked it to end."""
        if self._event.is_set():
            raise Superseded(self.reason)
