"""The content of an artifact: an immutable tree of paths and blobs, wherever it came from. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


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
