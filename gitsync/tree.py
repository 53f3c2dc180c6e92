"""The content of an artifact: an immutable tree of paths and blobs, be it from Git, a registry or a bucket."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Self, overload

from gitsync.errors import ArtifactPathMissing
from gitsync.packed import TextMap, Texts, batches, utf8

#: Gives the contents of blobs by their ids; what it raises, ``Tree.read`` raises.
ReadBlobs = Callable[[Sequence[str]], Awaitable[dict[str, bytes]]]


class TreeEntry(NamedTuple):
    """A file of a tree: its path from the tree's root with ``/`` between the parts, the id of its content, and its size
    in bytes.

    A symbolic link that stays inside the tree is the file that it leads to, under the link's own path. What is there
    and cannot be read says why in ``unreadable``, and has no blob: a link that leads out of the tree, to nothing or in
    a circle, a submodule.
    """

    path: str
    blob_id: str
    size: int
    unreadable: str = ""


#: The size of what cannot be read.
_UNREADABLE = -1


class FileList:
    """Files sorted by path, as columns: what there is of a file beside its path and its id takes 16 bytes."""

    __slots__ = ("__weakref__", "_contents", "_sizes", "paths")

    def __init__(self, paths: Texts, contents: Texts, sizes: array[int]) -> None:
        """``contents`` are ids, and reasons where there is no size."""
        if (order := paths.order()) is not None:
            paths, contents = paths.chosen(order), contents.chosen(order)
            sizes = array("q", map(sizes.__getitem__, order))
        self.paths = paths
        self._contents = contents
        self._sizes = sizes

    @classmethod
    def of(cls, entries: Iterable[TreeEntry]) -> Self:
        """A list of these."""
        paths, contents, sizes = Texts(), Texts(), array("q")
        for batch in batches(entries):
            paths.extend([utf8(entry.path) for entry in batch])
            contents.extend([utf8(entry.unreadable or entry.blob_id) for entry in batch])
            sizes.extend(_UNREADABLE if entry.unreadable else entry.size for entry in batch)
        return cls(paths, contents, sizes)

    @property
    def weight(self) -> int:
        """What it takes in memory, in bytes."""
        return self.paths.weight + self._contents.weight + 8 * len(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, number: int) -> TreeEntry:
        path, content, size = self.paths.at(number), self._contents.at(number), self._sizes[number]
        return TreeEntry(path, "", 0, content) if size == _UNREADABLE else TreeEntry(path, content, size)

    def __iter__(self) -> Iterator[TreeEntry]:
        for path, content, size in zip(self.paths, self._contents, self._sizes, strict=True):
            yield TreeEntry(path, "", 0, content) if size == _UNREADABLE else TreeEntry(path, content, size)

    def sizes_of(self, blob_ids: Iterable[str]) -> dict[str, int]:
        """The sizes of files by the ids of their contents, of those that are here."""
        found = {}
        for blob_id in blob_ids:
            number = self._contents.find(blob_id)
            if number is not None and self._sizes[number] != _UNREADABLE:
                found[blob_id] = self._sizes[number]
        return found


class Entries(Sequence[TreeEntry]):
    """Some files of a list, sorted by path, each made when it is asked for."""

    __slots__ = ("__weakref__", "_numbers", "files")

    def __init__(self, files: FileList, numbers: range | array[int] | None = None) -> None:
        self.files = files
        self._numbers: range | array[int] = range(len(files)) if numbers is None else numbers

    @property
    def weight(self) -> int:
        """What it takes in memory beside the list, in bytes."""
        return 0 if isinstance(self._numbers, range) else 4 * len(self._numbers)

    @property
    def paths(self) -> Iterator[str]:
        """Of each file."""
        paths = self.files.paths
        return iter(paths) if len(self) == len(paths) else map(paths.at, self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> TreeEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Entries: ...
    def __getitem__(self, index: int | slice) -> TreeEntry | Entries:
        if isinstance(index, slice):
            return Entries(self.files, self._numbers[index])
        return self.files[self._numbers[index]]

    def __iter__(self) -> Iterator[TreeEntry]:
        return iter(self.files) if len(self) == len(self.files) else map(self.files.__getitem__, self._numbers)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def before(self, path: str) -> int:
        """How many come before this path."""
        return bisect_left(self._numbers, path, key=self.files.paths.at)

    def below(self, directory: str) -> Entries:
        """The entries below a directory, "" for the root."""
        if not directory:
            return self
        return self[self.before(f"{directory}/") : self.before(f"{directory}0")]  # "0" comes after "/"

    def find(self, path: str) -> TreeEntry | None:
        """The file at ``path``; None when there is none."""
        index = self.before(path)
        return entry if index < len(self) and (entry := self[index]).path == path else None

    def without(self, left_out: Callable[[str], bool]) -> Entries:
        """The entries whose paths are not to be left out."""
        files = zip(self._numbers, self.paths, strict=True)
        kept = array("I", (number for number, path in files if not left_out(path)))
        return self if len(kept) == len(self) else Entries(self.files, kept)

    def compact(self) -> Entries:
        """The same entries in a list of their own, where the list that they are part of is much larger."""
        return self if 2 * len(self) >= len(self.files) else Entries(FileList.of(self))


class Tree:
    """The files of an artifact at one ``revision`` (a commit's id, a digest), listed once and read when asked for.

    ``digests`` are those of directories that the source knows anyway (the ids of Git's trees); all others are made of
    what is below the directory. Paths are counted from the tree's root; ``./a/`` is ``a``, and ``""`` the root.
    ``beside`` is what ``read`` keeps for each file. ``whole`` is the tree that this one is a part of.
    """

    def __init__(
        self,
        revision: str,
        entries: Iterable[TreeEntry],
        read: ReadBlobs,
        digests: Mapping[str, str] | None = None,
        beside: Sequence[TextMap] = (),
        whole: Tree | None = None,
    ) -> None:
        self.revision = revision
        self._entries = entries.compact() if isinstance(entries, Entries) else Entries(FileList.of(entries))
        self._read = read
        self._digests = digests if isinstance(digests, TextMap) else TextMap.of(digests or {})
        self._made: dict[str, str] = {}
        self._beside = tuple(beside)
        self._whole = whole

    @property
    def parts(self) -> tuple[FileList | Entries | TextMap, ...]:
        """What its memory is taken by, each with a ``weight``; other trees may have the same."""
        return self._entries.files, self._entries, self._digests, *self._beside

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self._entries)

    @property
    def reader(self) -> ReadBlobs:
        """What ``read`` asks, for who needs the contents of files and not the list of them."""
        return self._read

    def leaves_out(self, path: str) -> bool:
        """Whether there is something at ``path`` in the tree that this one is a part of."""
        whole = self._whole._entries if self._whole is not None else ()
        return isinstance(whole, Entries) and (whole.find(path) is not None or bool(whole.below(path)))

    async def entries(self, path: str = "") -> Entries:
        """What is below the directory ``path``, sorted by path.

        Raises: ArtifactPathMissing when there is no such directory, or what is there cannot be read. Only the root may
        be empty.
        """
        path = self._clean(path)
        below = self._entries.below(path)
        if path and not below:
            raise ArtifactPathMissing(path, revision=self.revision, reason=self._instead(path))
        return below

    async def file(self, path: str) -> TreeEntry | None:
        """The entry at ``path``, unless that is a directory; None when there is none."""
        try:
            return self._entries.find(self._clean(path))
        except ArtifactPathMissing:
            return None

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, by the ids that entries have. Raises: what the source raises when it cannot."""
        return await self._read(blob_ids)

    async def directory_digest(self, path: str = "") -> str | None:
        """A text that is another one when anything below the directory is; None when there is no such directory."""
        try:
            path = self._clean(path)
        except ArtifactPathMissing:
            return None
        below = self._entries.below(path)
        if path and not below:
            return None
        if (known := self._digests.get(path) or self._made.get(path)) is not None:
            return known
        self._made[path] = made = await asyncio.to_thread(_digest, below, len(path))
        return made

    def _clean(self, path: str) -> str:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ArtifactPathMissing(path, revision=self.revision, reason="it leads out of the tree")
        return "/".join(parts)

    def _instead(self, path: str) -> str:
        """What is where a directory was looked for, or above it."""
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            above = "/".join(parts[:count])
            if (entry := self._entries.find(above)) is not None:
                return f"`{above}` is {entry.unreadable or 'a file'}"
        return ""


async def changed_files(old: Tree | None, new: Tree) -> int:
    """How many files were added, changed or removed between two trees: all of ``new`` without an old one. A file that
    links lead to counts under each of its paths, a renamed one twice."""
    before: Sequence[TreeEntry] = await old.entries() if old else ()
    return await asyncio.to_thread(_count_changed, before, await new.entries())


def _count_changed(old: Sequence[TreeEntry], new: Sequence[TreeEntry]) -> int:
    """Both are sorted by path."""
    changed = 0
    olds, news = iter(old), iter(new)
    before, after = next(olds, None), next(news, None)
    while before is not None and after is not None:
        if before.path == after.path:
            changed += (before.blob_id, before.unreadable) != (after.blob_id, after.unreadable)
            before, after = next(olds, None), next(news, None)
        elif before.path < after.path:
            changed, before = changed + 1, next(olds, None)
        else:
            changed, after = changed + 1, next(news, None)
    return changed + sum(left is not None for left in chain((before, after), olds, news))


def _digest(entries: Iterable[TreeEntry], cut: int) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.path[cut:]}\0{entry.blob_id}\0{entry.unreadable}\0".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
