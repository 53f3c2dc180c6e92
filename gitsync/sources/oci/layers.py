"""The files of layers, as trees: unpacked once by a worker process, kept on disk, and checked when they are read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

from gitsync.charts.workers import FileOfArchive, Workers
from gitsync.packed import TextMap
from gitsync.sources.composition import Composition
from gitsync.sources.oci.spec import ArtifactSpec, OciArtifact
from gitsync.sources.store import Store
from gitsync.spool import Body
from gitsync.tree import Entries, FileList, Tree, TreeEntry
from gitsync.treememory import TreeMemory

#: Gives a layer, from disk or once more from the registry.
Pull = Callable[[], Awaitable[Body]]

#: The repository and who we are there, a layer of it, whether it is taken as it is, and else what is left out of it.
_Key = tuple[str, str, bool, str | None]


def key_of(spec: ArtifactSpec, artifact: OciArtifact) -> _Key:
    """What makes one tree another than the other. A tree that has to be fetched again is, by whoever may do so."""
    return spec.repository.id, artifact.digest, spec.copies, spec.ignore


class LayerTrees:
    """Has layers unpacked. ``store`` keeps their files, ``memory`` their trees."""

    def __init__(self, store: Store, workers: Workers, memory: TreeMemory) -> None:
        self._store = store
        self._workers = workers
        self._memory = memory

    def known(self, spec: ArtifactSpec, artifact: OciArtifact) -> Tree | None:
        """What ``of`` has found before, as long as it is remembered."""
        return self._memory.get(key_of(spec, artifact))

    async def of(self, spec: ArtifactSpec, artifact: OciArtifact, pull: Pull) -> Tree:
        """The files of an artifact's layer, without what is to be left out.

        Raises: ArtifactError for a layer that holds no files, or patterns that cannot be read; NoRoom; what ``pull``
        raises.
        """
        layer = _Layer(self._store, self._workers, artifact.digest.removeprefix("sha256:"), spec, pull)
        listing, _ = await layer.unpack()
        entries = Entries(FileList.of(TreeEntry(item.path, item.sha256, item.size) for item in listing))
        whole = Composition(Tree(artifact.manifest, entries, layer.read), entries)
        if not spec.copies:
            rules = await whole.rules(spec.ignore)
            await asyncio.to_thread(whole.without, rules.ignored)
        making = partial(asyncio.to_thread, whole.tree, layer.places)
        return await self._memory.make(key_of(spec, artifact), spec.repository.owner, making)


@dataclass
class _Layer:
    """A layer (by its sha256 in hex) that is read piece by piece."""

    store: Store
    workers: Workers
    digest: str
    spec: ArtifactSpec
    pull: Pull
    #: By the digests of files, where each begins, and its size.
    places: TextMap = field(default_factory=lambda: TextMap.of({}))

    async def unpack(self) -> tuple[list[FileOfArchive], bytes]:
        """Its files, and the contents of all of them one after the other."""
        repository = self.spec.repository
        listing, contents = await self.workers.untar(await self.pull(), str(repository), repository.owner)
        await asyncio.to_thread(self.store.keep_unpacked, self.digest, [contents])
        begins = accumulate((item.size for item in listing), initial=0)
        self.places = TextMap.of(
            {item.sha256: f"{begin} {item.size}" for item, begin in zip(listing, begins, strict=False)}
        )
        return listing, contents

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """See ReadBlobs. What is gone from disk, or is another by now, is unpacked once more."""
        found = await asyncio.to_thread(self._read, blob_ids)
        if found is not None:
            return found
        _, contents = await self.unpack()
        places = {blob_id: self._place(blob_id) for blob_id in blob_ids}
        return {blob_id: contents[begin : begin + size] for blob_id, (begin, size) in places.items()}

    def _place(self, blob_id: str) -> tuple[int, int]:
        begin, size = map(int, self.places[blob_id].split())
        return begin, size

    def _read(self, blob_ids: Sequence[str]) -> dict[str, bytes] | None:
        parts = self.store.unpacked(self.digest, list(map(self._place, blob_ids)))
        if parts is None:
            return None
        found = dict(zip(blob_ids, parts, strict=True))
        return found if all(hashlib.sha256(data).hexdigest() == blob_id for blob_id, data in found.items()) else None
