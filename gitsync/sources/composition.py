"""Files of several trees as one tree, without what ``.sourceignore`` leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from gitsync.errors import ArtifactError
from gitsync.git import MAX_PATHS
from gitsync.manifests.ignore import IGNORE_FILE, IgnoreRules
from gitsync.manifests.limits import MAX_IGNORE_BYTES, MAX_IGNORE_FILES
from gitsync.tree import ReadBlobs, Tree, TreeEntry

#: A .sourceignore in a folder that is not looked at may be of any size: what is longer is never read.
_TOO_LONG = b"#" * (MAX_IGNORE_BYTES + 1)


class Composition:
    """Files of several trees as one. A later ``mount`` takes the place of what is there."""

    def __init__(self, tree: Tree, entries: Iterable[TreeEntry]) -> None:
        self.revision = tree.revision
        self._entries = {entry.path: entry for entry in entries}
        #: Who reads a blob, of those that are not the first one's. Trees themselves, with lists of all their files, are
        #: not kept.
        self._others: dict[str, ReadBlobs] = {}
        self._first = tree.reader

    def mount(self, tree: Tree, entries: Sequence[TreeEntry], cut: str, path: str) -> None:
        """Put ``entries`` of another tree, whose paths are counted from ``cut``, below ``path``.

        Raises: ArtifactError when there is a file in the way, or too many together.
        """
        above = path
        while above := above.rpartition("/")[0]:
            if above in self._entries:
                raise ArtifactError(f"{path!r} cannot be put there: {above!r} is a file")
        inside = f"{path}/" if path else ""
        for old in [name for name in self._entries if name == path or (path and name.startswith(inside))]:
            del self._entries[old]
        for entry in entries:
            own = entry.path[len(cut) :].lstrip("/")
            shown = f"{inside}{own}" if own else path
            self._entries[shown] = replace(entry, path=shown)
            if entry.blob_id:
                self._others[entry.blob_id] = tree.reader
        if len(self._entries) > MAX_PATHS:
            raise ArtifactError(
                f"the artifact has more than {MAX_PATHS:,} files", hint="include less, or leave some out"
            )

    def only(self, entries: Iterable[TreeEntry]) -> None:
        """Leave out all but these."""
        self._entries = {entry.path: entry for entry in entries}

    async def ignoring(self, ignore: str | None) -> None:
        """Leave out what the .sourceignore files and ``ignore`` say, or else Flux's defaults.

        Raises: ArtifactError for patterns that cannot be read; what the trees raise.
        """
        paths = [path for path in self._entries if path.rpartition("/")[2] == IGNORE_FILE]
        if len(paths) > MAX_IGNORE_FILES:
            raise ArtifactError(f"more than {MAX_IGNORE_FILES} {IGNORE_FILE} files", hint="leave some of them out")
        found = {path: self._entries[path] for path in paths if not self._entries[path].unreadable}
        small = {path: entry for path, entry in found.items() if entry.size <= MAX_IGNORE_BYTES}
        blobs = await self._read(sorted({entry.blob_id for entry in small.values()}))
        files = {path: blobs[entry.blob_id] if path in small else _TOO_LONG for path, entry in found.items()}
        rules = await asyncio.to_thread(IgnoreRules.of_artifact, files, ignore)
        for error in rules.errors:
            raise ArtifactError(f"{error.origin}: {error.message}", hint="correct it: what it leaves out is not known")
        kept = await asyncio.to_thread(lambda: {p: it for p, it in self._entries.items() if not rules.ignored(p)})
        self._entries = kept

    def tree(self) -> Tree:
        """All of it."""
        return Tree(self.revision, self._entries.values(), partial(_read, self._first, self._others))

    async def _read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        return await _read(self._first, self._others, blob_ids)


async def _read(first: ReadBlobs, others: Mapping[str, ReadBlobs], blob_ids: Sequence[str]) -> dict[str, bytes]:
    by_reader: dict[ReadBlobs, list[str]] = {}
    for blob_id in blob_ids:
        by_reader.setdefault(others.get(blob_id, first), []).append(blob_id)
    found: dict[str, bytes] = {}
    for read, wanted in by_reader.items():
        found |= await read(wanted)
    return found


def overlaid(revision: str, files: Iterable[tuple[Tree, TreeEntry]]) -> Tree:
    """One tree of single files of several; an entry says the path that it has here."""
    readers: dict[str, ReadBlobs] = {}
    entries = []
    for tree, entry in files:
        entries.append(entry)
        if entry.blob_id:
            readers.setdefault(entry.blob_id, tree.reader)
    return Tree(revision, entries, partial(_read, _nothing, readers))


async def _nothing(blob_ids: Sequence[str]) -> dict[str, bytes]:
    return {}
