"""What ``git ls-tree`` says of a commit, as plain data."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import cached_property
from typing import NamedTuple, overload

from gitsync.git.failures import Damaged
from gitsync.packed import TextMap, Texts, batches, utf8
from gitsync.tree import FileList

#: A part of a path that no file can have. git itself never writes one, but a tree made by hand may hold it.
_ODD_PART = re.compile(rb"(^|/)\.{0,2}(/|\Z)")


class Kind(Enum):
    """What a tree's entry is."""

    FILE = "file"
    LINK = "symbolic link"
    DIRECTORY = "directory"
    SUBMODULE = "submodule"
    #: An entry whose name would lead elsewhere (``..``): git refuses to check it out.
    MISNAMED = "misnamed"


class Item(NamedTuple):
    """One line: the path from the root, what is there, its object's id, and for files and links its size in bytes."""

    path: str
    kind: Kind
    object_id: str
    size: int


_KINDS = {b"120000": Kind.LINK, b"160000": Kind.SUBMODULE}
_DIRECTORY = b"040000"
_NUMBERS = {kind: number for number, kind in enumerate(Kind)}
_ALL = tuple(Kind)
_LINE = re.compile(rb"([0-9]+) [a-z]+ ([0-9a-f]+) +([0-9]+|-|BAD)\t([^\0]+)\0")
#: How much is parsed at once, in bytes.
_BATCH = 256 << 10


class Items(Sequence[Item]):
    """Items sorted by path, as columns: each is made when it is asked for."""

    __slots__ = ("_ids", "_kinds", "_sizes", "paths")

    def __init__(self, items: Iterable[Item]) -> None:
        self.paths, self._ids, self._kinds, self._sizes = Texts(), Texts(), bytearray(), array("q")
        for batch in batches(items):
            self.paths.extend([utf8(item.path) for item in batch])
            self._ids.extend([utf8(item.object_id) for item in batch])
            self._kinds.extend(_NUMBERS[item.kind] for item in batch)
            self._sizes.extend(item.size for item in batch)
        if (order := self.paths.order()) is not None:
            self.paths, self._ids = self.paths.chosen(order), self._ids.chosen(order)
            self._kinds = bytearray(self._kinds[number] for number in order)
            self._sizes = array("q", (self._sizes[number] for number in order))

    def __len__(self) -> int:
        return len(self._sizes)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return Item(self.paths[index], _ALL[self._kinds[index]], self._ids[index], self._sizes[index])

    def of(self, kind: Kind) -> Iterator[Item]:
        """The entries of one kind."""
        wanted = _NUMBERS[kind]
        return (self[index] for index, number in enumerate(self._kinds) if number == wanted)


class Listing:
    """A commit's files and what else is no directory in it, sorted by path, with the kinds of those that are no plain
    files by their numbers; and its directories with their ids, "" among them."""

    def __init__(self, top: str) -> None:
        self._paths, self._ids, self._sizes = Texts(), Texts(), array("q")
        self._folders, self._folder_ids = Texts([""]), Texts([top])
        self.kinds: dict[int, Kind] = {}
        self.longest = 0

    @cached_property
    def files(self) -> FileList:
        """All of them as files."""
        return FileList(self._paths, self._ids, self._sizes)

    @cached_property
    def folders(self) -> TextMap:
        """The directories by their paths."""
        return TextMap(self._folders, self._folder_ids)

    def add(self, lines: Sequence[tuple[bytes, bytes, bytes, bytes]]) -> None:
        """Lines of git's, each with mode, id, size and name. Raises: Damaged."""
        folders = [line for line in lines if line[0] == _DIRECTORY and not _ODD_PART.search(line[3])]
        files = [line for line in lines if line[0] != _DIRECTORY]
        self._folders.extend([_name(line[3]) for line in folders])
        self._folder_ids.extend([line[1] for line in folders])
        start = len(self._paths)
        self._paths.extend([_name(line[3]) for line in files])
        self._ids.extend([line[1] for line in files])
        self._sizes.extend(_size(line) for line in files)
        for number, (mode, _, _, name) in enumerate(files, start):
            if (b"/." in name or b"//" in name or name[0] in b"./" or name[-1] == b"/"[0]) and _ODD_PART.search(name):
                self.kinds[number] = Kind.MISNAMED
            elif mode in _KINDS:
                self.kinds[number] = _KINDS[mode]
        self.longest = max(self.longest, max((len(line[3]) for line in files), default=0))

    def items(self) -> Iterator[Item]:
        """All of it, the directories too."""
        for path, object_id in self.folders.items():
            if path:
                yield Item(path, Kind.DIRECTORY, object_id, 0)
        columns = zip(self._paths, self._ids, self._sizes, strict=True)
        for number, (path, object_id, size) in enumerate(columns):
            yield Item(path, self.kinds.get(number, Kind.FILE), object_id, size)

    def of(self, kind: Kind) -> Iterator[Item]:
        """The entries of one kind, which is another than plain files."""
        for number, own in self.kinds.items():
            if own is kind:
                yield Item(self._paths.at(number), kind, self._ids.at(number), self._sizes[number])


def parse_listing(top: str, output: bytes | bytearray) -> Listing:
    """The lines of ``git ls-tree -r -t -l -z`` about the tree ``top``.

    Raises: Damaged when an object that a tree names is not there.
    """
    listing, begin, lines = Listing(top), 0, 0
    while begin < len(output):
        end = output.rfind(b"\0", begin, begin + _BATCH) + 1 or output.find(b"\0", begin) + 1 or len(output)
        found = _LINE.findall(output, begin, end)
        listing.add(found)
        lines, begin = lines + len(found), end
    if lines != output.count(b"\0"):
        raise Damaged("git's list of a commit's files cannot be understood")
    return listing


def _size(line: tuple[bytes, bytes, bytes, bytes]) -> int:
    _, object_id, size, _ = line
    if size == b"BAD":  # git's word for an object of which it finds no size
        raise Damaged(f"object {object_id.decode()} is not there")
    return 0 if size == b"-" else int(size)


def _name(name: bytes) -> bytes:
    """A name that is no UTF-8 cannot be a manifest's; it must not stop the others either."""
    return name if name.isascii() else name.decode("utf-8", "backslashreplace").encode()
