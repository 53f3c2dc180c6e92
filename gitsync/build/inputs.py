"""Bounds on the memory of files that are read for builds: one build may have many megabytes, and any number of builds
may wait for their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final
from weakref import WeakValueDictionary

from gitsync.budget import Budget, Share, Spent
from gitsync.build.known import ReadBlobs
from gitsync.build.limits import ALWAYS, INPUTS, INPUTS_OF_OWNER, PART_BYTES
from gitsync.runtime.progress import telling
from gitsync.tree import TreeEntry

#: Seconds after which a build that waits for memory looks again by itself.
_LOOK: Final = 5.0


class InputMemory:
    """A bound on the inputs of all builds: ``together`` bytes, of which one owner has no more than ``of_owner``. An
    owner who has no more than ``always`` bytes is let in whatever the others have."""

    def __init__(self, together: int = INPUTS, of_owner: int = INPUTS_OF_OWNER, always: int = ALWAYS) -> None:
        self._budget = Budget(together, always)
        self._of_owner = of_owner
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._freed = asyncio.Condition()

    @property
    def taken(self) -> int:
        """In bytes."""
        return self._budget.taken

    @asynccontextmanager
    async def held(self, owner: str, size: int) -> AsyncIterator[None]:
        """Have room for so many bytes of ``owner``'s during the body. Waits until there is."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = Share(self._budget, self._of_owner)
        size = min(size, self._of_owner)
        if not _taken(share, size):
            async with telling(lambda: "memory for what is to be built: others have all of it"):
                await self._room(share, size)
        try:
            yield
        finally:
            share.give(size)
            async with self._freed:
                self._freed.notify_all()

    async def _room(self, share: Share, size: int) -> None:
        async with self._freed:
            while not _taken(share, size):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._freed.wait()


def _taken(share: Share, size: int) -> bool:
    try:
        share.take(size)
    except Spent:
        return False
    return True


async def read_all(entries: Iterable[TreeEntry], read: ReadBlobs) -> Mapping[str, bytes]:
    """The contents of files by their ids, read some megabytes at a time: an answer of git takes twice its size until it
    has been split into files."""
    found: dict[str, bytes] = {}
    batch: dict[str, int] = {}
    for entry in entries:
        if entry.blob_id not in found:
            batch[entry.blob_id] = entry.size
        if sum(batch.values()) >= PART_BYTES:
            found |= await read(list(batch))
            batch = {}
    if batch:
        found |= await read(list(batch))
    return found
