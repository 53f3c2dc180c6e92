"""A bound on the memory of release records that are being worked with: anybody who may write Secrets may write any
number of them, and releases that wait for their objects keep their earlier revisions."""

from __future__ import annotations

import asyncio
from typing import Final

from gitsync.budget import Budget
from gitsync.runtime.memory import Memory

#: Bytes for all records in memory, for those of one namespace, and what each namespace may take whatever the others
#: have. A release compares with the record that it then replaces, so two of the largest have to fit.
TOGETHER: Final = 96 << 20
OF_NAMESPACE: Final = 72 << 20
ALWAYS: Final = 16 << 20
#: How many records are packed, and unpacked, at the same time: unpacking a foreign one takes a multiple of its memory.
PACKED_AT_ONCE: Final = 2
UNPACKED_AT_ONCE: Final = 1


class RecordMemory(Memory):
    """The bound for all records of an agent."""

    def __init__(self, within: Budget | None = None) -> None:
        super().__init__("release records", TOGETHER, OF_NAMESPACE, ALWAYS, within)
        self.packing = asyncio.Semaphore(PACKED_AT_ONCE)
        self.unpacking = asyncio.Semaphore(UNPACKED_AT_ONCE)
