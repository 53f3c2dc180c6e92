"""Symbolic links of a commit, followed as data: what a checkout would show, without one.

The rules are those of Linux (path_resolution(7)): ``..`` counts from where a link leads to, at most 40 links may lie on
the way to a file. What leads out of the repository, to nothing or in a circle is not followed but named.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from gitsync.git.listing import Item, Items, Kind, Listing
from gitsync.packed import TextMap, Texts, utf8
from gitsync.text import shorten
from gitsync.tree import Entries, FileList, TreeEntry

#: How long a link's target and a path may be, in bytes: PATH_MAX of Linux.
MAX_TARGET = 4096
MAX_PATH = 4096
#: How many links may lie on the way to one file: MAXSYMLINKS of Linux.
MAX_CHAIN = 40
#: How many links are followed in all, each as often as it is met: links to directories that hold links multiply.
MAX_FOLLOWED = 10_000
#: How many parts of targets are looked at in all.
MAX_STEPS = 1_000_000
#: How much linked directories may add to the tree: the length of their paths in characters, and this for each of them.
MAX_ADDED = 16 << 20
_EACH = 100

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_SHOWN = 200

SUBMODULE = "a Git submodule, whose content is not in this repository"
MISNAMED = "a name that no file can have"

_OUT = "which leads out of the repository"
_NOTHING = "which leads to nothing"
_CIRCLE = "which leads in a circle"
_LONG_CHAIN = f"which leads through more than {MAX_CHAIN} links"
_TO_SUBMODULE = f"which leads to {SUBMODULE}"
_TOO_MANY = f"one of more than {MAX_FOLLOWED} links"
_TOO_MUCH = "with which the tree would hold more than gitsync reads"
_TOO_LONG = f"a path of more than {MAX_PATH} bytes"


@dataclass(frozen=True, slots=True)
class Expansion:
    """A commit's files with those that links lead to, and the ids of the directories that no link has part in, by their
    paths: a directory's own and those below a link to it."""

    entries: Entries
    digests: TextMap


def expand(top: str, items: Sequence[Item], targets: Mapping[str, bytes]) -> Expansion:
    """The files of a commit, links followed. ``top`` is the id of its tree, ``items`` are what is below it, sorted by
    path; ``targets`` are the contents of those links that are no longer than MAX_TARGET, by the ids of their blobs."""
    walk = _Walk(items if isinstance(items, Items) else Items(items), targets)
    entries = Entries(FileList.of(walk.below("", "", 0, ())))
    if not walk.linked:
        walk.known("", top)
    return Expansion(entries, TextMap(walk.directories, walk.digests))


def expand_listing(listing: Listing, targets: Mapping[str, bytes]) -> Expansion:
    """The same of what git says of a commit: where all are plain files, that is it."""
    if not listing.kinds and listing.longest <= MAX_PATH:
        return Expansion(Entries(listing.files), listing.folders)
    return expand(listing.folders[""], Items(listing.items()), targets)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a link leads: a real path ("" is the root), what is there, and how many links were followed."""

    path: str
    kind: Kind
    followed: int


@dataclass
class _Walk:
    items: Items
    targets: Mapping[str, bytes]
    #: Those that no link has part in, and their digests.
    directories: Texts = field(default_factory=Texts)
    digests: Texts = field(default_factory=Texts)

    def __post_init__(self) -> None:
        #: The directories with a link somewhere below them.
        self.linked = _parents(item.path for item in self.items.of(Kind.LINK))
        self._places: dict[str, _Place | str] = {}
        self._followed = self._steps = self._added = 0

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {path: number for number, path in enumerate(self.items.paths)}

    @cached_property
    def _costs(self) -> Sequence[int]:
        """What the first n items cost, for each n."""
        return array("q", accumulate((len(path) + _EACH for path in self.items.paths), initial=0))

    def known(self, directory: str, digest: str) -> None:
        """This is the digest of a directory."""
        self.directories.extend([utf8(directory)])
        self.digests.extend([utf8(digest)])

    def below(self, directory: str, shown: str, followed: int, around: tuple[str, ...]) -> Iterator[TreeEntry]:
        """What is below a real directory under paths that begin with ``shown``. ``followed`` links lead there, from the
        directories ``around``."""
        cut = len(directory) + 1 if directory else 0
        for index in range(*self._region(directory)):
            item = self.items[index]
            path = shown + item.path[cut:]
            if item.kind is Kind.DIRECTORY:
                if item.path not in self.linked:
                    self.known(path, item.object_id)
            elif len(path) > MAX_PATH:
                yield _unreadable(path, _TOO_LONG)
            elif item.kind is Kind.FILE:
                yield TreeEntry(path, item.object_id, item.size)
            elif item.kind is Kind.LINK:
                yield from self._follow(item, path, followed, around)
            else:
                yield _unreadable(path, SUBMODULE if item.kind is Kind.SUBMODULE else MISNAMED)

    def _follow(self, link: Item, shown: str, followed: int, around: tuple[str, ...]) -> Iterator[TreeEntry]:
        place = self._place(link)
        if isinstance(place, str):
            yield self._refused(link, shown, place)
            return
        followed += place.followed
        around = (*around, _parent(link.path))
        self._followed += 1
        if place.kind is Kind.DIRECTORY and any(_is_within(inner, place.path) for inner in around):
            yield self._refused(link, shown, _CIRCLE)
        elif followed > MAX_CHAIN:
            yield self._refused(link, shown, _LONG_CHAIN)
        elif self._followed > MAX_FOLLOWED:
            yield self._refused(link, shown, _TOO_MANY)
        elif place.kind is Kind.FILE:
            item = self.items[self._numbers[place.path]]
            yield TreeEntry(shown, item.object_id, item.size)
        else:
            yield from self._added_by(link, place, shown, followed, around)

    def _added_by(
        self, link: Item, place: _Place, shown: str, followed: int, around: tuple[str, ...]
    ) -> Iterator[TreeEntry]:
        first, last = self._region(place.path)
        cost = self._costs[last] - self._costs[first] + (last - first) * (len(shown) - len(place.path))
        if self._added + cost > MAX_ADDED:
            yield self._refused(link, shown, _TOO_MUCH)
            return
        self._added += cost
        if place.path not in self.linked:
            self.known(shown, self.items[self._numbers[place.path]].object_id)
        yield from self.below(place.path, f"{shown}/", followed, around)

    def _place(self, link: Item) -> _Place | str:
        """Where a link leads, or why that is nowhere: worked out once for each link."""
        place = self._places.get(link.path)
        if place is None:
            place = self._places[link.path] = self._resolve(link)
        return place

    def _resolve(self, link: Item) -> _Place | str:
        here, pending, seen = _parent(link.path), [link.path.rpartition("/")[2]], []
        while pending:
            name = pending.pop()
            if name == "..":
                if not here:
                    return _OUT
                here = _parent(here)
                continue
            if name in ("", "."):
                continue
            path = f"{here}/{name}" if here else name
            if len(path) > MAX_PATH:
                return f"which leads to {_TOO_LONG}"
            item = self._item(path)
            if item is None:
                return _TO_SUBMODULE if self._is_submodule(here) else _NOTHING
            if item.kind is Kind.LINK:
                seen.append(path)
                if len(seen) > MAX_CHAIN:
                    return _CIRCLE if len(set(seen)) < len(seen) else _LONG_CHAIN
                parts = self._parts(item)
                if isinstance(parts, str):
                    return parts
                pending += parts
            elif item.kind in (Kind.DIRECTORY, Kind.SUBMODULE):
                here = path
            elif pending or item.kind is Kind.MISNAMED:
                return _NOTHING  # a file is no directory, not even with a mere / behind it
            else:
                return _Place(path, Kind.FILE, len(seen))
        return _TO_SUBMODULE if self._is_submodule(here) else _Place(here, Kind.DIRECTORY, len(seen))

    def _parts(self, link: Item) -> list[str] | str:
        """The parts of a link's target, last first; or why it cannot be followed."""
        target = self.targets.get(link.object_id)
        if target is None:
            return f"which is longer than {MAX_TARGET} bytes"
        if target.startswith(b"/"):
            return _OUT
        if not target:
            return _NOTHING
        parts = _text(target).split("/")
        self._steps += len(parts)
        return _TOO_MANY if self._steps > MAX_STEPS else parts[::-1]

    def _item(self, path: str) -> Item | None:
        number = self._numbers.get(path)
        return self.items[number] if number is not None else None

    def _is_submodule(self, path: str) -> bool:
        item = self._item(path)
        return item is not None and item.kind is Kind.SUBMODULE

    def _region(self, directory: str) -> tuple[int, int]:
        """Which of the items are below a directory."""
        if not directory:
            return 0, len(self.items)
        return self.items.paths.bisect(f"{directory}/"), self.items.paths.bisect(f"{directory}0")

    def _refused(self, link: Item, shown: str, why: str) -> TreeEntry:
        target = self.targets.get(link.object_id)
        named = f"a symbolic link to '{_shown(target)}'" if target is not None else "a symbolic link to a path"
        return _unreadable(shown, f"{named}, {why}")


def _unreadable(path: str, why: str) -> TreeEntry:
    return TreeEntry(path, "", 0, why)


def _parents(paths: Iterable[str]) -> set[str]:
    """All the directories above these paths, the root among them. Each is looked at once, however many share it."""
    found: set[str] = set()
    for path in paths:
        above = _parent(path)
        while above not in found:
            found.add(above)
            above = _parent(above)
    return found


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _is_within(inner: str, outer: str) -> bool:
    return not outer or inner == outer or inner.startswith(f"{outer}/")


def _text(target: bytes) -> str:
    return target.decode("utf-8", "backslashreplace")


def _shown(target: bytes) -> str:
    return shorten(_CONTROL.sub("\ufffd", _text(target)), _LONGEST_SHOWN)
