"""Polling: news once, errors once and then ever more rarely, and back to normal without help."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from gitsync.errors import GitRefMissing, GitUnavailable
from gitsync.git import GitSource, Mirror, Poller
from tests.git.git_world import Repository


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "fleet")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def poller(origin: Repository, tmp_path: Path, clock: Clock) -> AsyncIterator[Poller]:
    mirror = Mirror(GitSource(str(origin.path), branch="main"), tmp_path / "state")
    yield Poller(mirror, interval=30, clock=clock)
    await mirror.close()


async def test_a_commit_is_news_once(origin: Repository, poller: Poller) -> None:
    first = origin.commit({"a": "1"}, "the first")
    found = await poller.poll()
    assert found.commit is not None
    assert (found.commit.id, found.commit.subject, found.error, found.report) == (first, "the first", None, False)
    assert 27 <= found.next_in <= 33

    assert (await poller.poll()).commit is None

    second = origin.commit({"a": "2"})
    third = await poller.poll()
    assert third.commit is not None
    assert third.commit.id == second


async def test_an_outage_is_reported_at_once_then_ever_more_rarely_and_when_it_ends(
    origin: Repository, poller: Poller, clock: Clock
) -> None:
    origin.commit({"a": "1"})
    await poller.poll()
    origin.path.rename(origin.path.with_name("away"))

    reported, waits, began = [], [], clock.now
    while clock.now - began < 1000:
        found = await poller.poll()
        assert isinstance(found.error, GitUnavailable)
        assert found.commit is None
        assert found.outage == clock.now - began
        if found.report:
            reported.append(found.outage)
        waits.append(found.next_in)
        clock.now += found.next_in

    assert reported[0] == 0
    gaps = [later - earlier for earlier, later in pairwise(reported)]
    assert len(gaps) >= 3
    for gap, due in zip(gaps, (60, 120, 240, 480), strict=False):
        assert due <= gap <= due + 66  # at the first poll thereafter
    assert waits[0] < 2.5
    assert all(earlier < later for earlier, later in pairwise(waits[:5]))
    assert all(54 <= wait <= 66 for wait in waits[6:])

    origin.path.with_name("away").rename(origin.path)
    clock.now += 1
    found = await poller.poll()
    assert (found.error, found.commit, found.report, found.outage) == (None, None, True, clock.now - began)
    found = await poller.poll()
    assert (found.report, found.outage) == (False, 0)


async def test_another_kind_of_error_is_reported_at_once(origin: Repository, poller: Poller) -> None:
    first = await poller.poll()
    assert isinstance(first.error, GitRefMissing)
    origin.path.rename(origin.path.with_name("away"))
    second = await poller.poll()
    assert not isinstance(second.error, GitRefMissing)
    assert [first.report, second.report, (await poller.poll()).report] == [True, True, False]


async def test_a_commit_that_could_not_be_fetched_is_still_news_afterwards(
    origin: Repository, poller: Poller, tmp_path: Path
) -> None:
    commit_id = origin.commit({"a": "1"})
    state = tmp_path / "state"
    state.write_text("in the way")
    assert (await poller.poll()).error is not None
    state.unlink()
    found = await poller.poll()
    assert found.commit is not None
    assert found.commit.id == commit_id
