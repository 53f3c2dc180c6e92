"""The other side: what its head is, and one commit of it, as little of it as it will give."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import structlog

from gitsync.errors import GitAuthRefused, GitRefMissing, GitsyncError, GitUnavailable, StateUnwritable
from gitsync.git.barerepository import COMMIT_REFS, BareRepository
from gitsync.git.command import MIB, Answer, Command, Runner, TooMuch, TooSlow
from gitsync.git.diagnosis import page_type, tls_fault, traced
from gitsync.git.environment import remote_environment
from gitsync.git.failures import BrokenOff, Damaged, NoGitAnswer, Unadvertised, no_git, remote_failure
from gitsync.git.reference import HEAD, GitReference, resolve
from gitsync.git.secretfiles import in_files
from gitsync.git.source import GitCredentials, GitSource, cloned_from
from gitsync.text import listed

log = structlog.get_logger(__name__)

#: Where a branch's history lies while a commit is looked for in it.
_HISTORY_REFS = "refs/gitsync-history/"
#: How much history is asked for, first and then: git's own word for all of it.
_DEPTHS = (100, 0x7FFFFFFF)

_FETCH = (
    "fetch", "--quiet", "--force", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
    "--no-auto-maintenance",
)  # fmt: skip


class Remote:
    """The repository that ``source`` names, over whichever transport it names."""

    def __init__(self, source: GitSource, runner: Runner, renewed: Callable[[], GitCredentials] | None = None) -> None:
        self.source = source
        self._runner = runner
        self._renewed = renewed
        self._bearer = source.access.bearer
        #: The remote's default branch, as it said with the last question for it; "" before.
        self.default_branch = ""
        #: The annotated tag that has led to the head, when it was asked for last; "" without one.
        self.head_tag = ""
        #: What it is a clone of, when it is on this machine; "" before it was asked.
        self.cloned_from = ""

    async def head(self) -> str:
        """The commit that is wanted by ``source``: one ls-remote, and none for a commit.

        Raises: GitRefMissing, GitAuthRefused, GitUnavailable; GitRefused.
        """
        reference = self.source.reference
        if (path := self.source.local_path) is not None:
            with suppress(RuntimeError):  # no thread is to be had: the question below says so
                self.cloned_from = await asyncio.to_thread(cloned_from, path)
        refs = await self.refs(reference.names) if reference.names else {}
        found = resolve(reference, refs)
        if found is None:
            raise await self.missing(reference)
        self.head_tag = found.tag
        return found.commit

    async def refs(self, names: Collection[str]) -> dict[str, str]:
        """The ids of these references (``refs/tags/*`` are all tags), of tags with those of what they lead to, under
        ``NAME^{}``: one ls-remote. Those that are not there are left out. Raises: as ``head``."""
        patterns = [pattern for name in sorted(names) for pattern in (name, f"{name}^{{}}")]
        symbolic = ("--symref",) if HEAD in names else ()
        refs = await self._list("ls-remote", "--quiet", *symbolic, self.source.url, *patterns)
        self.default_branch = refs.pop("ref: HEAD", self.default_branch)
        return refs

    async def fetch(self, commit_id: str, store: BareRepository, reference: GitReference) -> None:
        """Bring the commit, which ``reference`` has led to, without its history into ``store``.

        Raises: Damaged when the store seems to be what fails; otherwise as ``head``.
        """
        try:
            await self._fetch(store, 1, f"+{commit_id}:{COMMIT_REFS}{commit_id}")
        except Unadvertised:
            log.debug("the server does not give out this commit by its id", url=self.source.url, commit=commit_id[:7])
            await self._fetch_from_history(commit_id, store, reference)

    async def _fetch_from_history(self, commit_id: str, store: BareRepository, reference: GitReference) -> None:
        """For a server that gives out branches only: follow the branch back to the commit."""
        source = self.source
        if reference.branch and not reference.name:
            specs = [f"+refs/heads/{reference.branch}:{_HISTORY_REFS}branch"]
        elif not reference.ref:
            specs = [f"+refs/heads/*:{_HISTORY_REFS}heads/*", f"+refs/tags/*:{_HISTORY_REFS}tags/*"]
        else:
            specs = [f"+{reference.ref}:{_HISTORY_REFS}head"]
        await store.forget(_HISTORY_REFS)
        try:
            for depth in _DEPTHS:
                await self._fetch(store, depth, *specs)
                if await store.has(commit_id):
                    await store.keep(commit_id)
                    return
        except Unadvertised as error:
            raise GitRefMissing(
                f"{source.url} gives out neither commit {commit_id[:7]} nor its branch: {error}"
            ) from error
        finally:
            await store.forget(_HISTORY_REFS)
        raise GitRefMissing(
            f"commit {commit_id[:7]} is not in the history of {source.url}",
            hint="it may have been rewritten by a force-push",
        )

    async def fetch_tag(self, tag_id: str, store: BareRepository) -> None:
        """Bring an annotated tag itself, which nothing keeps from the next ``sweep``. Raises: as ``fetch``."""
        try:
            await self._fetch(store, 1, f"+{tag_id}:{_HISTORY_REFS}tag")
        except Unadvertised as error:
            raise GitRefMissing(f"{self.source.url} has another tag there by now: {error}") from error
        finally:
            await store.forget(_HISTORY_REFS)

    async def _fetch(self, store: BareRepository, depth: int, *specs: str) -> None:
        args = (*_FETCH, f"--depth={depth}", "--", self.source.url, *specs)
        try:
            await self._talk(args, git_dir=store.path, guard=store.guard)
        except StateUnwritable as error:
            raise StateUnwritable(f"{error.message} (in {store.path.parent})", hint=error.hint) from error

    async def missing(self, reference: GitReference) -> GitsyncError:
        """What to raise for a reference that is not there: with what is."""
        source = self.source
        kind = "heads" if reference.ref.startswith("refs/heads/") or reference.ref == HEAD else "tags"
        try:
            refs = await self._list("ls-remote", "--quiet", f"--{kind}", source.url)
        except GitUnavailable as error:
            return GitRefMissing(f"{reference} does not exist at {source.url}", hint=error.message)
        names = [name.removeprefix(f"refs/{kind}/") for name in refs if not name.endswith("^{}")]
        if not refs and (page := await self._page()):
            return no_git(source.url, page)
        if not names and kind == "heads":
            return GitRefMissing(
                f"{source.url} is empty: it has no commit yet",
                hint="push one, or correct the URL",
            )
        near = get_close_matches(reference.ref.removeprefix(f"refs/{kind}/"), names, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are: {listed(sorted(names), 5)}"
        hint = hint if names else "there are no tags"
        return GitRefMissing(f"{reference} does not exist at {source.url}", hint=hint)

    async def _list(self, *args: str) -> dict[str, str]:
        """What ls-remote says; that HEAD leads to a branch as ``ref: HEAD``."""
        answer = await self._talk(args)
        lines = (line.partition("\t") for line in answer.output.decode("utf-8", "replace").splitlines())
        refs = {}
        for found, _, name in lines:
            if found.startswith("ref: "):
                refs[f"ref: {name}"] = found.removeprefix("ref: ").removeprefix("refs/heads/")
            else:
                refs[name] = found
        return refs

    async def _talk(
        self, args: Sequence[str], *, git_dir: Path | None = None, guard: Callable[[], None] | None = None
    ) -> Answer:
        """One conversation; a second one when there is a token and it is not taken the way it was sent."""
        async with self._opened() as source:
            try:
                return await self._talk_as(source, args, git_dir, guard)
            except BrokenOff as error:
                raise await self._broken_off(source, error) from None
            except NoGitAnswer as error:
                page = await self._page_of(source)
                raise (no_git(source.url, page) if page else GitUnavailable(error.message, hint=error.hint)) from None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[GitSource]:
        """The source with what opens it, in files where git wants that."""
        source = self.source
        if self._renewed:
            source = replace(source, credentials=await asyncio.to_thread(self._renewed))
        with in_files(source.access) as access:
            yield replace(source, credentials=access)

    async def _broken_off(self, source: GitSource, error: BrokenOff) -> GitUnavailable:
        """What to raise for a connection that came to nothing."""
        fault = await tls_fault(source)
        if fault is None:
            return GitUnavailable(error.message, hint=error.hint)
        return GitUnavailable(f"no trusted connection to {source.url}: {fault.text}", hint=fault.hint)

    async def _page(self) -> str:
        async with self._opened() as source:
            return await self._page_of(source)

    async def _page_of(self, source: GitSource) -> str:
        """The media type of what the server answers, where that is a page for people; "" else. By one more question."""
        if source.endpoint.transport not in ("http", "https"):
            return ""
        with tempfile.TemporaryDirectory(prefix="gitsync-git-", ignore_cleanup_errors=True) as directory:
            trace = Path(directory, "trace")
            environment = remote_environment(source, None, bearer=self._bearer) | traced(trace)
            args = ("ls-remote", "--quiet", source.url)
            with suppress(GitsyncError):
                await self._run(Command(args, environment, source.timeout, max_output=16 * MIB))
            return await asyncio.to_thread(page_type, trace)

    async def _talk_as(
        self, source: GitSource, args: Sequence[str], git_dir: Path | None, guard: Callable[[], None] | None
    ) -> Answer:
        failure: GitsyncError | Unadvertised | Damaged | None = None
        ways = [self._bearer]
        if source.access.token and source.endpoint.site and not source.access.bearer:
            ways.append(not self._bearer)
        for bearer in ways:
            environment = remote_environment(source, git_dir, bearer=bearer)
            answer = await self._run(Command(args, environment, source.timeout, max_output=16 * MIB, guard=guard))
            if not answer.status:
                self._bearer = bearer
                return answer
            latest = remote_failure(source, answer.complaint)
            if failure is None or not bearer:  # git's own words for a refused bearer token miss the point
                failure = latest
            if not isinstance(latest, GitAuthRefused):
                failure = latest
                break
        assert failure is not None
        if git_dir is None and not isinstance(failure, GitsyncError):
            # No store took part: whatever git could not do, in words that nobody foresaw, is worth another try.
            raise GitUnavailable(f"cannot read {source.url}: {failure}")
        raise failure

    async def _run(self, command: Command) -> Answer:
        url = self.source.url
        try:
            return await self._runner.run(command)
        except TooSlow:
            raise GitUnavailable(
                f"{url} did not answer within {command.timeout:g} s", hint="it is asked again; see also the git timeout"
            ) from None
        except TooMuch:
            raise GitUnavailable(f"{url} lists more branches and tags than gitsync reads") from None
