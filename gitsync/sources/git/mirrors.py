"""Mirrors that GitRepositories share: one for each repository and login; one answer of the server serves all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from gitsync.api.identity import CommitInfo
from gitsync.errors import GitRefused, GitsyncError
from gitsync.git import (
    GitMemory,
    GitReference,
    GitSource,
    Mirror,
    Resolved,
    claim_mirror,
    mirror_name,
    on_behalf_of,
    remove_mirror,
    resolve,
    size_on_disk,
)
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.git.spec import GitPlace, GitSpec
from gitsync.sources.turns import Turns
from gitsync.treememory import TreeMemory

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: Bytes of all mirrors together: a full volume would end the agent, and tenants' GitRepositories may name any
#: repository.
MAX_MIRRORS = 1 << 30
#: Seconds after which an unused mirror on disk is removed. Not at once, since a GitRepository may come back.
UNUSED = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """The remote's answer about ``names``, asked for at ``started``; or the error."""

    started: float
    names: frozenset[str]
    refs: Mapping[str, str] = field(default_factory=dict)
    error: GitsyncError | None = None

    def will_do(self, reference: GitReference, not_before: float) -> bool:
        """Whether the answer is about this reference, and not too old."""
        return self.started >= not_before and reference.names <= self.names


class SharedMirror:
    """A mirror, and the GitRepositories (``holder``) that share it. ``news(holder)`` is called for each whose reference
    has moved, by an answer that another has asked for."""

    def __init__(
        self,
        mirror: Mirror,
        turns: Turns,
        timeout_limit: float,
        news: Callable[[Hashable], None],
    ) -> None:
        self.mirror = mirror
        self._claim = claim_mirror(mirror.path)
        self._turns = turns
        self._limit = timeout_limit
        self._news = news
        self._wanted: dict[Hashable, GitReference] = {}
        self._commits: dict[Hashable, frozenset[str]] = {}
        self._timeouts: dict[Hashable, float] = {}
        #: The references for which an answer is awaited.
        self._asking: dict[Hashable, GitReference] = {}
        self._answer: _Answer | None = None
        self._questions: SingleFlight[None] = SingleFlight()
        self._fetches: SingleFlight[CommitInfo] = SingleFlight()

    @property
    def is_used(self) -> bool:
        """Whether somebody uses the mirror."""
        return bool(self._wanted or self._commits)

    async def close(self) -> None:
        """End what is under way."""
        await self._questions.close()
        await self._fetches.close()
        await self.mirror.close()
        if self._claim is not None:
            self._claim.close()

    async def resolve(self, holder: Hashable, spec: GitSpec, not_before: float) -> Resolved:
        """The commit of a reference, by an answer that was asked for at ``not_before`` (by the clock) or later.

        Raises: GitUnavailable, GitRefMissing, GitAuthRefused, GitRefused.
        """
        self._wanted[holder] = spec.reference
        self._allow(holder, spec.timeout)
        if not spec.reference.names:
            return await self.mirror.resolve(spec.reference, {})
        answer = await self._ask(holder, spec, not_before)
        if answer.error is not None:
            raise answer.error
        return await self.mirror.resolve(spec.reference, answer.refs)

    async def fetch(self, spec: GitSpec, commit: str) -> CommitInfo:
        """Fetch a commit, unless it is there. Raises: as ``resolve``."""
        work = partial(_for, spec.owner, partial(self.mirror.fetch, commit, spec.reference))
        source, secrets = self.mirror.source, frozenset(self.mirror.source.access.secrets)
        host = source.endpoint.site or source.url
        return await self._turns.shared(spec.owner, host, source.url, self._fetches, commit, work, secrets)

    def keep(self, holder: Hashable, commits: Collection[str]) -> None:
        """These are the commits that ``holder`` needs from now on."""
        for old in self._commits.pop(holder, frozenset()) - set(commits):
            self.mirror.hold((holder, old), "")
        if commits:
            self._commits[holder] = frozenset(commits)
        for commit in commits:
            self.mirror.hold((holder, commit), commit)

    def leave(self, holder: Hashable) -> bool:
        """``holder`` does not need the mirror any more. Returns whether it did."""
        was = holder in self._wanted or holder in self._commits
        self.keep(holder, ())
        self._wanted.pop(holder, None)
        self._timeouts.pop(holder, None)
        return was

    def _allow(self, holder: Hashable, timeout: float) -> None:
        self._timeouts[holder] = timeout
        self.mirror.allow(min(max(self._timeouts.values()), self._limit))

    async def _ask(self, holder: Hashable, spec: GitSpec, not_before: float) -> _Answer:
        """An answer for ``holder``. Each namespace asks in its own turn, so that none waits for another's."""
        source, secrets = self.mirror.source, frozenset(self.mirror.source.access.secrets)
        host = source.endpoint.site or source.url
        moment = min(not_before, time.monotonic())
        work = partial(_for, spec.owner, partial(self._question, spec.reference, moment))
        self._asking[holder] = spec.reference
        try:
            # A request that is under way may have begun too early, or without this reference; the next one will do.
            while (answer := self._answer) is None or not answer.will_do(spec.reference, moment):
                await self._turns.shared(spec.owner, host, source.url, self._questions, "refs", work, secrets)
            return answer
        finally:
            self._asking.pop(holder, None)

    async def _question(self, reference: GitReference, not_before: float) -> None:
        """Ask about all references that are wanted, unless that was done meanwhile; and tell holders whose reference
        has moved and that are not waiting for this answer."""
        old, started = self._answer, time.monotonic()
        if old is not None and old.will_do(reference, not_before):
            return
        wanted = [*self._wanted.values(), *self._asking.values()]
        names = frozenset().union(*(item.names for item in wanted))
        try:
            answer = _Answer(started, names, await self.mirror.refs(names))
        except GitsyncError as error:
            answer = _Answer(started, names, error=error)
        self._answer = answer
        self._tell(old, answer)

    def _tell(self, old: _Answer | None, new: _Answer) -> None:
        if old is None or new.error is not None or (old.error is None and old.refs == new.refs):
            return
        for holder, reference in self._wanted.items():
            # For a range of versions, tell its holder anyway: finding the tag, among thousands, is its own work.
            same = old.error is None and reference.ref and _same(reference, old.refs, new.refs)
            if holder not in self._asking and not same:
                self._news(holder)


async def _for(owner: str, work: Callable[[], Awaitable[T]]) -> T:
    """Do ``work`` on behalf of ``owner``, who was the first to ask for it."""
    with on_behalf_of(owner):
        return await work()


def _same(reference: GitReference, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    return resolve(reference, old) == resolve(reference, new)


class GitMirrors:
    """All of them, below ``directory``. ``timeout_limit`` is the longest that a question may take, in seconds."""

    def __init__(
        self,
        directory: Path,
        turns: Turns,
        timeout_limit: float,
        memory: TreeMemory,
    ) -> None:
        self._directory = directory
        self._memory = memory
        self._gits = GitMemory()
        self._turns = turns
        self._limit = timeout_limit
        self._mirrors: dict[str, SharedMirror] = {}
        self._closing: set[asyncio.Task[None]] = set()
        #: Called with each holder whose reference has moved.
        self.news: Callable[[Hashable], None] = lambda _: None
        #: Called with each place whose mirror is removed.
        self.removed: Callable[[str], None] = lambda _: None

    def of(self, place: GitPlace, timeout: float = 60.0) -> SharedMirror:
        """The mirror of a repository. Raises: GitRefused for a place that cannot be used."""
        key = place.id
        if key not in self._mirrors:
            source = GitSource(place.url, credentials=place.credentials, timeout=min(timeout, self._limit))
            mirror = Mirror(
                source,
                self._directory,
                name=self._name(place),
                memory=self._memory,
                room=self._room,
                gits=self._gits,
            )
            self._mirrors[key] = SharedMirror(mirror, self._turns, self._limit, lambda holder: self.news(holder))
        self._mirrors[key].mirror.log_in(place.credentials)
        return self._mirrors[key]

    def _room(self) -> None:
        """Check the size of all mirrors. Blocks. Raises: GitRefused."""
        if size_on_disk(self._directory) > MAX_MIRRORS:
            raise GitRefused(
                f"the repositories of all GitRepositories together are larger than {MAX_MIRRORS >> 20} MiB",
                hint="remove GitRepositories that nobody needs, or keep large files out of theirs",
            )

    def settle(self, holder: Hashable, used: Mapping[str, Collection[str]]) -> None:
        """Keep exactly these commits for ``holder``, by the ids of their places; none, once it is gone. A mirror that
        is not needed any more is removed."""
        for key, mirror in list(self._mirrors.items()):
            if key in used:
                mirror.keep(holder, used[key])
            elif mirror.leave(holder) and not mirror.is_used:
                del self._mirrors[key]
                self.removed(key)
                task = asyncio.get_running_loop().create_task(_remove(mirror), name="remove git mirror")
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def sweep(self) -> None:
        """Remove mirrors on disk that no GitRepository has used for UNUSED seconds; of agents before this one, too."""
        known = {mirror.mirror.path for mirror in self._mirrors.values()}
        await asyncio.to_thread(_sweep, self._directory, known)

    async def close(self) -> None:
        """End what is under way. The mirrors stay on disk."""
        await asyncio.gather(*self._closing, *(mirror.close() for mirror in self._mirrors.values()))
        self._mirrors.clear()

    def _name(self, place: GitPlace) -> str:
        return f"{mirror_name(place.url).removesuffix('.git')}-{place.id[:12]}.git"


async def _remove(mirror: SharedMirror) -> None:
    await mirror.close()
    if await asyncio.to_thread(remove_mirror, mirror.mirror.path):
        log.debug("git mirror removed: no GitRepository names it any more", mirror=str(mirror.mirror.path))


def _sweep(directory: Path, known: Collection[Path]) -> None:
    for lock in directory.glob("*.lock"):
        path = lock.with_suffix(".git")
        if path not in known:
            remove_mirror(path, UNUSED)
