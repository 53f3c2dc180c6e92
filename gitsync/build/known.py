"""What was read of files, remembered by their blobs, whatever tree they are in: a commit costs what it changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from gitsync.api.identity import Origin
from gitsync.build.heads import Head, heads
from gitsync.build.kustomization import Kustomization, read_kustomization
from gitsync.build.limits import REMEMBERED_BYTES
from gitsync.errors import ManifestError
from gitsync.manifests import LFS_POINTER, is_lfs_pointer
from gitsync.runtime.cache import Cache, Room
from gitsync.tree import TreeEntry

ReadBlobs = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]
_BATCH_BYTES = 4 << 20
_LFS_HINT = "commit the file itself, after git lfs untrack"


class Known:
    """Reads files, and keeps what was read last, in a ``room`` with others."""

    def __init__(self, room: Room) -> None:
        self._kustomizations: Cache[Kustomization | ManifestError] = Cache(REMEMBERED_BYTES, room)
        self._heads: Cache[tuple[Head, ...] | ManifestError] = Cache(REMEMBERED_BYTES, room)

    async def kustomization(self, entry: TreeEntry, read_blobs: ReadBlobs) -> Kustomization | ManifestError:
        """What kustomize's own file says, or what is wrong with it."""
        key = _key(entry)
        found = self._kustomizations.get(key)
        if found is None:
            data = (await read_blobs([entry.blob_id]))[entry.blob_id]
            found = await asyncio.to_thread(_kustomization, entry.path, data)
            self._kustomizations.put(key, found, entry.size + 1)
        return found

    async def heads(
        self, entries: Sequence[TreeEntry], read_blobs: ReadBlobs
    ) -> dict[str, tuple[Head, ...] | ManifestError]:
        """The documents of files by their paths, or what is wrong with a file."""
        found = {entry.path: self._heads.get(_key(entry)) for entry in entries}
        missing = [entry for entry in entries if found[entry.path] is None]
        for batch in _batches(missing):
            blobs = await read_blobs(list({entry.blob_id for entry in batch}))
            found |= await asyncio.to_thread(self._read, batch, blobs)
        return {path: item for path, item in found.items() if item is not None}

    def _read(
        self, entries: Sequence[TreeEntry], blobs: Mapping[str, bytes]
    ) -> dict[str, tuple[Head, ...] | ManifestError]:
        read = {}
        for entry in entries:
            read[entry.path] = item = _heads(entry.path, blobs[entry.blob_id])
            self._heads.put(_key(entry), item, entry.size + 1)
        return read


def _batches(entries: Sequence[TreeEntry]) -> Iterator[list[TreeEntry]]:
    """Some megabytes at a time."""
    batch: list[TreeEntry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _key(entry: TreeEntry) -> str:
    return f"{entry.blob_id}:{entry.path}"


def _kustomization(path: str, data: bytes) -> Kustomization | ManifestError:
    if is_lfs_pointer(data):
        return ManifestError(LFS_POINTER, origin=Origin(path, 1), hint=_LFS_HINT)
    try:
        return read_kustomization(path, data)
    except ManifestError as error:
        return error


def _heads(path: str, data: bytes) -> tuple[Head, ...] | ManifestError:
    if is_lfs_pointer(data):
        return ManifestError(LFS_POINTER, origin=Origin(path, 1), hint=_LFS_HINT)
    try:
        return heads(path, data)
    except ManifestError as error:
        return error
