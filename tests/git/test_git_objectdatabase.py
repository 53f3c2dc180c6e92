"""Files read through GitPython's kept git: quickly, within bounds, and with nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.errors import GitRefused, GitUnavailable
from gitsync.git import GitSource, Mirror
from gitsync.git.barerepository import BareRepository
from gitsync.git.command import Runner
from gitsync.git.failures import Damaged
from tests.git.git_world import Repository
from tests.until import until


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    origin = Repository.make(tmp_path / "fleet")
    origin.commit({"a": "1", "b": "2", "empty": "", "large": b"x" * (5 << 20)})
    return origin


@pytest.fixture
async def store(origin: Repository) -> AsyncIterator[BareRepository]:
    runner = Runner()
    store = BareRepository(origin.git_dir, runner)
    yield store
    await runner.close()
    await store.close()


def blob(origin: Repository, path: str) -> str:
    return origin.git("rev-parse", f"HEAD:{path}")


def kept(store: BareRepository) -> int:
    """The number of the git that answers for the files of ``store``."""
    process = store._objects.open().cat_file_all
    assert process is not None
    return int(process.pid)


def is_running(number: int) -> bool:
    return Path(f"/proc/{number}").exists()


def variables(number: int) -> dict[str, str]:
    lines = Path(f"/proc/{number}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


async def test_one_git_answers_for_file_after_file(origin: Repository, store: BareRepository) -> None:
    a, empty, large = blob(origin, "a"), blob(origin, "empty"), blob(origin, "large")
    assert await store.read([a, empty, a]) == {a: b"1", empty: b""}
    first = kept(store)
    assert await store.read([large], {large: 5 << 20}) == {large: b"x" * (5 << 20)}

    origin.commit({"new": "later"})  # and for what comes later
    assert await store.read([blob(origin, "new"), a]) == {blob(origin, "new"): b"later", a: b"1"}
    assert kept(store) == first


async def test_nothing_of_our_environment_reaches_it(
    origin: Repository, store: BareRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {"GIT_DIR": "/nowhere", "GIT_OBJECT_DIRECTORY": "/nowhere", "GIT_TRACE": str(tmp_path / "trace"),
               "GIT_COMMON_DIR": str(tmp_path), "GIT_NAMESPACE": "other"}  # fmt: skip
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    a = blob(origin, "a")
    assert await store.read([a]) == {a: b"1"}
    given = variables(kept(store))
    assert given["GIT_DIR"] == str(origin.git_dir)
    assert given["GIT_ALLOC_LIMIT"]
    assert not given.keys() & (hostile.keys() - {"GIT_DIR"})
    assert not (tmp_path / "trace").exists()


async def test_it_ends_when_closed_and_when_a_poll_brings_no_news(origin: Repository, tmp_path: Path) -> None:
    mirror = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    tree = await mirror.artifact((await mirror.fetch(await mirror.head())).id)
    (a, *_) = [entry.blob_id for entry in await tree.entries()]
    for end in (mirror.head, mirror.close):
        assert await tree.read([a]) == {a: b"1"}
        number = kept(mirror._store)
        await end()
        assert not is_running(number)


async def test_it_is_started_again_when_it_was_killed(origin: Repository, tmp_path: Path) -> None:
    mirror = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    tree = await mirror.artifact((await mirror.fetch(await mirror.head())).id)
    entries = {entry.path: entry.blob_id for entry in await tree.entries()}
    await tree.read([entries["a"]])
    os.kill(kept(mirror._store), signal.SIGKILL)

    assert await tree.read([entries["b"]]) == {entries["b"]: b"2"}
    assert mirror._generation == 0  # no reason to fetch everything again
    await mirror.close()


async def test_one_that_hangs_is_given_up(
    origin: Repository, store: BareRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository._TIMEOUT", 0.3)
    a = blob(origin, "a")
    await store.read([a])
    number = kept(store)
    os.kill(number, signal.SIGSTOP)
    with pytest.raises(GitUnavailable, match=r"took longer than 0.3 s"):
        await store.read([a])
    assert not is_running(number)
    assert await store.read([a]) == {a: b"1"}


async def test_a_cancelled_reading_ends_it_and_the_next_one_begins_anew(
    origin: Repository, store: BareRepository
) -> None:
    a = blob(origin, "a")
    await store.read([a])
    number = kept(store)
    os.kill(number, signal.SIGSTOP)
    reading = asyncio.create_task(store.read([a]))
    await until(lambda: bool(store._runner._running))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not is_running(number)
    assert await store.read([a]) == {a: b"1"}


async def test_closing_ends_a_reading_that_hangs(origin: Repository, store: BareRepository) -> None:
    a = blob(origin, "a")
    await store.read([a])
    os.kill(kept(store), signal.SIGSTOP)
    reading = asyncio.create_task(store.read([a]))
    await until(lambda: bool(store._runner._running))
    await store._runner.close()
    with pytest.raises(GitUnavailable, match="gitsync is closing"):
        await reading


async def test_files_that_are_too_large_together_are_not_asked_for(
    origin: Repository, store: BareRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository.MAX_READ", 1 << 20)
    for sizes in ({}, {blob(origin, "large"): 5 << 20, blob(origin, "a"): 1}):
        with pytest.raises(GitRefused, match="files of this commit are larger than 1 MiB"):
            await store.read([blob(origin, "a"), blob(origin, "large")], sizes)
    assert await store.read([blob(origin, "a")]) == {blob(origin, "a"): b"1"}


async def test_what_is_no_file_or_not_what_was_said_is_not_given(origin: Repository, store: BareRepository) -> None:
    a, large = blob(origin, "a"), blob(origin, "large")
    with pytest.raises(ValueError, match="is a tree, not a file"):
        await store.read([origin.git("rev-parse", "HEAD^{tree}")])
    with pytest.raises(Damaged, match=f"object {'1' * 40} cannot be read"):
        await store.read(["1" * 40])
    for blob_id, said in ((large, 3), (large, 0), (a, 5000)):
        with pytest.raises(Damaged, match=f"object {blob_id} is cut short"):
            await store.read([blob_id], {blob_id: said})
    assert await store.read([a]) == {a: b"1"}


def pack_with_a_small_file_out_of_a_huge_one(size: int) -> tuple[bytes, str]:
    """A pack of 1 KB for each MiB of zeros that git has to unfold to get at ten bytes, and the id of these."""

    def head(kind: int, length: int) -> bytes:
        first, length = kind << 4 | length & 15, length >> 4
        out = b""
        while length:
            out, first, length = out + bytes([first | 0x80]), length & 0x7F, length >> 7
        return out + bytes([first])

    def number(value: int) -> bytes:
        out = b""
        while value >= 0x80:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    zeros = b"\0" * size
    base = hashlib.sha1(b"blob %d\0" % size + zeros).digest()
    delta = number(size) + number(10) + bytes([0x90, 10])  # copy ten bytes from the start
    pack = b"PACK" + struct.pack(">II", 2, 2) + head(3, size) + zlib.compress(zeros)
    pack += head(7, len(delta)) + base + zlib.compress(delta)
    return pack + hashlib.sha1(pack).digest(), hashlib.sha1(b"blob 10\0" + b"\0" * 10).hexdigest()


@pytest.mark.parametrize("few", [0, 16], ids=["many", "few"])
async def test_a_small_file_made_out_of_a_huge_one_is_refused_within_gits_limit_of_memory(
    origin: Repository, store: BareRepository, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository.FEW", few)
    pack, small = pack_with_a_small_file_out_of_a_huge_one(48 << 20)
    origin.git("index-pack", "--stdin", stdin=pack)
    assert await store.read([small]) == {small: bytes(10)}
    await store.close()

    monkeypatch.setattr("gitsync.git.environment.MEMORY_LIMIT", "32m")
    with pytest.raises(Damaged, match=f"object {small} "):
        await store.read([small], {small: 10})
    assert await store.read([blob(origin, "a")]) == {blob(origin, "a"): b"1"}
