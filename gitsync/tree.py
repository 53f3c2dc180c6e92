"""The content of an artifact: an immutable tree of paths and blobs, wherever it came from. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


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


class Tree(Protocol):
    """An immutable tree of files that is read in place: a commit's, or whatever else a source yields."""

    async def entries(self, path: str = "") -> Sequence[TreeEntry]:
        """The files below a directory, the root by default, their paths counted from the tree's root; none when there
        is no such directory."""

    async def tree_id(self, path: str) -> str | None:
        """What identifies the content of a directory; None when there is none."""

    async def read(self, blob_ids: Sequence[str]) -> Mapping[str, bytes]:
        """The contents of files, by the ids that ``entries`` gives."""
