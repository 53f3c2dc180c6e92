"""Hearing of local commits at once."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from gitsync.git import watch_local
from tests.git.git_world import Repository, until


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[AsyncGenerator[None, None]]:
    async with aclosing(watch_local(path)) as watch:
        await asyncio.wait_for(anext(watch), 5)  # the first says that the watch stands
        yield watch


async def heard(watch: AsyncGenerator[None, None]) -> float:
    started = time.monotonic()
    await asyncio.wait_for(anext(watch), 5)
    return time.monotonic() - started


async def quiet(watch: AsyncGenerator[None, None]) -> bool:
    upcoming = asyncio.ensure_future(anext(watch))
    done, _ = await asyncio.wait([upcoming], timeout=0.4)
    upcoming.cancel()
    await asyncio.wait([upcoming])
    return not done


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    # "remotes" and "refs" mean something inside a repository only.
    repository = Repository.make(tmp_path / "remotes" / "refs" / "fleet")
    repository.commit({"a": "1"})
    return repository


async def test_a_commit_is_heard_of_at_once(repository: Repository) -> None:
    async with watching(repository.path) as watch:
        repository.commit({"a": "2"})
        assert await heard(watch) < 2


@pytest.mark.parametrize(
    "change",
    [
        ["branch", "feature/new/deep"],
        ["tag", "v1"],
        ["pack-refs", "--all"],
        ["checkout", "--quiet", "-b", "other"],
        ["symbolic-ref", "HEAD", "refs/heads/elsewhere"],
    ],
    ids=" ".join,
)
async def test_every_way_to_move_a_branch_is_heard_of(repository: Repository, change: list[str]) -> None:
    async with watching(repository.path) as watch:
        repository.git(*change)
        await heard(watch)


async def test_a_branch_in_a_new_folder_is_heard_of_when_it_moves_on(repository: Repository) -> None:
    async with watching(repository.path) as watch:
        repository.git("branch", "feature/new")
        await heard(watch)
        while not await quiet(watch):
            pass
    async with watching(repository.path) as watch:
        repository.git("branch", "--force", "feature/new", repository.commit({"a": "2"}))
        await heard(watch)


async def test_a_push_to_a_bare_repository_and_a_commit_in_a_worktree(repository: Repository, tmp_path: Path) -> None:
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    async with watching(tmp_path / "bare.git") as watch:
        repository.commit({"a": "2"})
        repository.git("push", "--quiet", str(tmp_path / "bare.git"), "main")
        await heard(watch)

    repository.git("worktree", "add", "--quiet", str(tmp_path / "worktree"), "-b", "side")
    assert (tmp_path / "worktree" / ".git").is_file()
    async with watching(tmp_path / "worktree") as watch:
        Repository(tmp_path / "worktree").commit({"a": "3"})
        await heard(watch)
        while not await quiet(watch):
            pass


async def test_work_that_moves_no_branch_is_not_heard_of(repository: Repository) -> None:
    repository.git("update-ref", "refs/remotes/upstream/main", "HEAD")
    async with watching(repository.path) as watch:
        (repository.path / "b").write_text("not committed")
        repository.git("add", "b")
        repository.git("hash-object", "-w", "--stdin", stdin=b"an object")
        repository.git(
            "update-ref", "refs/remotes/upstream/main", repository.git("commit-tree", "HEAD^{tree}", "-m", "x")
        )
        assert await quiet(watch)


async def test_a_repository_that_is_made_later_or_anew_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later"
    async with aclosing(watch_local(path)) as watch:
        first = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0.1)
        assert not first.done()
        Repository.make(path).commit({"a": "1"})
        await asyncio.wait_for(first, 5)

        shutil.rmtree(path)
        Repository.make(path).commit({"a": "2"})
        await heard(watch)
        while not await quiet_once(watch):
            pass


async def quiet_once(watch: AsyncGenerator[None, None]) -> bool:
    return await quiet(watch)


async def test_a_cancelled_watch_leaves_no_thread_behind(repository: Repository) -> None:
    before = threading.active_count()

    async def follow() -> None:
        async for _ in watch_local(repository.path):
            pass

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    started = time.monotonic()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert time.monotonic() - started < 1
    await until(lambda: threading.active_count() <= before + 2)  # anyio and asyncio keep an idle worker each
