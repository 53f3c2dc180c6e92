"""What commits did through Kustomizations: one journal for all of them, in the agent's own namespace.

A commit changes many Kustomizations within seconds. What they did is written together, a moment after the first: one
request instead of one for each, and a kill loses what was done in that moment from the journal, and from nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import ObjectKey
from gitsync.defects import outliving
from gitsync.errors import GitsyncError, InventoryError
from gitsync.sync.storage.history import JournalEntry, newest

if TYPE_CHECKING:
    from gitsync.sync.storage.configmaps import SyncStore

log = structlog.get_logger(__name__)

#: Entries and changes that are kept, of all Kustomizations together: some 500 KB in a ConfigMap.
MAX_WEIGHT = 10_000
#: Seconds in which what several Kustomizations do is gathered, and after which a write that failed is tried again.
GATHER = 2.0


class KustomizationJournal:
    """Read once, when first needed; nobody else writes it."""

    def __init__(self, store: SyncStore) -> None:
        self._store = store
        self._journals: dict[str, tuple[JournalEntry, ...]] | None = None
        self._reading = asyncio.Lock()
        self._news = asyncio.Event()

    async def of(self, key: ObjectKey) -> tuple[JournalEntry, ...]:
        """What commits did through a Kustomization, newest first. Raises: ApiError, ClusterUnavailable."""
        return (await self._read()).get(key.namespaced_name, ())

    async def record(self, key: ObjectKey, entries: Sequence[JournalEntry]) -> None:
        """Replace the entries of a Kustomization. Raises: as ``of``."""
        (await self._read())[key.namespaced_name] = tuple(entries)
        self._news.set()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """While entered, write what is recorded; what is left, at the end."""
        try:
            async with outliving("journal of Kustomizations", self._keep_written):
                yield
        finally:
            await self._write()

    async def _keep_written(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER)
            await self._write()

    async def _write(self) -> None:
        """Write what was recorded since the last time, if anything was. What cannot be written stays for the next."""
        if self._journals is None or not self._news.is_set():
            return
        self._news.clear()
        self._journals, written = newest(self._journals, MAX_WEIGHT), False
        try:
            await self._store.save_kustomization_journals(dict(self._journals))
            written = True
        except GitsyncError as error:
            log.debug("the journal of Kustomizations could not be written", error=error.message)
        finally:
            if not written:
                self._news.set()

    async def _read(self) -> dict[str, tuple[JournalEntry, ...]]:
        async with self._reading:
            if self._journals is None:
                try:
                    self._journals = await self._store.kustomization_journals()
                except InventoryError as error:
                    log.warning("the journal of Kustomizations begins anew", why=error.message)
                    self._journals = {}
        return self._journals
