"""How much memory one kind of foreign content (charts, say) may take at a moment, with a share for each namespace."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

from gitsync.budget import Budget, Share, Spent
from gitsync.errors import RetryableError

#: Seconds for which one waits for room.
PATIENCE: Final = 20.0


class TakenMemory:
    """Memory that counts as taken until ``give_back`` is called, or until this object is garbage: keep a reference to
    it beside what takes the memory, and beside what is made of that."""

    def __init__(self) -> None:
        #: Gives the memory back, on the loop. May be called from any thread, and more than once.
        self.give_back: Callable[[], object] = lambda: None


class Memory:
    """A bound on one kind of content, ``what`` in words: ``together`` bytes in all, ``of_namespace`` for one namespace,
    ``always`` those that each namespace is sure of. It counts ``within`` a larger budget, too, if there is one."""

    def __init__(self, what: str, together: int, of_namespace: int, always: int, within: Budget | None = None) -> None:
        self._what = what
        self._of_namespace = of_namespace
        self._budget = Budget(together, always, within)
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._freed = asyncio.Event()

    def hold(self, namespace: str, size: int) -> TakenMemory:
        """Take ``size`` bytes for a namespace, at once. Raises: RetryableError when there is no room for them."""
        share = self._shares.get(namespace)
        if share is None:
            share = self._shares[namespace] = Share(self._budget, self._of_namespace)
        try:
            share.take(size)
        except Spent as spent:
            whose = "" if spent.together else f" of namespace {namespace}"
            raise RetryableError(
                f"the {self._what}{whose} that are worked with would take {spent}", hint="it is tried again"
            ) from None
        held = TakenMemory()
        held.give_back = gone = weakref.finalize(held, self._gone, asyncio.get_running_loop(), share, size)
        gone.atexit = False
        return held

    async def hold_in_time(self, namespace: str, size: int) -> TakenMemory:
        """As ``hold``, but wait for room. Raises: RetryableError when there is none within PATIENCE seconds."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return self.hold(namespace, size)
            except RetryableError as error:
                try:
                    async with asyncio.timeout_at(deadline):
                        await self.until_freed()
                except TimeoutError:
                    raise error from None

    async def until_freed(self) -> None:
        """Return once some memory has been given back. That wakes all who wait: ask again with ``hold``."""
        self._freed.clear()
        await self._freed.wait()

    def _gone(self, loop: asyncio.AbstractEventLoop, share: Share, size: int) -> None:
        with suppress(RuntimeError):  # in whatever thread it ended; the loop may have ended, too
            loop.call_soon_threadsafe(self._give, share, size)

    def _give(self, share: Share, size: int) -> None:
        share.give(size)
        self._freed.set()
