"""What release records take in memory while they are worked with: whoever may write Secrets may write as many as he
likes, and releases that wait for their objects have their earlier revisions with them."""

from __future__ import annotations

import asyncio
import weakref
from typing import Final
from weakref import WeakValueDictionary

from gitsync.budget import Budget, Share, Spent
from gitsync.errors import RetryableError

#: All records that are in memory at a moment, and those of one namespace, in bytes; of another one there is always room
#: for so many.
TOGETHER: Final = 144 << 20
OF_NAMESPACE: Final = 96 << 20
ALWAYS: Final = 16 << 20
#: Records that are packed or unpacked at once. One may take a tenth of a second, and while that lasts more memory than
#: afterwards.
CODED_AT_ONCE: Final = 2


class Held:
    """What a record takes. It goes with the record, and with what is made of it."""

    def __init__(self, share: Share, size: int) -> None:
        share.take(size)
        weakref.finalize(self, share.give, size).atexit = False


class RecordMemory:
    """One for all records of an agent."""

    def __init__(self) -> None:
        self.coding = asyncio.Semaphore(CODED_AT_ONCE)
        #: One that takes much is read alone.
        self.large = asyncio.Lock()
        self._budget = Budget(TOGETHER, ALWAYS)
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()

    def hold(self, namespace: str, size: int) -> Held:
        """Have room for a record of this namespace. Raises: RetryableError."""
        share = self._shares.get(namespace)
        if share is None:
            share = self._shares[namespace] = Share(self._budget, OF_NAMESPACE)
        try:
            return Held(share, size)
        except Spent as spent:
            whose = "" if spent.together else f" of namespace {namespace}"
            raise RetryableError(
                f"the release records{whose} that are worked with would take {spent}", hint="it is tried again"
            ) from None
