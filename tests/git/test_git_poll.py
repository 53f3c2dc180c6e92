"""Polling: news once, errors once and then ever more rarely, and back to normal without help."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from gitsync.errors import GitRefMissing, GitsyncError, GitUnavailable
from gitsync.git import GitSource, Mirror, Poller
from tests.git.git_world import Repository, http_git


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class BrokenHttp:
    poller: Poller
    helper: Path
    real: Path

    def answer_with(self, script: str, after: int) -> None:
        """Run ``script`` instead of git's helper, but for the first ``after`` times."""
        count = self.helper.with_name("count")
        count.write_text("")
        self.helper.write_text(
            f"#!/bin/sh\necho >> '{count}'\n"
            f"test $(wc -l < '{count}') -le {after} && exec '{self.real}' \"$@\"\n{script}\n"
        )
        self.helper.chmod(0o755)


def link_all_but(programs: Path, left_out: str, place: Path) -> None:
    place.mkdir()
    for program in programs.iterdir():
        if program.name != left_out:
            (place / program.name).symlink_to(program)


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


@pytest.fixture
async def broken_http(origin: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BrokenHttp]:
    """A repository behind http, and git's own helper for http replaced by a script."""
    origin.commit({"a": "1"})
    real = Path(origin.git("--exec-path"))
    programs = tmp_path / "programs"
    link_all_but(real, "git-remote-http", programs)
    monkeypatch.setenv("GIT_EXEC_PATH", str(programs))
    async with http_git(tmp_path) as server:
        mirror = Mirror(GitSource(f"{server.url}/fleet/.git", branch="main"), tmp_path / "state")
        yield BrokenHttp(Poller(mirror, interval=30), programs / "git-remote-http", real / "git-remote-http")
        await mirror.close()


@pytest.mark.parametrize(
    "words",
    [
        "echo 'fatal: unable to create thread: Resource temporarily unavailable' >&2; exit 128",
        "echo 'fatal: attempting to allocate 536870913 over limit 536870912' >&2; exit 128",
        "echo 'fatal: remote error: want 1 not valid' >&2; exit 128",
        "echo 'what nobody has ever heard of' >&2; exit 1",
        "exit 1",
        "kill -9 $$",
    ],
    ids=["no thread", "endless refs", "not given out", "unheard of", "silent", "killed"],
)
@pytest.mark.parametrize("conversation", ["asking", "fetching"])
async def test_words_that_nobody_knows_are_an_outage_and_no_end_of_the_agent(
    broken_http: BrokenHttp, conversation: str, words: str
) -> None:
    broken_http.answer_with(words, after=0 if conversation == "asking" else 1)
    found = await broken_http.poller.poll()
    assert isinstance(found.error, GitUnavailable)
    assert found.error.message
    assert found.commit is None

    broken_http.answer_with("exit 1", after=1000)
    found = await broken_http.poller.poll()
    assert found.error is None
    assert found.commit is not None


async def test_no_thread_and_no_room_are_an_outage(
    origin: Repository, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit({"a": "1"})

    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for place, fault, words in (
        ("concurrent.futures.ThreadPoolExecutor.submit", no_thread, "can't start new thread"),
        ("subprocess.Popen.__init__", no_room, "No space left on device"),
        ("pathlib.Path.mkdir", no_room, "No space left on device"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, fault)
            error = (await poller.poll()).error
        assert isinstance(error, GitsyncError)
        assert words in error.message
    assert (await poller.poll()).commit is not None


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
