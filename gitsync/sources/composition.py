"""Files of several trees as one tree, without what ``.sourceignore`` leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter

from gitsync.errors import ArtifactError
from gitsync.git import MAX_PATHS
from gitsync.manifests.ignore import IGNORE_FILE, IgnoreRules
from gitsync.manifests.limits import MAX_IGNORE_BYTES, MAX_IGNORE_FILES
from gitsync.packed import TextMap, Texts
from gitsync.tree import Entries, FileList, ReadBlobs, Tree, TreeEntry

#: Stands for a .sourceignore that is too long: such a file is never read, since it may be of any size.
_TOO_LONG = b"#" * (MAX_IGNORE_BYTES + 1)


class Composition:
    """Files of several trees as one. A later ``mount`` replaces files that are there. Its functions that are not async
    take long: call them in a thread."""

    def __init__(self, tree: Tree, entries: Entries) -> None:
        self.revision = tree.revision
        self._entries = entries
        #: Readers only: the trees, with their lists of all files, are not kept.
        self._first = tree.reader
        self._others: list[tuple[Entries, ReadBlobs]] = []

    def mount(self, tree: Tree, entries: Sequence[TreeEntry], cut: str, path: str) -> None:
        """Put ``entries`` of another tree, whose paths are counted from ``cut``, below ``path``.

        Raises: ArtifactError when there is a file in the way, or too many together.
        """
        above = path
        while above := above.rpartition("/")[0]:
            if self._entries.find(above) is not None:
                raise ArtifactError(f"{path!r} cannot be put there: {above!r} is a file")
        inside = f"{path}/" if path else ""
        added = Entries(FileList.of(_moved(entries, cut, path)))
        kept = self._entries.without(
            (lambda name: name == path or name.startswith(inside))
            if path
            else (lambda name: added.find(name) is not None)
        )
        if len(kept) + len(added) > MAX_PATHS:
            raise ArtifactError(
                f"the artifact has more than {MAX_PATHS:,} files", hint="include less, or leave some out"
            )
        self._others.append((added, tree.reader))
        self._entries = Entries(FileList.of(merge(kept, added, key=attrgetter("path"))))

    def without(self, left_out: Callable[[str], bool]) -> None:
        """Leave out the files of whose paths ``left_out`` says so."""
        self._entries = self._entries.without(left_out)

    async def rules(self, ignore: str | None) -> IgnoreRules:
        """The rules of the .sourceignore files and of ``ignore``, or else Flux's defaults.

        Raises: ArtifactError for patterns that cannot be read; what the trees raise.
        """
        paths = await asyncio.to_thread(lambda: [path for path in self._entries.paths if is_ignore_file(path)])
        if len(paths) > MAX_IGNORE_FILES:
            raise ArtifactError(f"more than {MAX_IGNORE_FILES} {IGNORE_FILE} files", hint="leave some of them out")
        entries = {path: entry for path in paths if (entry := self._entries.find(path)) is not None}
        found = {path: entry for path, entry in entries.items() if not entry.unreadable}
        small = {path: entry for path, entry in found.items() if entry.size <= MAX_IGNORE_BYTES}
        blobs = await self._reader()(sorted({entry.blob_id for entry in small.values()}))
        files = {path: blobs[entry.blob_id] if path in small else _TOO_LONG for path, entry in found.items()}
        rules = await asyncio.to_thread(IgnoreRules.of_artifact, files, ignore)
        for error in rules.errors:
            raise ArtifactError(f"{error.origin}: {error.message}", hint="correct it: what it leaves out is not known")
        return rules

    def tree(self, *beside: TextMap, whole: Tree | None = None) -> Tree:
        """All files as one tree. ``beside`` is what the first tree's reader keeps in memory, for weighing it;
        ``whole`` is the tree of which this is a part."""
        if not self._others:
            return Tree(self.revision, self._entries, self._first, beside=beside, whole=whole)
        reader = self._reader()
        return Tree(self.revision, self._entries, reader, beside=[*beside, reader.numbers], whole=whole)

    def _reader(self) -> Readers:
        return Readers.of(self._first, self._others)


class Readers:
    """Reads each blob from its own tree. ``numbers`` has, by blob id, the reader of those that are not in the first."""

    def __init__(self, readers: Sequence[ReadBlobs], numbers: TextMap) -> None:
        self.numbers = numbers
        self._readers = readers

    @classmethod
    def of(cls, first: ReadBlobs, others: Iterable[tuple[Iterable[TreeEntry], ReadBlobs]]) -> Readers:
        """Readers of several trees. ``others`` have these files; a blob that several have is read from the first."""
        readers, ids, numbers = [first], Texts(), Texts()
        for entries, read in others:
            added = sorted({entry.blob_id for entry in entries if entry.blob_id})
            ids.extend([blob_id.encode() for blob_id in added])
            numbers.extend([str(len(readers)).encode()] * len(added))
            readers.append(read)
        return cls(readers, TextMap(ids, numbers))

    async def __call__(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """See ReadBlobs."""
        by_reader: dict[int, list[str]] = {}
        for blob_id in blob_ids:
            by_reader.setdefault(int(self.numbers.get(blob_id, "0")), []).append(blob_id)
        found: dict[str, bytes] = {}
        for number, wanted in by_reader.items():
            found |= await self._readers[number](wanted)
        return found


def overlaid(revision: str, readers: Sequence[ReadBlobs], files: Sequence[tuple[int, TreeEntry]]) -> Tree:
    """One tree of single files, each with the number of its reader, by the paths that they have here."""
    others = [([entry for at, entry in files if at == number], read) for number, read in enumerate(readers)]
    reader = Readers.of(_nothing, others)
    return Tree(revision, (entry for _, entry in files), reader, beside=[reader.numbers])


def _moved(entries: Iterable[TreeEntry], cut: str, path: str) -> Iterator[TreeEntry]:
    inside = f"{path}/" if path else ""
    for entry in entries:
        own = entry.path[len(cut) :].lstrip("/")
        yield entry._replace(path=f"{inside}{own}" if own else path)


def is_ignore_file(path: str) -> bool:
    """Whether a file says what is left out beside and below it."""
    return path.rpartition("/")[2] == IGNORE_FILE


async def _nothing(blob_ids: Sequence[str]) -> dict[str, bytes]:
    return {}
