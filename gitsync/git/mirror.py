"""A repository as the rest of gitsync sees it: a head to ask for, commits to fetch, trees and files to read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakValueDictionary, ref

import structlog

from gitsync.api.identity import CommitInfo
from gitsync.errors import ArtifactPathMissing, GitRefused, GitsyncError, GitUnavailable, StateUnwritable
from gitsync.git.barerepository import COMMIT_REFS, FEW, BareRepository, clean_path
from gitsync.git.command import Runner
from gitsync.git.failures import Damaged
from gitsync.git.links import MAX_TARGET, expand_listing
from gitsync.git.listing import Kind, Listing
from gitsync.git.memory import GitMemory
from gitsync.git.mirrordirectory import MirrorLock, mirror_name, remove_paths
from gitsync.git.reference import GitReference, Resolved, check_commit_id, resolve
from gitsync.git.remote import Remote
from gitsync.git.signed import SignedObject, signed_commit, signed_tag
from gitsync.git.source import GitCredentials, GitSource
from gitsync.logs import Once
from gitsync.tree import Entries, Tree, TreeEntry
from gitsync.treememory import TreeMemory

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: The commits that stay in the mirror: the one in use and the one before, to compare with and to go back to.
KEPT = 2
#: How much the targets of a commit's symbolic links may have together, in bytes.
MAX_TARGETS: Final = 8 << 20

_GITMODULES = ".gitmodules"
#: The largest .gitmodules that is read, in bytes.
MAX_GITMODULES = 256 << 10
#: How many more may gather before they are swept away at the next poll without news; four times as many at any poll.
SLACK = 8


@dataclass(frozen=True, slots=True)
class Submodule:
    """Another repository's commit in the place of a directory."""

    commit: str
    url: str = ""


class Mirror:
    """A bare mirror of what ``source`` names, in a directory of its own below ``directory``.

    Nothing of a commit is ever checked out: files are objects that are read. A mirror that turns out to be damaged (a
    killed process, a full disk, a careless hand) is made anew, once, without the caller noticing; the old one stays
    until the new one is complete. Several mirrors, also in several processes, may share a ``directory``; ``name`` is a
    mirror's own in it, made of the URL unless it is given, ``memory`` is for the trees of several together, ``gits``
    for their processes, and ``room`` raises what ends a fetch for which there is none. A mirror may have several users:
    ``resolve`` takes other references than that of ``source``, and what one ``hold``s stays.

    Errors, of every method that may talk to the remote (all but ``close``): GitUnavailable and its subclasses
    GitAuthRefused, GitRefMissing and StateUnwritable, to be tried again; GitRefused, for what cannot work.
    """

    def __init__(
        self,
        source: GitSource,
        directory: Path,
        credentials: Callable[[], GitCredentials] | None = None,
        name: str = "",
        memory: TreeMemory | None = None,
        room: Callable[[], None] | None = None,
        gits: GitMemory | None = None,
    ) -> None:
        self.source = source
        self.path = directory.absolute() / (name or mirror_name(source.url))
        self._runner = Runner(memory=gits)
        self._remote = Remote(source, self._runner, credentials)
        self._room = room
        self._memory = memory or TreeMemory.of_own_repository()
        self._store = BareRepository(self.path, self._runner, room)
        self._lock = MirrorLock(self.path)
        self._reading = asyncio.Lock()
        self._listing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recent: list[str] = []
        self._held: dict[Hashable, str] = {}
        self._untidied = 1
        self._generation = 0
        self._once = Once()

    @property
    def default_branch(self) -> str:
        """The branch that the remote's HEAD leads to, once that was asked for; "" before, and where nobody says."""
        return self._remote.default_branch

    @property
    def cloned_from(self) -> str:
        """What the remote is a clone of, when that is on this machine, and was asked; "" for none."""
        return self._remote.cloned_from

    @property
    def head_tag(self) -> str:
        """The annotated tag that has led to the head, when it was asked for last; "" without one."""
        return self._remote.head_tag

    def allow(self, seconds: float) -> None:
        """Conversations with the remote may take so long from now on."""
        if seconds != self.source.timeout:
            self.source = self._remote.source = replace(self.source, timeout=seconds)

    def log_in(self, credentials: GitCredentials) -> None:
        """Conversations with the remote have these from now on, unless what there is is good for longer."""
        if credentials.until > self.source.access.until:
            self.source = self._remote.source = replace(self.source, credentials=credentials)

    async def head(self) -> str:
        """The id of the commit that is wanted now: one question to the remote; none when the source names a commit."""
        head = await self._remote.head()
        if head in self._recent:
            await self._rest()
        return head

    async def refs(self, names: Collection[str]) -> dict[str, str]:
        """The ids of these references, by their names (see ``GitReference.names``): one question to the remote."""
        refs = await self._remote.refs(names)
        await self._rest()
        return refs

    async def resolve(self, reference: GitReference, refs: Mapping[str, str]) -> Resolved:
        """The commit that is meant, by what ``refs`` has said. Raises: GitRefMissing, with what there is instead."""
        found = await asyncio.to_thread(resolve, reference, refs)  # a range may have to be looked for in many tags
        if found is None:
            raise await self._remote.missing(reference)
        return found

    def hold(self, holder: Hashable, commit_id: str) -> None:
        """Keep a commit that was fetched for as long as ``holder``, who may have one, needs it; "" for none."""
        if commit_id:
            self._held[holder] = commit_id
        else:
            self._held.pop(holder, None)

    async def fetch(self, commit_id: str, reference: GitReference | None = None) -> CommitInfo:
        """Bring the commit, which ``reference`` (that of the source by default) has led to, without its history;
        nothing to do when it is there. The last two fetched stay, and what is held."""
        check_commit_id(commit_id)
        commit = await self._fetched(commit_id, reference or self.source.reference)
        self._recent = [*(known for known in self._recent if known != commit_id), commit_id][-KEPT:]
        if self._untidied > 4 * SLACK:
            await self._tidy()
        return commit

    async def _fetched(self, commit_id: str, reference: GitReference) -> CommitInfo:
        try:
            async with self._lock.held(self.source.timeout):
                commit = await self._store.find(commit_id) or await self._bring(commit_id, reference)
        except StateUnwritable as error:
            # What is there can be read all the same: an agent that starts on a read-only volume keeps what it has.
            found = await self._store.find(commit_id)
            if found is None:
                raise
            if self._once.is_news("unwritable"):
                event = "the git mirror cannot be written, reading what it holds"
                log.warning(event, why=error.message, hint=error.hint)
            return found
        self._once.forget("unwritable")
        return commit

    async def info(self, commit_id: str) -> CommitInfo:
        """Author, subject and time of a commit; fetched when it is not there."""
        check_commit_id(commit_id)
        return await self._local(lambda: self._info(commit_id), commit_id)

    async def signed(self, commit_id: str) -> SignedObject:
        """A commit as it was signed; fetched when it is not there. Raises: also NotVerified."""
        check_commit_id(commit_id)

        async def read() -> bytes:
            data = await self._store.object(commit_id, "commit")
            if data is None:
                raise Damaged(f"commit {commit_id[:7]} cannot be read")
            return data

        return signed_commit(commit_id, await self._local(read, commit_id))

    async def signed_tag(self, tag_id: str) -> SignedObject:
        """An annotated tag as it was signed, fetched when it is not there."""
        check_commit_id(tag_id)
        data = await self._tag(tag_id)
        if data is None:
            async with self._lock.held(self.source.timeout):
                await self._bring_tag(tag_id)
            data = await self._tag(tag_id)
        if data is None:
            raise GitUnavailable(f"the tag {tag_id[:7]} of {self.source.url} cannot be read")
        return signed_tag(tag_id, data)

    async def artifact(self, commit_id: str, owner: str = "") -> Tree:
        """The files of a commit, as a tree that is listed once, on behalf of the namespace ``owner``. Symbolic links
        that stay inside the repository are followed; whatever else cannot be read (a submodule, say) is an entry that
        says why.

        Raises: also NoRoom. What the tree raises when it is read is what the mirror's methods raise.
        """
        check_commit_id(commit_id)
        listing = self._listing.setdefault(commit_id, asyncio.Lock())  # whoever asks meanwhile waits for the same list
        async with listing:
            key = self.path, commit_id
            tree = self._memory.get(key)
            if tree is None:
                listed = partial(self._list, commit_id)
                tree = await self._local(lambda: self._memory.make(key, owner, listed), commit_id)
            return tree

    async def submodules(self, commit_id: str) -> dict[str, Submodule]:
        """A commit's submodules by path: at which commits they are, and the URLs that its .gitmodules has for them, ""
        for one that it does not name."""
        check_commit_id(commit_id)
        found, file = await self._local(lambda: self._submodules(commit_id), commit_id)
        if not found or file is None or file.size > MAX_GITMODULES:
            return {path: Submodule(commit) for path, commit in found.items()}
        settings = await self._local(lambda: self._store.settings(file.blob_id), commit_id)
        names = {value: key.removesuffix(".path") for key, value in settings.items() if key.endswith(".path")}
        urls = {path: settings.get(f"{name}.url", "") for path, name in names.items()}
        return {path: Submodule(commit, urls.get(path, "")) for path, commit in found.items()}

    async def tree(self, commit_id: str, path: str = "") -> list[TreeEntry]:
        """The entries of ``artifact`` below ``path`` (the root by default), their paths counted from the root.

        Raises: GitRefused when there is no such directory.
        """
        path = clean_path(path)
        try:
            return list(await (await self.artifact(commit_id)).entries(path))
        except ArtifactPathMissing as error:
            raise GitRefused(
                f"there is no directory `{path}` in commit {commit_id[:7]}"
                + (f": {error.reason}" if error.reason else ""),
                hint="check the path, which is counted from the repository's root",
            ) from None

    async def read(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, by the ids that ``tree`` gives.

        Raises: GitRefused when they are more than MAX_READ bytes together: look at the sizes and ask in portions.
        """
        return await self._local(lambda: self._store.read(blob_ids))

    async def close(self) -> None:
        """End what is under way. The mirror stays on disk."""
        self._memory.forget(lambda key: isinstance(key, tuple) and key[0] == self.path)
        await self._runner.close()
        await self._store.close()

    async def _submodules(self, commit_id: str) -> tuple[dict[str, str], TreeEntry | None]:
        """The commits of submodules by path, and what says where they are."""
        async with self._memory.making:
            listing = await self._store.listing(commit_id)
            found = {item.path: item.object_id for item in listing.of(Kind.SUBMODULE)}
            is_link = any(item.path == _GITMODULES for item in listing.of(Kind.LINK))
            return found, None if is_link else Entries(listing.files).find(_GITMODULES)

    async def _list(self, commit_id: str) -> Tree:
        listing = await self._store.listing(commit_id)
        links = _links(listing)
        targets = await self._store.read(sorted(links), links)
        found = await asyncio.to_thread(expand_listing, listing, targets)
        known = ref(found.entries.files)  # another tree that is read by this one may be a small part of it

        async def read(blob_ids: Sequence[str]) -> dict[str, bytes]:
            files = known() if len(blob_ids) <= FEW else None
            sizes = files.sizes_of(blob_ids) if files is not None else {}
            return await self._local(lambda: self._store.read(blob_ids, sizes), commit_id)

        return Tree(commit_id, found.entries, read, found.digests)

    async def _tag(self, tag_id: str) -> bytes | None:
        try:
            async with self._reading:
                return await self._store.object(tag_id, "tag")
        except Damaged as error:
            raise GitUnavailable(f"the mirror of {self.source.url} is damaged: {error}") from error

    async def _bring_tag(self, tag_id: str) -> None:
        """Only with the lock."""
        self._untidied += 1
        try:
            await self._remote.fetch_tag(tag_id, self._store)
        except Damaged as error:
            raise GitUnavailable(f"cannot fetch the tag {tag_id[:7]} of {self.source.url}: {error}") from error

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
        async with self._lock.held(self.source.timeout):
            for commit_id in commit_ids:
                if await self._store.find(commit_id) is None:
                    await self._bring(commit_id, self.source.reference)

    async def _renew(self, commit_ids: Sequence[str], generation: int) -> None:
        async with self._lock.held(self.source.timeout):
            if self._generation != generation:
                return  # another reader met the same damage first
            wanted = list(dict.fromkeys([*commit_ids, *reversed(self._recent), *self._held.values()]))
            if not wanted:
                raise GitUnavailable(f"the mirror of {self.source.url} does not hold these files")
            await self._rebuild(wanted)

    async def _bring(self, commit_id: str, reference: GitReference) -> CommitInfo:
        """Fetch a commit that is not there. Only with the lock."""
        self._untidied += 1
        try:
            await self._store.clear_leftovers()
            if not self.path.exists():
                await self._store.create(commit_id)
            await self._remote.fetch(commit_id, self._store, reference)
            return await self._info(commit_id)
        except GitRefused:
            await self._store.clear_leftovers()  # what was too large takes room that others may need
            raise
        except Damaged as error:
            log.debug("git mirror is damaged, making it anew", mirror=str(self.path), why=str(error))
        await self._rebuild([commit_id])
        try:
            return await self._info(commit_id)
        except Damaged as error:
            raise GitUnavailable(f"{commit_id} of {self.source.url} cannot be read as a commit") from error

    async def _rebuild(self, commit_ids: Sequence[str]) -> None:
        """Replace the mirror by a new one with the first of these commits and what can be had of the others."""
        fresh = BareRepository(self.path.with_suffix(".new"), self._runner, self._room)
        old = self.path.with_suffix(".old")
        await asyncio.to_thread(remove_paths, fresh.path, old)
        try:
            await fresh.create(commit_ids[0])
            await self._remote.fetch(commit_ids[0], fresh, self.source.reference)
            for commit_id in commit_ids[1:]:
                try:
                    await self._remote.fetch(commit_id, fresh, self.source.reference)
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
        await asyncio.to_thread(remove_paths, old)

    async def _rest(self) -> None:
        """There is no news: nobody will read much for a while."""
        if not self._reading.locked():
            async with self._reading:
                await self._store.close()
        self._runner.rest()
        self._lock.touch()
        if self._untidied:
            await self._tidy()

    async def _tidy(self) -> None:
        """Drop commits beyond the last two and those that are held, now and then; what goes wrong here is left to the
        next reader to notice."""
        self._untidied = 0
        kept = {*self._recent, *self._held.values()}
        if len(kept) < KEPT:
            return
        try:
            async with self._lock.held(0):
                commits = await self._store.commits()
                old = [commit_id for commit_id in commits if commit_id not in kept]
                if len(commits) <= len(kept) + SLACK or not old:
                    return
                async with self._reading:
                    await self._store.forget(COMMIT_REFS, old)
                    await self._store.sweep()
                log.debug("git mirror tidied", mirror=str(self.path), dropped=len(old))
        except (Damaged, GitsyncError) as error:
            log.debug("git mirror could not be tidied", mirror=str(self.path), why=str(error))


def _links(listing: Listing) -> dict[str, int]:
    """The ids of the links that may be read, with their sizes. Raises: GitRefused when they are too much together."""
    links = {item.object_id: item.size for item in listing.of(Kind.LINK) if item.size <= MAX_TARGET}
    if sum(links.values()) > MAX_TARGETS:
        raise GitRefused(
            f"the symbolic links of this commit are larger than {MAX_TARGETS >> 20} MiB",
            hint="keep manifests in a repository of their own",
        )
    return links
