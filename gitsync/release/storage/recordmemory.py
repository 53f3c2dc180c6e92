"""What release records take in memory while they are worked with: whoever may write Secrets may write as many as he
likes, and releases that wait for their objects have their earlier revisions with them."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

from gitsync.budget import Budget, Share, Spent
from gitsync.errors import RetryableError

#: All records that are in memory at a moment, and those of one namespace, in bytes; of another one there is always room
#: for so many. A release compares with the record that it then replaces: two of the largest have to fit.
TOGETHER: Final = 96 << 20
OF_NAMESPACE: Final = 72 << 20
ALWAYS: Final = 16 << 20
#: Seconds for which one waits for room.
PATIENCE: Final = 20.0
#: Records that are packed at once, and unpacked: one that is not ours takes a multiple while that lasts.
PACKED_AT_ONCE: Final = 2
UNPACKED_AT_ONCE: Final = 1


class Held:
    """What a record takes. It goes with the record, and with what is made of it."""


class RecordMemory:
    """One for all records of an agent, ``within`` a larger budget."""

    def __init__(self, within: Budget | None = None) -> None:
        self.packing = asyncio.Semaphore(PACKED_AT_ONCE)
        self.unpacking = asyncio.Semaphore(UNPACKED_AT_ONCE)
        self._budget = Budget(TOGETHER, ALWAYS, within)
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._freed = asyncio.Event()

    def hold(self, namespace: str, size: int) -> Held:
        """Have room for a record of this namespace. Raises: RetryableError when there is none."""
        share = self._shares.get(namespace)
        if share is None:
            share = self._shares[namespace] = Share(self._budget, OF_NAMESPACE)
        try:
            share.take(size)
        except Spent as spent:
            whose = "" if spent.together else f" of namespace {namespace}"
            raise RetryableError(
                f"the release records{whose} that are worked with would take {spent}", hint="it is tried again"
            ) from None
        held = Held()
        weakref.finalize(held, self._gone, asyncio.get_running_loop(), share, size).atexit = False
        return held

    async def room(self) -> None:
        """Until some of it may be free again."""
        self._freed.clear()
        await self._freed.wait()

    def _gone(self, loop: asyncio.AbstractEventLoop, share: Share, size: int) -> None:
        with suppress(RuntimeError):  # in whatever thread it ended; the loop may have ended, too
            loop.call_soon_threadsafe(self._give, share, size)

    def _give(self, share: Share, size: int) -> None:
        share.give(size)
        self._freed.set()
