"""The files of a build: those of its tree, and beside them each repository or file that was fetched for it, as if
mounted in a directory of its own. A path written in one of these trees leads to files of that tree only.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Sequence
from typing import Final

from gitsync.build.files import Files, joined
from gitsync.build.limits import MAX_REMOTES
from gitsync.build.remote import Fetched, Mount, NotFetched, Remote, RemoteFile, Remotes, mount_name, read_remote
from gitsync.errors import GitsyncError, ManifestError
from gitsync.manifests import IgnoreRules
from gitsync.tree import Entries, ReadBlobs, Tree, TreeEntry

#: The directory below which fetched trees are.
_REMOTE: Final = ".gitsync-remote"


class Mounts:
    """What a build reads. ``own`` are the files of its tree, read by ``read``; ``remotes`` fetches remote bases, on
    behalf of ``owner``; None where nothing may be fetched."""

    def __init__(self, own: Files, read: ReadBlobs, remotes: Remotes | None = None, owner: str = "") -> None:
        self.own = own
        self._read_own = read
        self._remotes = remotes
        self._owner = owner
        self._mounted: dict[str, tuple[Files, Tree]] = {}
        self._places: dict[Remote, Mount | NotFetched] = {}
        #: What reads the blobs of fetched trees, by their ids.
        self._readers: dict[str, Tree] = {}

    @property
    def fetches(self) -> bool:
        """Whether anything may be fetched."""
        return self._remotes is not None

    async def mount(self, texts: Sequence[str]) -> dict[str, Mount | NotFetched]:
        """Fetch what these references mean, and where each was put; or why it cannot be fetched."""
        read: dict[str, Remote | NotFetched] = {}
        for text in texts:
            try:
                read[text] = read_remote(text)
            except NotFetched as why:
                read[text] = why
        wanted = [item for item in read.values() if not isinstance(item, NotFetched) and item not in self._places]
        await asyncio.gather(*map(self._fetch, dict.fromkeys(wanted)))
        return {text: item if isinstance(item, NotFetched) else self._places[item] for text, item in read.items()}

    async def _fetch(self, remote: Remote) -> None:
        if self._remotes is None or len(self._places) >= MAX_REMOTES:
            message = f"is one of more than {MAX_REMOTES} remote bases and files in one build"
            self._places[remote] = NotFetched(message, "build it in parts")
            return
        self._places[remote] = NotFetched("is being fetched")  # counts to the bound
        try:
            fetched = await self._remotes.fetch(remote, self._owner)
            self._places[remote] = await self._put(remote, fetched)
        except GitsyncError as error:
            self._places[remote] = NotFetched(error.message, error.hint)

    async def _put(self, remote: Remote, fetched: Fetched) -> Mount:
        place = posixpath.join(_REMOTE, mount_name(remote, fetched))
        entries = await fetched.tree.entries()
        if place not in self._mounted:
            self._mounted[place] = Files(entries, IgnoreRules({}, defaults=()), fetched.tree.leaves_out), fetched.tree
        inside = entries[0].path if isinstance(remote, RemoteFile) else remote.path
        return Mount(place, posixpath.join(place, inside) if inside else place)

    def joined(self, directory: str, path: str) -> str | None:
        """Where a relative path leads from a directory; None if that is out of the tree that the directory is of."""
        found = joined(directory, path)
        return found if found is not None and _place(found) == _place(directory) else None

    def file(self, path: str) -> TreeEntry | None:
        """See Files."""
        files, inside = self._inside(path)
        entry = files.file(inside) if files is not None else None
        if entry is None or inside == path or files is None:
            return entry
        if entry.blob_id:
            self._readers[entry.blob_id] = self._mounted[_place(path)][1]
        return entry._replace(path=path)

    def is_directory(self, path: str) -> bool:
        """See Files."""
        files, inside = self._inside(path)
        return files is not None and files.is_directory(inside)

    def below(self, path: str) -> Entries:
        """See Files; only of the tree itself."""
        return self.own.below(path)

    def kustomizations(self, directory: str) -> list[TreeEntry]:
        """See Files."""
        files, inside = self._inside(directory)
        found = files.kustomizations(inside) if files is not None else []
        if inside == directory:
            return found
        paths = (posixpath.join(directory, posixpath.basename(entry.path)) for entry in found)
        return [entry for path in paths if (entry := self.file(path)) is not None]

    def left_out_by(self, path: str) -> str:
        """See Files."""
        files, inside = self._inside(path)
        return files.left_out_by(inside) if files is not None else ""

    def broken_rules(self, directory: str) -> ManifestError | None:
        """See Files; only of the tree itself."""
        return self.own.broken_rules(directory)

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, of whatever tree. Raises: what reading them raises."""
        own = [blob_id for blob_id in blob_ids if blob_id not in self._readers]
        found = dict(await self._read_own(own)) if own else {}
        others: dict[int, tuple[Tree, list[str]]] = {}
        for blob_id in blob_ids:
            if (tree := self._readers.get(blob_id)) is not None:
                others.setdefault(id(tree), (tree, []))[1].append(blob_id)
        for tree, ids in others.values():
            found |= await tree.read(ids)
        return found

    def _inside(self, path: str) -> tuple[Files | None, str]:
        place = _place(path)
        if not place:
            return self.own, path
        mounted = self._mounted.get(place)
        return (mounted[0] if mounted is not None else None), path[len(place) + 1 :]


def _place(path: str) -> str:
    """The directory of the fetched tree that a path is in; "" for the build's own tree."""
    parts = path.split("/", 2)
    return "/".join(parts[:2]) if parts[0] == _REMOTE and len(parts) > 1 else ""
