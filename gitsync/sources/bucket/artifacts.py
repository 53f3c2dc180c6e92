"""Artifacts of buckets: listed, fetched when the list has changed, and kept on disk by digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate

from cachetools import LRUCache

from gitsync.errors import ArtifactError
from gitsync.manifests.ignore import IGNORE_FILE
from gitsync.manifests.limits import MAX_IGNORE_BYTES
from gitsync.packed import TextMap
from gitsync.runtime.singleflight import SingleFlight
from gitsync.s3 import Buckets, Item
from gitsync.s3.buckets import shown
from gitsync.sources.bucket.choice import chosen
from gitsync.sources.bucket.spec import BucketArtifact, BucketFile, BucketSpec, revision_of
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from gitsync.spool import Body
from gitsync.tree import Tree, TreeEntry
from gitsync.treememory import TreeMemory

_FOLDER = "buckets"
#: Files of all artifacts that are remembered, together.
_MOST_FILES = 100_000
#: Objects of a bucket that are fetched at once.
_AT_ONCE = 8


class BucketArtifacts:
    """Asks buckets. ``store`` keeps the contents of objects, ``memory`` their trees."""

    def __init__(self, buckets: Buckets, store: Store, turns: Turns, memory: TreeMemory) -> None:
        self._memory = memory
        self._buckets = buckets
        self._store = store
        self._turns = turns
        self._known: LRUCache[str, BucketArtifact] = LRUCache(_MOST_FILES, _weight)
        self._refreshing: SingleFlight[tuple[BucketArtifact, bool]] = SingleFlight()
        self._fetching: SingleFlight[Mapping[str, Body]] = SingleFlight()

    async def close(self) -> None:
        """Ends what is under way."""
        await self._refreshing.close()
        await self._fetching.close()

    async def known(self, spec: BucketSpec) -> BucketArtifact | None:
        """The artifact that was found last, also before a restart; None when there is none. Makes no request."""
        found = self._known.get(spec.id)
        if found is None:
            found = BucketArtifact.read(await asyncio.to_thread(self._store.data, _FOLDER, spec.id))
            if found is not None:
                self._known[spec.id] = found
        return found

    async def refresh(self, spec: BucketSpec) -> tuple[BucketArtifact, bool]:
        """The bucket's present artifact, fetched if its list has changed; and whether it has.

        Concurrent calls for the same bucket share one request. When this fails, the artifact before stays in use.
        Raises: SourceMissing, ArtifactError, SourceError, SourceUnavailable.
        """
        place, work = spec.place, partial(self._refresh, spec)
        return await self._turns.shared(
            place.owner, place.endpoint, str(place), self._refreshing, spec.id, work, place.secrets
        )

    async def look(self, spec: BucketSpec) -> int:
        """How many objects the artifact would have now. None is fetched. Raises: as ``refresh``."""
        return len(await self._listed(spec))

    async def tree(self, spec: BucketSpec, artifact: BucketArtifact) -> Tree:
        """The artifact's files. One that is gone from disk is fetched again when it is read, if it is still as it was
        listed. Raises: NoRoom."""
        key = (_FOLDER, spec.id, artifact.digest)
        making = partial(asyncio.to_thread, self._tree, spec, artifact)
        return self._memory.get(key) or await self._memory.make(key, spec.place.owner, making)

    def _tree(self, spec: BucketSpec, artifact: BucketArtifact) -> Tree:
        entries = [TreeEntry(file.key, file.sha256, file.size) for file in artifact.files]
        begins = accumulate((file.size for file in artifact.files), initial=0)
        places = TextMap.of(
            {file.sha256: f"{begin} {file.size}" for file, begin in zip(artifact.files, begins, strict=False)}
        )
        return Tree(artifact.revision, entries, partial(self._read, spec, artifact, places), beside=(places,))

    def forget(self, spec: BucketSpec) -> None:
        """Drops what is known of the bucket; nothing refers to it any more."""
        self._known.pop(spec.id, None)

    async def _refresh(self, spec: BucketSpec) -> tuple[BucketArtifact, bool]:
        known = await self.known(spec)
        items = await self._listed(spec)
        revision = await asyncio.to_thread(revision_of, items)
        if known is not None and known.revision == revision:
            return known, False
        bodies = await self._fetch(spec, items)
        files = tuple(BucketFile(it.key, it.etag, it.size, bodies[it.key].sha256) for it in items)
        artifact = BucketArtifact(revision, files)
        await self._keep(artifact, bodies)
        await asyncio.to_thread(self._store.keep_data, _FOLDER, spec.id, artifact.data())
        self._known[spec.id] = artifact
        return artifact, True

    async def _listed(self, spec: BucketSpec) -> list[Item]:
        """The objects of the artifact as the bucket has them now."""
        place = spec.place
        async with self._buckets.conversation(place):
            items = await self._buckets.items(place, spec.prefix)
            ignore = None
            if spec.prefix or any(item.key == IGNORE_FILE for item in items):
                ignore = await self._buckets.small(place, IGNORE_FILE, MAX_IGNORE_BYTES)
        return await asyncio.to_thread(chosen, items, ignore, spec.ignore, str(place))

    async def _fetch(self, spec: BucketSpec, items: Sequence[Item]) -> dict[str, Body]:
        """Objects by key."""
        found: dict[str, Body] = {}
        waiting = iter(items)

        async def some() -> None:
            for item in waiting:
                found[item.key] = await self._buckets.object(spec.place, item)

        async with self._buckets.conversation(spec.place):
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(_AT_ONCE):
                        group.create_task(some())
            except BaseExceptionGroup as errors:  # callers expect a single error: the first
                raise errors.exceptions[0] from None
        return found

    async def _keep(self, artifact: BucketArtifact, bodies: Mapping[str, Body]) -> None:
        await asyncio.to_thread(self._store.keep_unpacked, _name(artifact), _contents(artifact, bodies))

    async def _read(
        self, spec: BucketSpec, artifact: BucketArtifact, places: TextMap, blob_ids: Sequence[str]
    ) -> dict[str, bytes]:
        """See ReadBlobs. Raises: as ``refresh``; SourceUnavailable when the bucket has other objects by now."""
        found = await asyncio.to_thread(self._on_disk, artifact, places, blob_ids)
        if found is not None:
            return found
        place, work = spec.place, partial(self._again, spec, artifact)
        bodies = await self._turns.shared(
            place.owner, place.endpoint, str(place), self._fetching, (spec.id, artifact.digest), work, place.secrets
        )
        keys = {file.sha256: file.key for file in artifact.files}
        return {blob_id: await asyncio.to_thread(bodies[keys[blob_id]].read) for blob_id in blob_ids}

    async def _again(self, spec: BucketSpec, artifact: BucketArtifact) -> Mapping[str, Body]:
        bodies = await self._fetch(spec, [file.item for file in artifact.files])
        for file in artifact.files:
            if bodies[file.key].sha256 != file.sha256:
                raise ArtifactError(
                    f"{spec.place}: object {shown(file.key)} has another content than before, and the same ETag",
                    url=str(spec.place),
                )
        await self._keep(artifact, bodies)
        return bodies

    def _on_disk(self, artifact: BucketArtifact, places: TextMap, blob_ids: Sequence[str]) -> dict[str, bytes] | None:
        parts = self._store.unpacked(_name(artifact), [_place(places[blob_id]) for blob_id in blob_ids])
        if parts is None:
            return None
        found = dict(zip(blob_ids, parts, strict=True))
        return found if all(hashlib.sha256(data).hexdigest() == blob_id for blob_id, data in found.items()) else None


def _place(text: str) -> tuple[int, int]:
    """Where the content of a file begins in the store's file, and its size."""
    begin, size = map(int, text.split())
    return begin, size


def _contents(artifact: BucketArtifact, bodies: Mapping[str, Body]) -> Iterator[bytes]:
    for file in artifact.files:
        yield from bodies[file.key].pieces()


def _name(artifact: BucketArtifact) -> str:
    return artifact.digest.removeprefix("sha256:")


def _weight(artifact: BucketArtifact) -> int:
    return min(len(artifact.files) + 1, _MOST_FILES // 2)
