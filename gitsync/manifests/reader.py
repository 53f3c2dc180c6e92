"""Reads commits: what a file holds is kept, so that a commit costs what it changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.kubeyaml import MAX_BYTES
from gitsync.manifests.content import Desired, FileContent
from gitsync.manifests.desired import assemble
from gitsync.manifests.limits import MAX_OBJECTS
from gitsync.manifests.parse import parse_file
from gitsync.manifests.rules import RulesReader
from gitsync.manifests.select import normalised_root, read_none, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gitsync.api import CommitInfo
    from gitsync.manifests.rules import ReadBlobs
    from gitsync.tree import TreeEntry

#: What is read and parsed in one go: some tens of milliseconds, after which a cancellation takes effect.
_BATCH_FILES: Final = 64
_BATCH_BYTES: Final = 1024 * 1024

_FileId = tuple[str, str]  # blob and path: errors and origins name the path


class ManifestReader:
    """Reads commits, and keeps what the files of the last two hold, so that going back by one costs nothing either.

    Kinds of our own that name no namespace get ``default_namespace``. ``json_manifests``: ``.json`` files are manifests
    too; Flux reads ``.yaml`` and ``.yml`` only.
    """

    def __init__(self, default_namespace: str = "default", *, json_manifests: bool = False) -> None:
        self._default_namespace = default_namespace
        self._json_manifests = json_manifests
        self._commit = ""
        self._files: dict[_FileId, FileContent] = {}
        self._files_before: dict[_FileId, FileContent] = {}
        self._spare: dict[_FileId, FileContent] = {}
        self._rules = RulesReader()

    async def read(
        self, commit: CommitInfo, entries: Sequence[TreeEntry], read_blobs: ReadBlobs, root: str = ""
    ) -> Desired:
        """What ``commit`` wants below the directory ``root``.

        ``entries`` are the files of its whole tree: a .sourceignore above ``root`` counts too, and what is there and
        cannot be read must not be taken for removed. ``read_blobs`` is asked only for blobs that are not known yet, a
        few at a time. Faults of files are in the result; what ``read_blobs`` raises is passed on, and nothing that was
        parsed until then is lost.
        """
        root = normalised_root(root)
        rules = await self._rules.read(entries, read_blobs)
        selection = await asyncio.to_thread(select, entries, root, rules, json_manifests=self._json_manifests)
        contents = await self._contents(commit, selection.files, read_blobs)
        if sum(len(content.objects) for content in contents) > MAX_OBJECTS:
            contents = []
            self._files.clear()
            read_none(selection, root, f"there are more than {MAX_OBJECTS:,} objects, which is the limit")
        return await asyncio.to_thread(assemble, commit, contents, selection)

    async def _contents(
        self, commit: CommitInfo, files: Sequence[TreeEntry], read_blobs: ReadBlobs
    ) -> list[FileContent]:
        if commit.id != self._commit:
            # Until a commit has been read to its end, all that is known stays in _spare: a read that fails or is
            # cancelled loses nothing.
            self._spare |= self._files_before | self._files
            self._files_before, self._files = self._files, {}
            self._commit = commit.id
        kept = self._files
        missing = []
        for entry in files:
            file_id = (entry.blob_id, entry.path)
            if file_id in kept:
                continue
            content = self._spare.get(file_id) or self._files_before.get(file_id)
            if content is not None:
                kept[file_id] = content
            elif entry.size > MAX_BYTES:
                kept[file_id] = _too_large(entry)
            else:
                missing.append(entry)
        found = 0
        for batch in _batches(missing):
            blobs = await read_blobs(list({entry.blob_id for entry in batch}))
            read = await asyncio.to_thread(self._parse, batch, blobs)
            kept.update(read)
            found += sum(len(content.objects) for content in read.values())
            if found > MAX_OBJECTS:
                break  # none of it will be used
        self._spare = {}
        return [kept[entry.blob_id, entry.path] for entry in files if (entry.blob_id, entry.path) in kept]

    def _parse(self, batch: Sequence[TreeEntry], blobs: Mapping[str, bytes]) -> dict[_FileId, FileContent]:
        return {
            (entry.blob_id, entry.path): parse_file(entry.path, blobs[entry.blob_id], self._default_namespace)
            for entry in batch
        }


def _batches(entries: Sequence[TreeEntry]) -> Iterator[list[TreeEntry]]:
    batch: list[TreeEntry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size
        if len(batch) == _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _too_large(entry: TreeEntry) -> FileContent:
    limit = f"{MAX_BYTES // 1024 // 1024} MiB"
    message = f"the file is {entry.size / 1024 / 1024:.1f} MiB, over the limit of {limit}"
    error = ManifestError(message, origin=Origin(entry.path), hint="split it, or leave it out by .sourceignore")
    return FileContent(errors=(error,))
