"""A commit's tree, read out of the mirror in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitsync.git.mirror import Mirror
from gitsync.tree import TreeEntry


class CommitTree:
    """See gitsync.tree.Tree. ``entries`` are all files of the commit."""

    def __init__(self, mirror: Mirror, commit_id: str, entries: Sequence[TreeEntry]) -> None:
        self._mirror = mirror
        self._commit_id = commit_id
        self._entries = tuple(entries)

    @classmethod
    async def of(cls, mirror: Mirror, commit_id: str) -> CommitTree:
        """Raises: GitUnavailable, GitRefused."""
        found = await mirror.tree(commit_id)
        return cls(mirror, commit_id, [TreeEntry(item.path, item.blob_id, item.size) for item in found])

    async def entries(self, path: str = "") -> Sequence[TreeEntry]:
        """The files below a directory."""
        return [entry for entry in self._entries if entry.path.startswith(f"{path}/")] if path else self._entries

    async def tree_id(self, path: str) -> str | None:
        """Git's own id of a directory."""
        return await self._mirror.tree_id(self._commit_id, path)

    async def read(self, blob_ids: Sequence[str]) -> Mapping[str, bytes]:
        """The contents of files."""
        return await self._mirror.read(blob_ids)
