"""A repository on this machine: hear of its commits at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from gitsync.errors import GitUnavailable
from gitsync.git.library import git_python

log = structlog.get_logger(__name__)

#: How often to look for a repository that is not there (any more), in seconds.
_GONE = 1.0
#: Quiet for so long, in milliseconds: git has finished its flurry of renames.
_QUIET = 50
_AT_MOST = 200

#: The files that say where branches and tags are, beside those below refs/ (tables.list: the reftable format).
_FILES = frozenset({"HEAD", "packed-refs", "tables.list"})


@dataclass(frozen=True, slots=True)
class _Places:
    """The directories to watch. Each for itself: below ``objects`` a thousand directories change without any news."""

    tops: frozenset[Path]
    refs: frozenset[Path]

    def matters(self, _change: Change, changed: str) -> bool:
        file = Path(changed)
        return file.name in _FILES or (file.parent in self.refs and file.suffix != ".lock")


async def watch_local(path: Path) -> AsyncGenerator[None, None]:
    """Yields when a branch, a tag or HEAD of the repository at ``path`` may have moved; first as soon as it is watched.

    The first yield closes the gap between the last look at the repository and the watch. Bare repositories and
    worktrees (where ``.git`` is a file) are understood. A repository that is removed is waited for.

    Raises: GitUnavailable when the system gives no more watches: polling goes on without it.
    """
    while True:
        places = await asyncio.to_thread(_places, path)
        if not places:
            await asyncio.sleep(_GONE)
            continue
        watched = sorted(places.tops | places.refs)
        watcher = awatch(*watched, watch_filter=places.matters, recursive=False, debounce=_AT_MOST, step=_QUIET)
        try:
            async with aclosing(watcher):
                upcoming = asyncio.ensure_future(anext(watcher))
                try:
                    await asyncio.sleep(0)  # from here on it watches, or has failed
                    if not upcoming.done():
                        yield
                    # One change only: it may have been a folder of branches, or the whole repository, made anew.
                    await upcoming
                finally:
                    upcoming.cancel()
                    await asyncio.wait([upcoming])
                    if not upcoming.cancelled():
                        upcoming.exception()  # nobody else may have looked at it
        except FileNotFoundError:
            log.debug("the local repository is going away", path=str(path))
        except OSError as error:
            raise GitUnavailable(
                f"{path} cannot be watched: {error}", hint="raise fs.inotify.max_user_instances; it is polled meanwhile"
            ) from error


def _places(path: Path) -> _Places | None:
    """Where the repository at ``path`` keeps its branches; None when there is no repository."""
    git = git_python()
    try:
        with git.Repo(path, expand_vars=False) as repository:
            own, common = Path(repository.git_dir).absolute(), Path(repository.common_dir).absolute()
        root = common / "refs"
        tops = {own, common, own / "reftable", common / "reftable"}
        refs = [place for place in root.rglob("*") if place.is_dir() and "remotes" not in place.relative_to(root).parts]
        return _Places(frozenset(place for place in tops if place.is_dir()), frozenset([root, *refs]))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, FileNotFoundError):
        return None
