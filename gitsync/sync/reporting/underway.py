"""What syncs under way are doing, written to the cluster for the page: the journal has a sync only when it has
ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, Protocol

import structlog

from gitsync.defects import outliving
from gitsync.errors import GitsyncError
from gitsync.sync.reporting.report import Report
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.history import JournalChange, JournalEntry, newest

log = structlog.get_logger(__name__)

#: Seconds after which a sync is first written, and between two writes. Most syncs are over before, and cost nothing.
FIRST: Final = 1.0
EVERY: Final = 2.0
#: Seconds after which it is written again unchanged, so that readers know that the agent is still at work.
HEARTBEAT: Final = 20.0
#: Entries, changes and spans that are kept of all syncs together, as in the journal of Kustomizations.
MAX_WEIGHT: Final = 2_000
#: The key of the sync of the settings; others have ``namespace/name``.
ROOT: Final = ""


class UnderWayStore(Protocol):
    """Where it is written."""

    async def save_under_way(self, found: Mapping[str, tuple[JournalEntry, ...]]) -> None:
        """Write it, unless it is as it was."""
        ...

    async def forget_under_way(self) -> None:
        """Write that nothing is under way, whatever an agent before this one has left there."""
        ...


class UnderWay:
    """The reports of the syncs under way; it writes them to the store during ``writing``."""

    def __init__(self, store: UnderWayStore | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._reports: dict[str, tuple[Report, float]] = {}
        self._begun = asyncio.Event()
        self._told: object = None
        self._due = 0.0

    @contextmanager
    def following(self, spec: SyncSpec, report: Report) -> Iterator[None]:
        """Follow a sync with this report during the body."""
        name = ROOT if spec.is_root else spec.owner.full_name
        self._reports[name] = report, self._clock()
        self._begun.set()
        try:
            yield
        finally:
            if self._reports.get(name, (None,))[0] is report:
                del self._reports[name]

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write what is under way during the body; at its end, that nothing is any more."""
        if self._store is None:
            yield
            return
        try:
            async with outliving("what is under way", self._keep_written):
                yield
        finally:
            self._reports.clear()
            await self.write()

    async def write(self) -> None:
        """Write what is under way, if it has changed or was last written long ago."""
        assert self._store is not None
        now = self._clock()
        entries: dict[str, tuple[JournalEntry, ...]] = {}
        tells: dict[str, object] = {}
        for name, (report, since) in list(self._reports.items()):
            if now - since >= FIRST:
                entries[name] = (report.so_far(),)
                tells[name] = _gist(entries[name])
                await asyncio.sleep(0)  # each is some milliseconds, and hundreds may be under way
        entries = {name: found for name, found in entries.items() if name in self._reports}
        if tells == (self._told or {}) and (not tells or now < self._due):
            return
        try:
            await self._store.save_under_way(newest(entries, MAX_WEIGHT))
        except GitsyncError as error:
            log.debug("what is under way could not be written", error=error.message)
            return
        self._told, self._due = tells, now + HEARTBEAT

    async def _keep_written(self) -> None:
        assert self._store is not None
        with suppress(GitsyncError):
            await self._store.forget_under_way()
        while True:
            await self._begun.wait()
            await asyncio.sleep(FIRST)
            await self.write()
            while self._reports or self._told:
                await asyncio.sleep(EVERY)
                await self.write()
            self._begun.clear()


def _gist(entries: Sequence[JournalEntry]) -> object:
    """The part of entries whose change is worth a write: that time goes by is not."""
    return [(entry.commit, [_told(change, entry.took) for change in entry.changes]) for entry in entries]


def _told(change: JournalChange, took: float) -> object:
    way = [(span.kind, span.what, span.begin) for span in change.spans]
    return change.verb, change.object, way, change.is_open(took)
