"""A repository as the rest of gitsync sees it: a head to ask for, commits to fetch, trees and files to read."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TypeVar
from weakref import WeakValueDictionary

import structlog

from gitsync.api.identity import CommitInfo
from gitsync.errors import ArtifactPathMissing, GitRefused, GitsyncError, GitUnavailable
from gitsync.git.command import Runner
from gitsync.git.failures import Damaged
from gitsync.git.links import MAX_TARGET, expand
from gitsync.git.listing import Item, Kind
from gitsync.git.remote import Remote
from gitsync.git.source import GitCredentials, GitSource, check_commit_id
from gitsync.git.store import COMMIT_REFS, Store, clean_path
from gitsync.tree import Tree, TreeEntry

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: The commits that stay in the mirror: the one in use and the one before, to compare with and to go back to.
KEPT = 2
#: How many more may gather before they are swept away at the next poll without news; four times as many at any poll.
SLACK = 8


class Mirror:
    """A bare mirror of what ``source`` names, in a directory of its own below ``directory``.

    Nothing of a commit is ever checked out: files are objects that are read. A mirror that turns out to be damaged (a
    killed process, a full disk, a careless hand) is made anew, once, without the caller noticing; the old one stays
    until the new one is complete. Several mirrors, also in several processes, may share a ``directory``.

    Errors, of every method that may talk to the remote (all but ``close``): GitUnavailable and its subclasses
    GitAuthRefused and GitRefMissing, to be tried again; GitRefused, for what cannot work.
    """

    def __init__(
        self, source: GitSource, directory: Path, credentials: Callable[[], GitCredentials] | None = None
    ) -> None:
        self.source = source
        self.path = directory.absolute() / mirror_name(source.url)
        self._runner = Runner()
        self._remote = Remote(source, self._runner, credentials)
        self._store = Store(self.path, self._runner)
        self._changing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._listing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._trees: dict[str, Tree] = {}
        self._recent: list[str] = []
        self._untidied = 1
        self._generation = 0

    async def head(self) -> str:
        """The id of the commit that is wanted now: one question to the remote; none when the source names a commit."""
        head = await self._remote.head()
        if head in self._recent:
            await self._rest()
        return head

    async def fetch(self, commit_id: str) -> CommitInfo:
        """Bring the commit, without its history; nothing to do when it is there. The last two fetched stay."""
        check_commit_id(commit_id)
        async with self._exclusive(self.source.timeout):
            commit = await self._store.find(commit_id) or await self._bring(commit_id)
        self._recent = [*(known for known in self._recent if known != commit_id), commit_id][-KEPT:]
        if self._untidied > 4 * SLACK:
            await self._tidy()
        return commit

    async def info(self, commit_id: str) -> CommitInfo:
        """Author, subject and time of a commit; fetched when it is not there."""
        check_commit_id(commit_id)
        return await self._local(lambda: self._info(commit_id), commit_id)

    async def artifact(self, commit_id: str) -> Tree:
        """The files of a commit, as a tree that is listed once. Symbolic links that stay inside the repository are
        followed; whatever else cannot be read (a submodule, say) is an entry that says why.

        What the tree raises when it is read is what the mirror's methods raise.
        """
        check_commit_id(commit_id)
        listing = self._listing.setdefault(commit_id, asyncio.Lock())  # whoever asks meanwhile waits for the same list
        async with listing:
            tree = self._trees.pop(commit_id, None)
            if tree is None:
                tree = await self._local(lambda: self._list(commit_id), commit_id)
            self._trees = dict([*self._trees.items(), (commit_id, tree)][-KEPT:])
            return tree

    async def tree(self, commit_id: str, path: str = "") -> list[TreeEntry]:
        """The entries of ``artifact`` below ``path`` (the root by default), their paths counted from the root.

        Raises: GitRefused when there is no such directory.
        """
        path = clean_path(path)
        try:
            return await (await self.artifact(commit_id)).entries(path)
        except ArtifactPathMissing as error:
            raise GitRefused(
                f"there is no directory `{path}` in commit {commit_id[:7]}"
                + (f": {error.reason}" if error.reason else ""),
                hint="check the path, which is counted from the repository's root",
            ) from None

    async def tree_id(self, commit_id: str, path: str) -> str | None:
        """What changes when anything in the directory at ``path`` does; None when there is none."""
        return await (await self.artifact(commit_id)).directory_digest(clean_path(path))

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, by the ids that ``tree`` gives.

        Raises: GitRefused when they are more than MAX_READ bytes together: look at the sizes and ask in portions.
        """
        return await self._local(lambda: self._store.read(blob_ids))

    async def close(self) -> None:
        """End what is under way. The mirror stays on disk."""
        await self._runner.close()
        await self._store.close()

    async def _list(self, commit_id: str) -> Tree:
        top, items = await self._store.listing(commit_id)
        sizes, links = await asyncio.to_thread(_blobs, items)
        targets = await self._store.read(links, sizes)

        async def read(blob_ids: Sequence[str]) -> dict[str, bytes]:
            return await self._local(lambda: self._store.read(blob_ids, sizes), commit_id)

        found = await asyncio.to_thread(expand, top, items, targets)
        return await asyncio.to_thread(Tree, commit_id, found.entries, read, found.digests)

    async def _info(self, commit_id: str) -> CommitInfo:
        commit = await self._store.find(commit_id)
        if commit is None:
            raise Damaged(f"commit {commit_id[:7]} cannot be read")
        return commit

    async def _local(self, work: Callable[[], Awaitable[T]], *commit_ids: str) -> T:
        """Read from the mirror; when it fails, first get the commits that are not there, then make the mirror anew."""
        for cure in (self._complete, self._renew):
            generation = self._generation
            try:
                async with self._reading:
                    return await work()
            except Damaged as error:
                log.debug("git mirror cannot be read", mirror=str(self.path), why=str(error))
            await cure(commit_ids, generation)
        try:
            async with self._reading:
                return await work()
        except Damaged as error:
            raise GitUnavailable(f"the mirror of {self.source.url} cannot be read, nor fixed: {error}") from error

    async def _complete(self, commit_ids: Sequence[str], generation: int) -> None:
        async with self._exclusive(self.source.timeout):
            for commit_id in commit_ids:
                if await self._store.find(commit_id) is None:
                    await self._bring(commit_id)

    async def _renew(self, commit_ids: Sequence[str], generation: int) -> None:
        async with self._exclusive(self.source.timeout):
            if self._generation != generation:
                return  # another reader met the same damage first
            wanted = list(dict.fromkeys([*commit_ids, *reversed(self._recent)]))
            if not wanted:
                raise GitUnavailable(f"the mirror of {self.source.url} does not hold these files")
            await self._rebuild(wanted)

    async def _bring(self, commit_id: str) -> CommitInfo:
        """Fetch a commit that is not there. Only with the lock."""
        self._untidied += 1
        try:
            await self._store.clear_leftovers()
            if not self.path.exists():
                await self._store.create(commit_id)
            await self._remote.fetch(commit_id, self._store)
            return await self._info(commit_id)
        except Damaged as error:
            log.debug("git mirror is damaged, making it anew", mirror=str(self.path), why=str(error))
        await self._rebuild([commit_id])
        try:
            return await self._info(commit_id)
        except Damaged as error:
            raise GitUnavailable(f"{commit_id} of {self.source.url} cannot be read as a commit") from error

    async def _rebuild(self, commit_ids: Sequence[str]) -> None:
        """Replace the mirror by a new one with the first of these commits and what can be had of the others."""
        fresh = Store(self.path.with_suffix(".new"), self._runner)
        old = self.path.with_suffix(".old")
        await asyncio.to_thread(_remove, fresh.path, old)
        try:
            await fresh.create(commit_ids[0])
            await self._remote.fetch(commit_ids[0], fresh)
            for commit_id in commit_ids[1:]:
                try:
                    await self._remote.fetch(commit_id, fresh)
                except GitsyncError as error:
                    log.debug("an older commit is not to be had any more", commit=commit_id[:7], why=error.message)
        except Damaged as error:
            raise GitUnavailable(f"cannot fetch {self.source.url}: {error}") from error
        async with self._reading:
            await self._store.close()
            if self.path.exists():
                self.path.rename(old)
            fresh.path.rename(self.path)
            self._generation += 1
        await asyncio.to_thread(_remove, old)

    async def _rest(self) -> None:
        """There is no news: nobody will read much for a while."""
        if not self._reading.locked():
            async with self._reading:
                await self._store.close()
        if self._untidied:
            await self._tidy()

    async def _tidy(self) -> None:
        """Drop commits beyond the last two, now and then; what goes wrong here is left to the next reader to notice."""
        self._untidied = 0
        if len(self._recent) < KEPT:
            return
        try:
            async with self._exclusive(0):
                commits = await self._store.commits()
                old = [commit_id for commit_id in commits if commit_id not in self._recent]
                if len(commits) <= KEPT + SLACK or not old:
                    return
                async with self._reading:
                    await self._store.forget(COMMIT_REFS, old)
                    await self._store.sweep()
                log.debug("git mirror tidied", mirror=str(self.path), dropped=len(old))
        except (Damaged, GitsyncError) as error:
            log.debug("git mirror could not be tidied", mirror=str(self.path), why=str(error))

    @asynccontextmanager
    async def _exclusive(self, patience: float) -> AsyncIterator[None]:
        """Alone in changing the mirror: of this process' tasks, and of all processes that share the directory."""
        async with self._changing:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = self.path.with_suffix(".lock").open("w")
            except OSError as error:
                raise GitRefused(
                    f"the state directory {self.path.parent} cannot be written to: {error.strerror}",
                    hint="choose another, or mount a writable volume there",
                ) from error
            with file:
                await self._lock(file, patience)
                try:
                    yield
                except OSError as error:  # a full disk, a careless hand
                    raise GitUnavailable(
                        f"the mirror {self.path} cannot be changed: {error.strerror or error}"
                    ) from error

    async def _lock(self, file: IO[str], patience: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if loop.time() >= deadline:
                    raise GitUnavailable(
                        f"another gitsync holds the mirror {self.path}", hint="give each its own state directory"
                    ) from None
            await asyncio.sleep(0.05)  # there is no other way to hear of another process' lock


def mirror_name(url: str) -> str:
    """A directory name that people recognise and that no other URL has."""
    words = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(url.rstrip("/").removesuffix(".git").split("/")[-2:]))
    return f"{words[-40:].strip('-.') or 'git'}-{hashlib.sha256(url.encode()).hexdigest()[:12]}.git"


def _blobs(items: Sequence[Item]) -> tuple[dict[str, int], list[str]]:
    """The sizes of a commit's files and links by the ids of their blobs, and those of the links that may be read."""
    sizes = {item.object_id: item.size for item in items if item.kind in (Kind.FILE, Kind.LINK)}
    links = {item.object_id for item in items if item.kind is Kind.LINK and item.size <= MAX_TARGET}
    return sizes, sorted(links)


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
