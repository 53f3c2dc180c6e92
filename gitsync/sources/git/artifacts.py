"""Artifacts of Git repositories: resolved, fetched into shared mirrors, and read in place."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cachetools import LRUCache

from gitsync.errors import ArtifactError, GitRefused
from gitsync.git import HEAD, GitCredentials, GitReference
from gitsync.sources.composition import Composition
from gitsync.sources.git.compose import composed, same_site, submodule_url
from gitsync.sources.git.mirrors import GitMirrors
from gitsync.sources.git.spec import Content, GitArtifact, GitPlace, GitSpec, Part, content_id
from gitsync.sources.git.verification import verified
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from gitsync.tree import Tree
from gitsync.treememory import TreeMemory

_FOLDER = "git-artifacts"
_MOST_KNOWN = 4096
#: How deep submodules may lie in each other, and how many a repository may have with theirs.
MAX_DEPTH = 8
MAX_SUBMODULES = 100


class _Key(NamedTuple):
    """The key of a tree: its repository, and what it has been made of."""

    place: str
    content: str


class _Filtered(NamedTuple):
    """Of what is left of another tree."""

    content: Content
    of: Tree


#: Commits by the ids of their places.
_Needed = dict[str, frozenset[str]]


class GitArtifacts:
    """Finds artifacts of Git repositories. Mirrors are below ``directory``, notes about artifacts in ``store``, trees
    in ``memory``."""

    def __init__(
        self, directory: Path, store: Store, turns: Turns, timeout_limit: float, memory: TreeMemory | None = None
    ) -> None:
        self._memory = memory or TreeMemory()
        self.mirrors = GitMirrors(directory, turns, timeout_limit, self._memory)
        self.mirrors.removed = self._on_removed
        self._store = store
        self._known: LRUCache[str, GitArtifact] = LRUCache(_MOST_KNOWN)
        #: By an artifact's content, the commits that it needs.
        self._used: LRUCache[str, _Needed] = LRUCache(_MOST_KNOWN)
        self._filtering = asyncio.Lock()

    async def close(self) -> None:
        """Ends what is under way."""
        await self.mirrors.close()

    async def known(self, spec: GitSpec, parts: Sequence[Part] = ()) -> GitArtifact | None:
        """The artifact that was found last, also before a restart; None when there is none, or ``parts`` have changed.
        Makes no request."""
        found = self._known.get(spec.id)
        if found is None:
            found = GitArtifact.read(await asyncio.to_thread(self._store.data, _FOLDER, spec.id))
        if found is None or found.content != content_id(found.commit, spec.content, parts):
            return None
        self._known[spec.id] = found
        return found

    async def refresh(
        self, holder: Hashable, spec: GitSpec, parts: Sequence[Part] = (), not_before: float | None = None
    ) -> GitArtifact:
        """The present artifact of a repository, with ``parts`` for what it includes, in this order. An answer of the
        server will do that was asked for at ``not_before`` (of ``time.monotonic``) or later; by default, a new one.

        When this fails, the artifact before stays in use. The commits that it needs are kept for ``holder`` until that
        asks for something else, or is forgotten.
        Raises: GitUnavailable, GitRefMissing, GitAuthRefused, GitRefused, ArtifactError, NotVerified, NoRoom.
        """
        mirror = self.mirrors.of(spec.place, spec.timeout)
        moment = time.monotonic() if not_before is None else not_before
        found = await mirror.resolve(holder, spec, moment)
        commit = await mirror.fetch(spec, found.commit)
        signed = ""
        if spec.verification is not None:  # each time anew: keys expire, and a tag may have moved
            signed = await verified(mirror.mirror, spec.reference, found, spec.verification)
        known = artifact = await self.known(spec, parts)
        if artifact is None or artifact.commit != found.commit:
            artifact = await self._made(spec, found.commit, parts, found.revision)
        author, subject = commit.author, commit.subject
        artifact = replace(artifact, revision=found.revision, verified=signed, author=author, subject=subject)
        if artifact != known:
            await asyncio.to_thread(self._store.keep_data, _FOLDER, spec.id, artifact.data())
            self._known[spec.id] = artifact
        if artifact.content not in self._used:
            self._used[artifact.content] = await self._commits(spec, artifact.commit, parts)
        self.mirrors.settle(holder, self._used[artifact.content])
        return artifact

    async def look(self, spec: GitSpec) -> str:
        """The present revision of the repository; for a commit by its id, only whether the server answers. Fetches
        nothing.

        Raises: GitUnavailable, GitRefMissing, GitAuthRefused, GitRefused.
        """
        mirror = self.mirrors.of(spec.place, spec.timeout).mirror
        refs = await mirror.refs(spec.reference.names or {HEAD})
        return (await mirror.resolve(spec.reference, refs)).revision

    def needed(self, artifact: GitArtifact) -> Mapping[str, frozenset[str]]:
        """The commits that an artifact is made of, by the ids of their repositories, if known."""
        return self._used.get(artifact.content, {})

    def resume(self, holder: Hashable, spec: GitSpec, artifact: GitArtifact) -> None:
        """Keep the commits of an artifact that was found before. After a restart, only its own commit is known, and no
        others are kept."""
        self.mirrors.of(spec.place, spec.timeout)
        needed = self._used.get(artifact.content) or {spec.place.id: frozenset({artifact.commit})}
        self.mirrors.settle(holder, needed)

    def forget(self, holder: Hashable, spec: GitSpec | None) -> None:
        """``holder`` is gone."""
        if spec is not None:
            self._known.pop(spec.id, None)
        self.mirrors.settle(holder, {})

    async def tree(self, spec: GitSpec, artifact: GitArtifact, parts: Sequence[Part] = ()) -> Tree:
        """The files of an artifact. Costs no request as long as its commits are in their mirrors.

        Raises: as ``refresh``; NoRoom.
        """
        key = _Key(spec.place.id, artifact.content)  # with the place: a tree reads from the mirror of that
        tree = self._memory.get(key)
        if tree is None:
            composition = await self._composed(spec, artifact.commit, parts)
            tree = await self._memory.make(key, spec.owner, partial(asyncio.to_thread, composition.tree))
        return tree

    async def filtered(self, tree: Tree, content: Content, owner: str) -> Tree:
        """What ``content`` leaves of a tree that is there, on behalf of a namespace. Kept as long as nobody asks for
        the same of another tree: the next commit has one.

        Raises: ArtifactError for patterns that cannot be read; NoRoom; what the tree raises.
        """
        key = _Filtered(content, tree)
        async with self._filtering:
            if (found := self._memory.get(key)) is not None:
                return found
            composition = await composed(tree, content, {}, [], self._memory.making)
            self._memory.forget(lambda other: isinstance(other, _Filtered) and other.content == content)
            return await self._memory.make(key, owner, partial(asyncio.to_thread, composition.tree, whole=tree))

    async def _made(self, spec: GitSpec, commit: str, parts: Sequence[Part], revision: str) -> GitArtifact:
        content = content_id(commit, spec.content, parts)
        tree = await self.tree(spec, GitArtifact(revision, commit, content, ""), parts)
        digest = hashlib.sha256(str(await tree.directory_digest()).encode()).hexdigest()
        return GitArtifact(revision, commit, content, f"sha256:{digest}", tree.files)

    async def _composed(self, spec: GitSpec, commit: str, parts: Sequence[Part]) -> Composition:
        tree = await self.mirrors.of(spec.place, spec.timeout).mirror.artifact(commit, spec.owner)
        submodules: dict[str, Tree] = {}
        if spec.content.submodules:
            submodules = await self._submodules(spec, commit, {}, 1)
        trees = [await part.tree() for part in parts]
        included = list(zip(spec.content.include, trees, strict=True))
        return await composed(tree, spec.content, submodules, included, self._memory.making)

    async def _commits(self, spec: GitSpec, commit: str, parts: Sequence[Part]) -> _Needed:
        needed: dict[str, set[str]] = {spec.place.id: {commit}}
        if spec.content.submodules:
            await self._submodules(spec, commit, needed, 1)
        for part in parts:
            for place, commits in part.needs.items():
                needed.setdefault(place, set()).update(commits)
        return {place: frozenset(commits) for place, commits in needed.items()}

    def _on_removed(self, place: str) -> None:
        """A mirror was removed: trees of its commits have to be made anew, fetching these again."""
        contents = {content for content, needed in self._used.items() if place in needed}
        for content in contents:
            del self._used[content]
        self._memory.forget(lambda key: isinstance(key, _Key) and (key.place == place or key.content in contents))

    async def _submodules(self, spec: GitSpec, commit: str, needed: dict[str, set[str]], depth: int) -> dict[str, Tree]:
        """The trees of a commit's submodules, with those in them, by path; their commits are added to ``needed``."""
        found: dict[str, Tree] = {}
        mirror = self.mirrors.of(spec.place, spec.timeout).mirror
        for path, submodule in (await mirror.submodules(commit)).items():
            if depth > MAX_DEPTH or sum(map(len, needed.values())) > MAX_SUBMODULES:
                raise ArtifactError(
                    f"submodules lie more than {MAX_DEPTH} deep, or are more than {MAX_SUBMODULES}", url=spec.place.url
                )
            if not submodule.url:
                raise ArtifactError(
                    f".gitmodules names no URL for the submodule {path!r}", url=spec.place.url, hint="correct it"
                )
            inner = _submodule_spec(spec, path, submodule.url)
            shared = self.mirrors.of(inner.place, inner.timeout)
            inner = replace(inner, reference=GitReference(commit=submodule.commit))
            await shared.fetch(inner, submodule.commit)
            needed.setdefault(inner.place.id, set()).add(submodule.commit)
            deeper = await self._submodules(inner, submodule.commit, needed, depth + 1)
            found[path] = await shared.mirror.artifact(submodule.commit, spec.owner)
            found |= {f"{path}/{below}": tree for below, tree in deeper.items()}
        return found


def _submodule_spec(spec: GitSpec, path: str, url: str) -> GitSpec:
    """The spec of a submodule; with the repository's credentials only if it is on the same server.

    Raises: GitRefused for an address that is of another kind than those of GitRepositories.
    """
    place = submodule_url(spec.place.url, url)
    if not place.startswith(("https://", "http://", "ssh://")):
        raise GitRefused(f"the submodule {path!r} has an address that is not read: https, http and ssh are")
    opens = same_site(spec.place.url, place)
    credentials = spec.place.credentials if opens else GitCredentials(proxy=spec.place.credentials.proxy)
    if place.startswith("ssh://") and not opens:
        raise GitRefused(f"the submodule {path!r} is on another ssh server, for which there is no key")
    return GitSpec(GitPlace(place, credentials), spec.reference, Content(), spec.owner, spec.timeout)
