"""What ``validate`` and ``graph`` read: a working tree on this machine, or a commit of any repository."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import which
from typing import TYPE_CHECKING

from gitsync.api.identity import CommitInfo, Origin
from gitsync.cli.common.output import progress
from gitsync.errors import GitRefused
from gitsync.git.links import expand
from gitsync.git.listing import Item, Kind
from gitsync.git.source import cloned_from, redacted_url
from gitsync.manifests import Desired
from gitsync.tree import Entries
from gitsync.tree import Tree as FileTree

if TYPE_CHECKING:
    from gitsync.preview.kustomizations import WholeCommit
    from gitsync.settings import Settings

_LISTING_TIMEOUT = 30.0
#: Keeps ``git ls-files`` from starting what the repository's own configuration names.
_NO_PROGRAMS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a repository. ``path`` is the directory with the manifests, "" for the root. ``shown`` turns a
    path in the repository into one that the user's editor finds from the present directory. ``url`` is the
    repository's URL, or that of which it is a clone, without a login; "" when neither is known."""

    commit: CommitInfo
    files: FileTree
    path: str
    shown: Callable[[str], str]
    url: str = ""

    async def whole(self, settings: Settings) -> tuple[Desired, WholeCommit]:
        """All objects that the files want, those that Kustomizations build included; and the Kustomizations."""
        from gitsync.agent.parts import directories, open_chart_repositories
        from gitsync.charts.workers import Workers
        from gitsync.preview.kustomizations import WholeCommit
        from gitsync.sources.unpacking import Unpacker

        async with AsyncExitStack() as stack:
            repositories = None
            if settings.allow_remote_bases:
                repositories = await stack.enter_async_context(open_chart_repositories(settings))
                unpacker = repositories.unpacker
            else:
                workers = Workers()
                stack.push_async_callback(workers.close)
                unpacker = Unpacker(workers)
            reader = directories(settings, repositories)
            whole = WholeCommit(reader.builder, unpacker, self.path)
            has_keys = bool(settings.sops_age_secret)
            root = await whole.directory(reader, self.commit, self.files, has_keys=has_keys)
            return await whole.read(root), whole

    def place(self, origin: Origin) -> str:
        """``file:line:column`` for people."""
        return str(Origin(self.shown(origin.path), origin.line, origin.column))


@asynccontextmanager
async def open_tree(target: str, settings: Settings) -> AsyncIterator[Tree]:
    """The files of ``target``: a directory's own when it is one and no branch, tag or commit is asked for, else those
    of that commit of the repository; "" is the repository of the settings, else the present directory.

    Raises: GitRefused, GitUnavailable.
    """
    target = target or settings.repo or "."
    if await asyncio.to_thread(Path(target).is_file):
        raise GitRefused(f"{target} is a file", hint="name the directory that holds it: a file alone is no repository")
    if not (settings.branch or settings.tag or settings.commit) and await asyncio.to_thread(_is_working_tree, target):
        yield await asyncio.to_thread(_working_tree, Path(target), settings.path)
        return
    from gitsync.agent.parts import open_mirror

    async with open_mirror(settings.model_copy(update={"repo": target})) as mirror:
        source = mirror.source
        if source.local_path is not None and not await asyncio.to_thread(source.local_path.exists):
            raise GitRefused(f"there is no directory {target}", hint=f"correct the path; this is {Path.cwd()}")
        with progress(f"reading {source.wanted} of {redacted_url(source.url)}"):
            commit = await mirror.fetch(await mirror.head())
            files = await mirror.artifact(commit.id)
        yield Tree(commit, files, settings.path, lambda path: path, redacted_url(mirror.cloned_from or source.url))


def with_own_repository(settings: Settings) -> Settings:
    """Settings that name no repository, with that of the present directory. Raises: GitRefused when it is in none."""
    if settings.repo:
        return settings
    here = Path.cwd()
    top = _git(here, "rev-parse", "--show-toplevel")
    if top is None and _git(here, "rev-parse", "--git-dir") is None and which("git"):
        raise GitRefused(
            f"{here} is in no Git repository", hint="run this in a checkout, or name a repository with --repo"
        )
    # A bare repository has no top. Without the program git there is none either: the code that needs git says so.
    return settings.model_copy(update={"repo": os.fsdecode(top).removesuffix("\n") if top else "."})


def resolved(target: str, revision: str) -> str | None:
    """The id of the commit that git understands by ``revision``, such as ``HEAD~2``, in a repository on this machine.
    None when the repository is elsewhere, or has no such commit."""
    if not Path(target).is_dir():
        return None
    found = _git(Path(target), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return found.decode().strip() if found else None


def _is_working_tree(target: str) -> bool:
    """Whether ``target`` is a directory with files to read, and not a bare repository, which has commits only."""
    path = Path(target)
    return path.is_dir() and not ((path / "HEAD").is_file() and (path / "objects").is_dir())


def _working_tree(directory: Path, path: str) -> Tree:
    wanted = directory.resolve() / path
    if not wanted.is_dir():
        raise GitRefused(f"there is no directory {path!r} in {directory}")
    top, names = _listed(wanted)

    async def read(paths: Sequence[str]) -> dict[str, bytes]:
        return await asyncio.to_thread(lambda: {name: (top / name).read_bytes() for name in paths})

    below = wanted.resolve().relative_to(top)
    return Tree(
        commit=CommitInfo("", subject="working tree"),
        files=FileTree("", _entries(top, names), read),
        path="" if below == Path() else below.as_posix(),
        shown=lambda name: os.path.relpath(top / name),
        url=redacted_url(cloned_from(top)),
    )


def _listed(directory: Path) -> tuple[Path, list[str]]:
    """The repository's root and its files, committed or not, without ignored ones. A directory that is in no
    repository counts as the root of one.
    """
    top = _git(directory, "rev-parse", "--show-toplevel")
    if top is None:
        return directory.resolve(), _walk(directory)
    root = Path(os.fsdecode(top).removesuffix("\n")).resolve()
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = os.fsdecode(listed).split("\0") if listed is not None else _walk(root)
    return root, sorted({name for name in names if name})


def _git(directory: Path, *arguments: str) -> bytes | None:
    """What git prints; None when ``directory`` is in no repository, or there is no git: its files can still be read."""
    command = ["git", "-C", str(directory), *_NO_PROGRAMS, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and a path behind -C
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LISTING_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _walk(directory: Path) -> list[str]:
    names = []
    for current, folders, files in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if folder != ".git")
        inside = Path(current).relative_to(directory)
        names += [(inside / file).as_posix() for file in files]
    return sorted(names)


def _kind(mode: int) -> Kind | None:
    """The kind of entry that a commit would have for a file with this mode; None for a device or a socket."""
    if stat.S_ISLNK(mode):
        return Kind.LINK
    if stat.S_ISREG(mode):
        return Kind.FILE
    return Kind.SUBMODULE if stat.S_ISDIR(mode) else None  # git lists files, and directories only of other repositories


def _entries(top: Path, names: Sequence[str]) -> Entries:
    """The files at these paths, with symbolic links followed as in a commit. Their ids are their paths."""
    items = {}
    targets = {}
    for name in names:
        name = name.removesuffix("/")  # a repository inside of this one
        try:
            status = (top / name).lstat()
            if stat.S_ISLNK(status.st_mode):
                targets[name] = os.fsencode((top / name).readlink())
        except OSError:
            continue  # a deleted file is still listed by git
        kind = _kind(status.st_mode)
        if kind is None:
            continue
        items[name] = Item(name, kind, name, status.st_size)
        for folder in PurePosixPath(name).parents[:-1]:
            items[str(folder)] = Item(str(folder), Kind.DIRECTORY, str(folder), 0)
    return expand("", [items[path] for path in sorted(items)], targets).entries
