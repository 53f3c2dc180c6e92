"""Hearing of local commits at once."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gitsync.git import watch_local
from tests.git.git_world import Repository
from tests.until import until


class Listener:
    """Counts what ``watch_local`` yields."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    async def listen(self) -> None:
        async for _ in watch_local(self.path):
            self.count += 1

    async def hears(self) -> None:
        """There is news, now or soon; counting starts anew."""
        await until(lambda: self.count > 0)
        self.count = 0

    async def settles(self) -> None:
        """Nothing more is to come of what has happened so far."""
        while True:
            self.count = 0
            await asyncio.sleep(0.3)  # that there is nothing more has no event
            if not self.count:
                return


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Listener]:
    listener = Listener(path)
    listening = asyncio.create_task(listener.listen())
    try:
        await until(lambda: listener.count > 0)  # the first says that the watch stands
        listener.count = 0
        yield listener
    finally:
        listening.cancel()
        await asyncio.wait([listening])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    # "remotes" and "refs" mean something inside a repository only.
    repository = Repository.make(tmp_path / "remotes" / "refs" / "fleet")
    repository.commit({"a": "1"})
    return repository


async def test_a_commit_is_heard_of_at_once(repository: Repository) -> None:
    async with watching(repository.path) as watch:
        repository.commit({"a": "2"})
        await watch.hears()


@pytest.mark.parametrize(
    "change",
    [
        ["branch", "feature/new/deep"],
        ["tag", "v1"],
        ["pack-refs", "--all"],
        ["symbolic-ref", "HEAD", "refs/heads/elsewhere"],
    ],
    ids=" ".join,
)
async def test_every_way_to_move_a_branch_is_heard_of(repository: Repository, change: list[str]) -> None:
    async with watching(repository.path) as watch:
        repository.git(*change)
        await watch.hears()


async def test_a_branch_in_a_new_folder_is_heard_of_when_it_moves_on(repository: Repository) -> None:
    async with watching(repository.path) as watch:
        repository.git("branch", "feature/new")
        await watch.hears()
        await watch.settles()
        repository.git("update-ref", "refs/heads/feature/new", repository.git("commit-tree", "HEAD^{tree}", "-m", "x"))
        await watch.hears()


async def test_a_push_to_a_bare_repository_and_a_commit_in_a_worktree(repository: Repository, tmp_path: Path) -> None:
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    repository.git("worktree", "add", "--quiet", str(tmp_path / "worktree"), "-b", "side")
    assert (tmp_path / "worktree" / ".git").is_file()
    async with watching(tmp_path / "bare.git") as bare, watching(tmp_path / "worktree") as worktree:
        repository.commit({"a": "2"})
        repository.git("push", "--quiet", str(tmp_path / "bare.git"), "main")
        await bare.hears()
        await worktree.settles()
        Repository(tmp_path / "worktree").commit({"a": "3"})
        await worktree.hears()


async def test_work_that_moves_no_branch_is_not_heard_of(repository: Repository) -> None:
    repository.git("update-ref", "refs/remotes/upstream/main", "HEAD")
    other = repository.git("commit-tree", "HEAD^{tree}", "-m", "x")
    async with watching(repository.path) as watch:
        (repository.path / "b").write_text("not committed")
        repository.git("add", "b")
        repository.git("hash-object", "-w", "--stdin", stdin=b"an object")
        repository.git("update-ref", "refs/remotes/upstream/main", other)
        await asyncio.sleep(0.4)  # time in which it could be heard of
        assert watch.count == 0


async def test_a_repository_that_is_made_later_or_anew_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later"
    listener = Listener(path)
    listening = asyncio.create_task(listener.listen())
    await asyncio.sleep(0.1)  # time in which it could take something for a repository
    assert listener.count == 0
    Repository.make(path).commit({"a": "1"})
    await listener.hears()

    shutil.rmtree(path)
    Repository.make(path).commit({"a": "2"})
    await listener.hears()
    await listener.settles()
    Repository(path).commit({"a": "3"})
    await listener.hears()
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_cancelled_watch_leaves_no_thread_behind(repository: Repository) -> None:
    before = threading.active_count()
    async with watching(repository.path):
        pass
    await until(lambda: threading.active_count() <= before + 2)  # anyio and asyncio keep an idle worker each
