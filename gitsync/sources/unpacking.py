"""The files of archives, as trees: unpacked once by a worker process, kept on disk, and checked when they are read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from gitsync.charts.workers import FileOfArchive, Workers
from gitsync.packed import TextMap
from gitsync.sources.store import Store
from gitsync.spool import Body
from gitsync.tree import Entries, FileList, TreeEntry

#: Returns an archive's bytes, from disk or fetched again.
Pull = Callable[[], Awaitable[Body]]
#: Has a worker unpack an archive, which messages call by the second argument, on behalf of the owner that is the third.
Unpack = Callable[[Body, str, str], Awaitable[tuple[list[FileOfArchive], bytes]]]


@dataclass(frozen=True)
class Unpacker:
    """Unpacks archives in worker processes. ``store`` keeps their files; without one they are unpacked at each read."""

    workers: Workers
    store: Store | None = None

    async def layer(self, digest: str, where: str, owner: str, pull: Pull) -> Unpacked:
        """The files of a layer, by the layer's sha256 in hex. Raises: ArtifactError; what ``pull`` raises."""
        return await self._unpacked(digest, where, owner, pull, self.workers.untar)

    async def archive(self, digest: str, where: str, owner: str, pull: Pull) -> Unpacked:
        """The files of an archive that is itself a file of an artifact."""
        return await self._unpacked(digest, where, owner, pull, self.workers.extract)

    async def _unpacked(self, digest: str, where: str, owner: str, pull: Pull, unpack: Unpack) -> Unpacked:
        unpacked = Unpacked(self.store, digest, where, owner, pull, unpack)
        listing, _ = await unpacked.unpack()
        unpacked.entries = Entries(FileList.of(TreeEntry(item.path, item.sha256, item.size) for item in listing))
        return unpacked


@dataclass
class Unpacked:
    """The files of an archive, read piece by piece."""

    store: Store | None
    digest: str
    where: str
    owner: str
    pull: Pull
    how: Unpack
    #: Its files.
    entries: Entries = field(default_factory=lambda: Entries(FileList.of(())))
    #: By digest of a file: its offset in the unpacked file, and its size.
    places: TextMap = field(default_factory=lambda: TextMap.of({}))

    async def unpack(self) -> tuple[list[FileOfArchive], bytes]:
        """The list of its files, and the contents of all of them one after the other."""
        listing, contents = await self.how(await self.pull(), self.where, self.owner)
        if self.store is not None:
            await asyncio.to_thread(self.store.keep_unpacked, self.digest, [contents])
        begins = accumulate((item.size for item in listing), initial=0)
        self.places = TextMap.of(
            {item.sha256: f"{begin} {item.size}" for item, begin in zip(listing, begins, strict=False)}
        )
        return listing, contents

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """See ReadBlobs. If the unpacked file is gone from disk or damaged, the archive is unpacked again."""
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
        if self.store is None:
            return None
        parts = self.store.unpacked(self.digest, list(map(self._place, blob_ids)))
        if parts is None:
            return None
        found = dict(zip(blob_ids, parts, strict=True))
        return found if all(hashlib.sha256(data).hexdigest() == blob_id for blob_id, data in found.items()) else None
