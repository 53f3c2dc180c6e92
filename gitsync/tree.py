"""The content of an artifact: an immutable tree of paths and blobs, be it from Git, a registry or a bucket."""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from gitsync.errors import ArtifactPathMissing

#: Gives the contents of blobs by their ids; what it raises, ``Tree.read`` raises.
ReadBlobs = Callable[[Sequence[str]], Awaitable[dict[str, bytes]]]


@dataclass(frozen=True, slots=True)
class TreeEntry:
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


class Tree:
    """The files of an artifact at one ``revision`` (a commit's id, a digest), listed once and read when asked for.

    ``digests`` are those of directories that the source knows anyway (the ids of Git's trees); all others are made of
    what is below the directory. Paths are counted from the tree's root; ``./a/`` is ``a``, and ``""`` the root.
    """

    def __init__(
        self, revision: str, entries: Iterable[TreeEntry], read: ReadBlobs, digests: Mapping[str, str] | None = None
    ) -> None:
        self.revision = revision
        self._entries = sorted(entries, key=attrgetter("path"))
        self._paths = [entry.path for entry in self._entries]
        self._read = read
        self._digests = dict(digests or {})

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self._entries)

    @property
    def reader(self) -> ReadBlobs:
        """What ``read`` asks, for who needs the contents of files and not the list of them."""
        return self._read

    async def entries(self, path: str = "") -> list[TreeEntry]:
        """What is below the directory ``path``, sorted by path.

        Raises: ArtifactPathMissing when there is no such directory, or what is there cannot be read. Only the root may
        be empty.
        """
        path = self._clean(path)
        first, last = self._below(path)
        if path and first == last:
            raise ArtifactPathMissing(path, revision=self.revision, reason=self._instead(path))
        return self._entries[first:last]

    async def file(self, path: str) -> TreeEntry | None:
        """What is at ``path`` if that is no directory; None when nothing is."""
        try:
            path = self._clean(path)
        except ArtifactPathMissing:
            return None
        index = bisect_left(self._paths, path)
        return self._entries[index] if index < len(self._paths) and self._paths[index] == path else None

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, by the ids that entries have. Raises: what the source raises when it cannot."""
        return await self._read(blob_ids)

    async def directory_digest(self, path: str = "") -> str | None:
        """A text that is another one when anything below the directory is; None when there is no such directory."""
        try:
            path = self._clean(path)
        except ArtifactPathMissing:
            return None
        first, last = self._below(path)
        if path and first == last:
            return None
        if path not in self._digests:
            self._digests[path] = await asyncio.to_thread(_digest, self._entries[first:last], len(path))
        return self._digests[path]

    def _below(self, path: str) -> tuple[int, int]:
        if not path:
            return 0, len(self._paths)
        return bisect_left(self._paths, f"{path}/"), bisect_left(self._paths, f"{path}0")  # "0" comes after "/"

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
            index = bisect_left(self._paths, above)
            if index < len(self._paths) and self._paths[index] == above:
                return f"`{above}` is {self._entries[index].unreadable or 'a file'}"
        return ""


async def changed_files(old: Tree | None, new: Tree) -> int:
    """How many files were added, changed or removed between two trees: all of ``new`` without an old one. A file that
    links lead to counts under each of its paths, a renamed one twice."""
    before = await old.entries() if old else []
    after = await new.entries()
    return await asyncio.to_thread(_count_changed, before, after)


def _count_changed(old: Sequence[TreeEntry], new: Sequence[TreeEntry]) -> int:
    before = {entry.path: (entry.blob_id, entry.unreadable) for entry in old}
    kept = sum(before.get(entry.path) == (entry.blob_id, entry.unreadable) for entry in new)
    added_or_changed = len(new) - kept
    after = {entry.path for entry in new}
    return added_or_changed + sum(path not in after for path in before)


def _digest(entries: Sequence[TreeEntry], cut: int) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.path[cut:]}\0{entry.blob_id}\0{entry.unreadable}\0".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
