"""What release records take in memory while they are worked with: whoever may write Secrets may write as many as he
likes, and releases that wait for their objects have their earlier revisions with them."""

from __future__ import annotations

import asyncio
from typing import Final

from gitsync.budget import Budget
from gitsync.runtime.memory import Memory

#: All records that are in memory at a moment, and those of one namespace, in bytes; of another one there is always room
#: for so many. A release compares with the record that it then replaces: two of the largest have to fit.
TOGETHER: Final = 96 << 20
OF_NAMESPACE: Final = 72 << 20
ALWAYS: Final = 16 << 20
#: Records that are packed at once, and unpacked: one that is not ours takes a multiple while that lasts.
PACKED_AT_ONCE: Final = 2
UNPACKED_AT_ONCE: Final = 1


class RecordMemory(Memory):
    """One for all records of an agent."""

    def __init__(self, within: Budget | None = None) -> None:
        super().__init__("release records", TOGETHER, OF_NAMESPACE, ALWAYS, within)
        self.packing = asyncio.Semaphore(PACKED_AT_ONCE)
        self.unpacking = asyncio.Semaphore(UNPACKED_AT_ONCE)
