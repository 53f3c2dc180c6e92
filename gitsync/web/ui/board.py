"""What all pages are made of, kept current by one watch for each kind however many browsers are open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.impliedchart import NOT_IMPLIED
from gitsync.api.kinds import SERVED_SOURCES, SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import (
    ARTIFACT_GENERATOR,
    EXTERNAL_ARTIFACT,
    HELM_CHART,
    HELM_GROUP,
    HELM_RELEASE,
    KUSTOMIZATION,
    KUSTOMIZE_GROUP,
    SOURCE_GROUP,
)
from gitsync.defects import outliving
from gitsync.errors import GitsyncError
from gitsync.live.commits import RecordedCommit, by_commit, held_commit, with_those_under_way
from gitsync.live.known import Known
from gitsync.sync.reporting.underway import ROOT
from gitsync.sync.storage import history
from gitsync.sync.storage.configmaps import inventory_key, under_way_key
from gitsync.sync.storage.history import JournalEntry
from gitsync.web.ui.trim import trimmed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent

log = structlog.get_logger(__name__)

RELEASES = ((HELM_GROUP, HELM_RELEASE),)
KUSTOMIZATIONS = ((KUSTOMIZE_GROUP, KUSTOMIZATION),)
SOURCES = (
    *((SOURCE_GROUP, kind) for kind in (*SERVED_SOURCES, EXTERNAL_ARTIFACT)),
    (SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR),
)
#: Group and kind of all that is watched.
KINDS = (*RELEASES, *KUSTOMIZATIONS, *SOURCES)
#: Seconds until a watch that was refused is tried again.
_AGAIN = 30.0
_PATIENCE = 10.0
#: Seconds after which an agent that has said nothing of a sync since is not at work on it any more: it was killed.
_GIVEN_UP = 300.0


@dataclass
class Board:
    """``known`` are the objects, ``notes`` what of them cannot be seen and why, by kind. ``version`` grows with each
    change. ``namespace`` is the only one that is looked at, "" for all; ``journal`` says where the journals are kept,
    as namespace and name of a sync. ``asks``: there are pages of what the repository has."""

    cluster: Cluster
    namespace: str = ""
    journal: tuple[str, str] = ("gitsync-system", "gitsync")
    asks: bool = False
    known: Known = field(default_factory=Known)
    notes: dict[str, GitsyncError] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        self._news = asyncio.Event()
        self._watches: dict[str, Informer] = {}
        self._pending = {kind for _, kind in KINDS}
        self._loaded = asyncio.Event()
        self._root: tuple[JournalEntry, ...] = ()
        self._through: Mapping[str, tuple[JournalEntry, ...]] = {}
        self._under_way: Mapping[str, tuple[JournalEntry, ...]] = {}
        self._heard = 0.0
        self._commits: tuple[RecordedCommit, ...] = ()
        self._held: JournalEntry | None = None
        #: The commit that was confirmed on this page last, by its id.
        self.confirmed = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With the watches open."""
        root, through = (f"{self.journal[1]}-{name}" for name in ("journal", "kustomizations"))
        journals = {root: self._read_root, through: self._read_through}
        journals[under_way_key(*self.journal).name] = self._read_under_way
        work: list[partial[Any]] = [partial(self._objects, *kind) for kind in KINDS]
        work += [partial(self._journal, name, read) for name, read in journals.items()]
        async with outliving("page", *work):
            yield

    async def loaded(self) -> None:
        """Return when all kinds were listed, or could not be, or that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._loaded.wait()

    async def changed(self, version: int) -> int:
        """Return when there is a newer version than ``version``, which is returned."""
        while self.version <= version:
            await self._news.wait()
        return self.version

    def tell(self) -> None:
        """Something has changed."""
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    @property
    def commits(self) -> tuple[RecordedCommit, ...]:
        """What commits did, newest first."""
        return self._commits

    @property
    def has_journal(self) -> bool:
        """Whether the journal of the sync can be seen."""
        return f"ConfigMap {self.journal[1]}-journal" not in self.notes

    def unseen(self, kinds: Iterable[tuple[str, str]]) -> list[str]:
        """The kinds of ``kinds`` whose objects cannot be seen."""
        return [kind for _, kind in kinds if kind in self.notes]

    @property
    def held(self) -> JournalEntry | None:
        """The commit that is held until somebody confirms it, None for none."""
        return self._held

    @property
    def heard(self) -> float:
        """Seconds since the agent last told what is under way."""
        return time.monotonic() - self._heard

    @property
    def inventory_key(self) -> ObjectKey:
        """What a commit is confirmed on."""
        return inventory_key(*self.journal)

    def troubles(self) -> Iterator[tuple[str, GitsyncError]]:
        """What cannot be seen, or may be out of date, by what it is, and why."""
        more, journal = (
            f"ConfigMap {name}" for name in (under_way_key(*self.journal).name, f"{self.journal[1]}-journal")
        )
        # Who may not read the journal may read no more of it: that is said once.
        yield from (
            (what, error) for what, error in sorted(self.notes.items()) if what != more or journal not in self.notes
        )
        for what, watch in sorted(self._watches.items()):
            if watch.error is not None and what not in self.notes:
                yield what, watch.error

    async def _objects(self, group: str, kind: str) -> None:
        def take(key: ObjectKey, manifest: Manifest | None) -> None:
            self.known.update(key, manifest)
            self.tell()

        def settled() -> None:
            self._pending.discard(kind)
            if not self._pending:
                self._loaded.set()

        # A release's own chart says no more than the release.
        labels = NOT_IMPLIED if kind == HELM_CHART else ""
        watch = self.cluster.watch(group, kind, namespace=self.namespace, labels=labels, keep=trimmed)
        await self._follow(kind, watch, take, settled)

    async def _journal(self, name: str, read: Callable[[Manifest | None], None]) -> None:
        namespace = self.journal[0]
        latest: list[Manifest | None] = []
        news = asyncio.Event()

        def take(key: ObjectKey, manifest: Manifest | None) -> None:
            latest[:] = [manifest]
            news.set()

        async def reading() -> None:
            while True:
                await news.wait()
                news.clear()
                try:
                    await asyncio.to_thread(read, latest[0])
                    await asyncio.to_thread(self._put_together)
                    self.notes.pop(f"ConfigMap {name}", None)
                except GitsyncError as error:
                    self.notes[f"ConfigMap {name}"] = error
                self.tell()

        watch = self.cluster.watch("", "ConfigMap", namespace=namespace, fields=f"metadata.name={name}")
        async with outliving("journal", reading):
            await self._follow(f"ConfigMap {name}", watch, take, _nothing)

    async def _follow(
        self,
        what: str,
        watch: Informer,
        take: Callable[[ObjectKey, Manifest | None], None],
        settled: Callable[[], None],
    ) -> None:
        """Hand on what a watch has and hears of, for ever; one that is refused is tried again now and then."""

        def heard(event: WatchEvent) -> None:
            take(event.key, None if event.type == "DELETED" else event.manifest)

        while True:
            try:
                async with watch:
                    watch.subscribe(heard)
                    for key, manifest in watch.items():
                        take(key, manifest)
                    self.notes.pop(what, None)
                    self._watches[what] = watch
                    settled()
                    await asyncio.Event().wait()
            except GitsyncError as error:
                log.debug("not seen on the page", what=what, error=error.message)
                self.notes[what] = error
                settled()
                self.tell()
            finally:
                self._watches.pop(what, None)
            await asyncio.sleep(_AGAIN)

    def _read_root(self, config_map: Manifest | None) -> None:
        self._root = history.decode(config_map) if config_map is not None else ()

    def _read_through(self, config_map: Manifest | None) -> None:
        self._through = history.decode_all(config_map) if config_map is not None else {}

    def _read_under_way(self, config_map: Manifest | None) -> None:
        found = history.decode_all(config_map) if config_map is not None else {}
        oldest = time.time() - _GIVEN_UP
        self._under_way = {name: tuple(it for it in entries if it.time > oldest) for name, entries in found.items()}
        self._heard = time.monotonic()

    def _put_together(self) -> None:
        journals = with_those_under_way({ROOT: self._root, **self._through}, self._under_way)
        root = journals.pop(ROOT, ())
        self._commits, self._held = tuple(by_commit(root, journals)), held_commit(root)


def _nothing() -> None:
    """For what nobody waits for."""
