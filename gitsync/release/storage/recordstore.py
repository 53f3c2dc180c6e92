"""Release records in the cluster: read by their metadata from one shared watch, written one request each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_RECORD_MANAGER
from gitsync.apply.wait import version
from gitsync.errors import AlreadyExists, RetryableError
from gitsync.logs import redact
from gitsync.release.storage.record import (
    CHART_DIGEST,
    FAILURE,
    HOLDER,
    OWNER_SELECTOR,
    TESTS,
    VALUES_DIGEST,
    Digests,
    Record,
    RecordError,
    Summary,
    decode,
    encode,
    secret_key,
    summarise,
    unpack,
)
from gitsync.release.storage.recordmemory import RecordMemory
from gitsync.runtime.memory import PATIENCE
from gitsync.runtime.together import finish_all
from gitsync.weight import json_weight

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent


@dataclass(frozen=True, slots=True)
class _Known:
    """A record's Secret as last seen. Its uid tells it from one of the same name that was there before."""

    uid: str
    version: int
    summary: Summary


class RecordStore:
    """All releases' records. Reading sees this agent's own writes at once, even if the watch has yet to show them.

    ``holder`` is the mark that this agent puts on a record while it works on it; all its stores share ``memory``.
    """

    def __init__(self, cluster: Cluster, holder: str, memory: RecordMemory | None = None) -> None:
        self._cluster = cluster
        self.holder = holder
        self._releases: dict[tuple[str, str], dict[int, _Known]] = {}
        #: The uids of Secrets that this agent has deleted, until the watch shows that.
        self._deleted: set[str] = set()
        self._underway: dict[ObjectKey, WatchEvent | None] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        self._memory = memory or RecordMemory()

    @asynccontextmanager
    async def watching(self, namespace: str = "") -> AsyncIterator[Informer]:
        """Keep the summaries of one namespace, or ("") of all, current during the body."""
        async with self._cluster.watch(
            "", "Secret", namespace=namespace, labels=OWNER_SELECTOR, metadata_only=True
        ) as watch:
            unsubscribe = watch.subscribe(self._on_event)
            for _, secret in watch.items():
                self._see(secret)
            try:
                yield watch
            finally:
                unsubscribe()

    def on_foreign_change(self, listener: Callable[[str, str], None]) -> None:
        """Have ``listener(namespace, release)`` called when somebody else writes a record."""
        self._listeners.append(listener)

    def revisions(self, namespace: str, release: str) -> list[Summary]:
        """Every stored revision of a release, oldest first."""
        found = self._releases.get((namespace, release), {})
        return [found[number].summary for number in sorted(found)]

    def latest(self, namespace: str, release: str) -> Summary | None:
        """The newest revision; None when there is no record."""
        found = self._releases.get((namespace, release))
        return found[max(found)].summary if found else None

    def has(self, release: str) -> bool:
        """Whether a release, by ``namespace/name``, is in the cluster, by the records in its own namespace, where helm
        keeps them."""
        namespace, _, name = release.partition("/")
        newest = self.latest(namespace, name)
        return newest is not None and newest.status != "uninstalled"

    def last_good(self, namespace: str, release: str) -> int:
        """See the function ``last_good``."""
        return last_good(self.revisions(namespace, release))

    async def read(self, namespace: str, release: str, revision: int) -> Record:
        """One revision with its payload. Raises: NotFound; RecordError; RetryableError when there is no room for it."""
        secret = await self._cluster.get(secret_key(namespace, release, revision))
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE
        while True:
            try:
                return await self._decoded(secret, namespace)
            except RetryableError:
                if clock() > deadline:
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._memory.until_freed()

    async def _decoded(self, secret: Manifest, namespace: str) -> Record:
        """Unpack and decode a record. Raises: RecordError; RetryableError when there is no memory for it; then nothing
        of it is kept."""
        async with self._memory.unpacking:
            body = await asyncio.to_thread(unpack, secret)
            held: object = self._memory.hold(namespace, await asyncio.to_thread(json_weight, body))
            try:
                return await asyncio.to_thread(decode, secret, body, held)
            except RecordError as error:
                # The traceback would keep the content for as long as somebody keeps the error.
                body, held, error.__context__ = b"", None, None
                raise error.with_traceback(None) from None

    async def in_cluster(self, namespace: str, release: str) -> list[Record]:
        """The revisions whose objects may be in the cluster, oldest first (see ``may_be_in_cluster``). Empty when there
        is none."""
        wanted = may_be_in_cluster(self.revisions(namespace, release))
        return await finish_all(self.read(namespace, release, item.version) for item in wanted)

    async def create(self, record: Record, namespace: str) -> Record:
        """Store a new revision, marked as worked on by this agent.

        Raises: RetryableError when somebody else has begun that revision meanwhile; RecordError.
        """
        marked = replace(record, annotations={**record.annotations, HOLDER: self.holder})
        secret = await self._encoded(marked, storage_namespace=namespace, created=str(int(time.time())))
        try:
            with self._writing(ObjectKey.of(secret)):
                self._written(await self._cluster.create(secret, manager=HELM_RECORD_MANAGER))
        except AlreadyExists as error:
            raise RetryableError(
                f"revision {record.version} of {record.namespace}/{record.name} has been begun by somebody else",
                hint="is another agent, or helm, working on this release?",
            ) from error
        return marked

    async def update(self, record: Record, namespace: str) -> None:
        """Rewrite a revision. Raises: NotFound when it is gone."""
        secret = await self._encoded(record, storage_namespace=namespace, modified=str(int(time.time())))
        with self._writing(ObjectKey.of(secret)):
            self._written(await self._cluster.replace(secret, manager=HELM_RECORD_MANAGER))

    async def mark(self, record: Record, namespace: str, digests: Digests) -> None:
        """Note the digests on a revision that somebody else deployed, so that it need not be compared again."""
        annotations = {CHART_DIGEST: digests.chart, VALUES_DIGEST: digests.values}
        key = secret_key(namespace, record.name, record.version)
        body = {"metadata": {"annotations": annotations}}
        with self._writing(key):
            self._written(await self._cluster.patch(key, body, manager=HELM_RECORD_MANAGER))

    async def delete_all(self, namespace: str, release: str, revisions: Iterable[int]) -> None:
        """Remove revisions, all at once. Those that are gone already are no error."""
        await finish_all(self.delete(namespace, release, revision) for revision in revisions)

    async def delete(self, namespace: str, release: str, revision: int) -> None:
        """Remove a revision; nothing happens when it is gone already."""
        key = secret_key(namespace, release, revision)
        with self._writing(key):
            await self._cluster.delete(key)
            if known := self._forget((namespace, release), revision):
                self._deleted.add(known.uid)

    async def _encoded(self, record: Record, **times: str) -> Manifest:
        said = replace(record, description=redact(record.description))
        async with self._memory.packing:
            return await asyncio.to_thread(encode, said, **times)

    @contextmanager
    def _writing(self, key: ObjectKey) -> Iterator[None]:
        """Write a record in the body. The watch may show the write before its answer comes, and only the answer tells
        such an event from somebody else's write: events are held back until the body is left.
        """
        self._underway[key] = None
        try:
            yield
        finally:
            event = self._underway.pop(key)
            if event is not None:
                self._on_event(event)

    def _written(self, secret: Manifest) -> None:
        self._see(secret)

    def _on_event(self, event: WatchEvent) -> None:
        summary = summarise(event.manifest)
        if summary is None:
            return
        if event.key in self._underway:
            self._underway[event.key] = event
            return
        release, uid = (summary.namespace, summary.name), _uid(event.manifest)
        if uid in self._deleted:
            news = False  # also an earlier state, if this event comes late
            if event.type == "DELETED":
                self._deleted.discard(uid)
        elif event.type == "DELETED":
            news = self._forget(release, summary.version, uid) is not None
        else:
            news = self._see(event.manifest, foreign=True)
        if not news:
            return  # an echo of what this agent did
        for listener in self._listeners:
            listener(*release)

    def _see(self, secret: Manifest, *, foreign: bool = False) -> bool:
        """Take in a record's metadata, unless a newer state of it is known; returns whether it was news. After a change
        by somebody else (``foreign``), the annotations no longer prove the record's content.
        """
        summary = summarise(secret)
        if summary is None:
            return False
        revisions = self._releases.setdefault((summary.namespace, summary.name), {})
        known, at = revisions.get(summary.version), version(secret)
        if known is not None and (known.version > at or (foreign and known.version == at)):
            return False  # of our own, a write that changes nothing has the version that is known already
        if foreign and known is not None:
            kept = summary.annotations.keys() - {CHART_DIGEST, VALUES_DIGEST}
            summary = replace(summary, annotations={name: summary.annotations[name] for name in kept})
        revisions[summary.version] = _Known(_uid(secret), at, summary)
        return True

    def _forget(self, release: tuple[str, str], revision: int, uid: str = "") -> _Known | None:
        """Forget a record that is gone. Returns what was known of it; None if nothing was, or if the one that is known
        has another ``uid``."""
        revisions = self._releases.get(release, {})
        known = revisions.get(revision)
        if known is None or (uid and known.uid != uid):
            return None
        del revisions[revision]
        if not revisions:
            del self._releases[release]
        return known


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])


def last_good(revisions: Sequence[Summary]) -> int:
    """The newest revision that was deployed and whose tests did not fail, since the last uninstall; 0 when there is
    none. Pure.
    """
    after = max((item.version for item in revisions if item.status == "uninstalled"), default=0)
    return max((item.version for item in revisions if item.version > after and is_good(item)), default=0)


def is_good(summary: Summary) -> bool:
    """Whether a revision was deployed, and its tests did not fail. If it is being uninstalled, its annotations tell.
    Pure."""
    deployed = summary.status in ("deployed", "superseded", "uninstalling") and FAILURE not in summary.annotations
    return deployed and summary.annotations.get(TESTS) != "Failed"


def may_be_in_cluster(revisions: Sequence[Summary]) -> list[Summary]:
    """Of a release's revisions, oldest first, those whose objects may be in the cluster: the last one deployed, and
    what was attempted since, even if it failed half way (Helm forgets the objects of those). An uninstall takes all
    before it away. Pure.
    """
    after = max((item.version for item in revisions if item.status == "uninstalled"), default=0)
    known = [item for item in revisions if item.version > after]
    since = max((item.version for item in known if item.status == "deployed"), default=0) or max(
        (item.version for item in known if item.status == "superseded"), default=0
    )
    return [item for item in known if item.version >= since]
