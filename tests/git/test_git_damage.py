"""A mirror that is damaged, half-written, left locked or full of old commits: made good without the caller noticing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gitsync.errors import GitUnavailable
from gitsync.git import GitSource, Mirror
from gitsync.git.failures import Damaged
from tests.git.git_world import Repository, clean_environment


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    origin = Repository.make(tmp_path / "fleet")
    origin.commit({"a": "1", "d/b": "2"})
    return origin


@pytest.fixture
async def mirror(origin: Repository, tmp_path: Path) -> AsyncIterator[Mirror]:
    mirror = Mirror(GitSource(str(origin.path), branch="main", timeout=10), tmp_path / "state")
    yield mirror
    await mirror.close()


async def synced(mirror: Mirror) -> dict[str, bytes]:
    commit = await mirror.fetch(await mirror.head())
    entries = await mirror.tree(commit.id)
    blobs = await mirror.read([entry.blob_id for entry in entries])
    return {entry.path: blobs[entry.blob_id] for entry in entries}


def packs(path: Path) -> list[Path]:
    return sorted(path.glob("objects/pack/*.pack"))


def truncate(*patterns: str) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        for pattern in patterns:
            for file in path.glob(pattern):
                file.chmod(0o600)
                os.truncate(file, file.stat().st_size // 2)

    return damage


def empty(*patterns: str) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        for pattern in patterns:
            for file in path.glob(pattern):
                file.chmod(0o600)
                file.write_bytes(b"")

    return damage


def remove(*patterns: str) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        for pattern in patterns:
            for place in list(path.glob(pattern)):
                shutil.rmtree(place) if place.is_dir() else place.unlink()

    return damage


def scribble(name: str, text: str) -> Callable[[Path], object]:
    return lambda path: (path / name).write_text(text)


def flip_bits(path: Path) -> None:
    for pack in packs(path):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        for place in range(20, len(data) - 20):
            data[place] ^= 0x55
        pack.write_bytes(data)


def a_file_in_its_place(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("not a repository\n")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "packs cut in half": truncate("objects/pack/*.pack"),
    "packs overwritten": flip_bits,
    "indexes cut in half": truncate("objects/pack/*.idx"),
    "objects gone": remove("objects"),
    "HEAD gone": remove("HEAD"),
    "small files emptied": empty("HEAD", "refs/gitsync/*"),
    "config unreadable": scribble("config", "[core\nbare ="),
    "refs gone": remove("refs"),
    "refs pointing nowhere": lambda path: [f.write_text("1" * 40 + "\n") for f in path.glob("refs/gitsync/*")],
    "shallow unreadable": scribble("shallow", "nonsense\n"),
    "all gone": shutil.rmtree,
    "a file in its place": a_file_in_its_place,
}


@pytest.mark.parametrize("few", [0, 16], ids=["many", "few"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_damage_met_while_reading_is_mended(
    mirror: Mirror, damage: Callable[[Path], object], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository.FEW", few)
    commit = await mirror.fetch(await mirror.head())
    tree = await mirror.artifact(commit.id)
    entries = await tree.entries()

    damage(mirror.path)
    blobs = await tree.read([entry.blob_id for entry in entries])
    assert sorted(blobs.values()) == [b"1", b"2"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_damage_met_while_listing_is_mended(mirror: Mirror, damage: Callable[[Path], object]) -> None:
    commit = await mirror.fetch(await mirror.head())
    damage(mirror.path)
    assert [entry.path for entry in await mirror.tree(commit.id)] == ["a", "d/b"]


async def test_a_file_that_is_not_in_the_mirror_is_met_when_it_is_listed_and_fetched(
    origin: Repository, mirror: Mirror
) -> None:
    """Git lists it, without a size."""
    commit = await mirror.fetch(await mirror.head())
    objects = Repository(mirror.path)
    packed = packs(mirror.path)[0].rename(mirror.path / "taken.pack")
    objects.git("unpack-objects", "-q", stdin=packed.read_bytes())
    lost = origin.git("rev-parse", "HEAD:d/b")
    (mirror.path / "objects" / lost[:2] / lost[2:]).unlink()

    with pytest.raises(Damaged, match=f"object {lost} is not there"):
        await mirror._store.listing(commit.id)
    assert [(entry.path, entry.size) for entry in await mirror.tree(commit.id)] == [("a", 1), ("d/b", 1)]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_damage_met_while_fetching_is_mended(
    origin: Repository, mirror: Mirror, damage: Callable[[Path], object]
) -> None:
    await synced(mirror)
    origin.commit({"a": "new"})
    damage(mirror.path)
    assert await synced(mirror) == {"a": b"new", "d/b": b"2"}
    assert not mirror.path.with_suffix(".new").exists()
    assert not mirror.path.with_suffix(".old").exists()


async def test_a_mirror_is_not_given_up_before_the_new_one_is_complete(origin: Repository, mirror: Mirror) -> None:
    commit = await mirror.fetch(await mirror.head())
    entries = {entry.path: entry.blob_id for entry in await mirror.tree(commit.id)}
    origin.path.rename(origin.path.with_name("away"))
    (mirror.path / "refs" / "gitsync" / commit.id).unlink()  # so that it must be fetched

    with pytest.raises(GitUnavailable, match="there is no repository"):
        await mirror.fetch(commit.id)
    assert await mirror.read([entries["a"]]) == {entries["a"]: b"1"}


async def test_damage_that_cannot_be_mended_is_said(origin: Repository, mirror: Mirror) -> None:
    with pytest.raises(GitUnavailable, match="does not hold these files"):
        await mirror.read(["1" * 40])
    await synced(mirror)
    with pytest.raises(GitUnavailable, match="cannot be read, nor fixed: object 1111"):
        await mirror.read(["1" * 40])
    assert await synced(mirror) == {"a": b"1", "d/b": b"2"}


async def test_readers_that_meet_the_same_damage_mend_it_once(origin: Repository, mirror: Mirror) -> None:
    commit = await mirror.fetch(await mirror.head())
    blob_ids = [entry.blob_id for entry in await mirror.tree(commit.id)]
    (pack,) = packs(mirror.path)
    pack.chmod(0o600)
    data = pack.read_bytes()
    pack.write_bytes(data[:-24] + bytes(4) + data[-20:])  # files come last in a pack: the last one is broken

    found = await asyncio.gather(*(mirror.read(blob_ids) for _ in range(5)))

    assert found == [dict(zip(blob_ids, (b"1", b"2"), strict=True))] * 5
    assert mirror._generation == 1


async def test_locks_and_half_files_of_a_killed_git_are_no_obstacle(origin: Repository, mirror: Mirror) -> None:
    await synced(mirror)
    new = origin.commit({"a": "new"})
    left = ["shallow.lock", "config.lock", "HEAD.lock", f"refs/gitsync/{new}.lock", "packed-refs.lock",
            "objects/pack/tmp_pack_abc123", "objects/pack/pack-1.keep", "objects/tmp_objdir-incoming-x/f"]  # fmt: skip
    for name in left:
        file = mirror.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    packs_before = packs(mirror.path)

    assert (await synced(mirror))["a"] == b"new"
    assert set(packs_before) < set(packs(mirror.path))  # it was no reason to make the mirror anew
    assert [name for name in left if (mirror.path / name).exists()] == []


async def test_a_git_killed_in_the_middle_of_a_fetch_leaves_a_mirror_that_works(
    origin: Repository, tmp_path: Path
) -> None:
    origin.commit({f"noise{number}": os.urandom(200_000) for number in range(5)})
    mirror = Mirror(GitSource(str(origin.path), branch="main"), tmp_path / "state")
    head = await mirror.head()
    for moment in (0.001, 0.005, 0.01, 0.02, 0.03):
        with suppress(TimeoutError):  # a quick machine is done by then
            await asyncio.wait_for(mirror.fetch(head), moment)
    assert len(await synced(mirror)) == 7
    await mirror.close()


async def test_old_commits_do_not_pile_up(origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitsync.git.mirror.SLACK", 3)
    commits = []
    for number in range(9):
        commits.append(origin.commit({"a": f"version {number}\n" + os.urandom(5000).hex()}))
        await synced(mirror)
        await mirror.head()  # the poll without news

    kept = Repository(mirror.path).git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/gitsync").split()
    objects = Repository(mirror.path).git("cat-file", "--batch-all-objects", "--batch-check")
    assert set(commits[-2:]) <= set(kept)
    assert len(kept) <= 2 + 3 + 1
    assert sum(commit_id in objects for commit_id in commits) == len(kept)
    assert len(packs(mirror.path)) <= 2 + 3 + 1
    shallow = (mirror.path / "shallow").read_text().split()
    assert set(shallow) == set(kept)
    assert (await mirror.info(commits[-2])).id == commits[-2]
    assert (await mirror.info(commits[0])).id == commits[0]  # and one that was dropped is fetched again


async def test_a_repository_that_is_never_quiet_is_tidied_too(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.mirror.SLACK", 1)
    for number in range(8):
        await mirror.fetch(origin.commit({"a": str(number)}))
    kept = Repository(mirror.path).git("for-each-ref", "--format=%(refname)", "refs/gitsync").split()
    assert len(kept) < 8


async def test_two_mirrors_of_one_repository_take_turns(origin: Repository, tmp_path: Path) -> None:
    mirrors = [Mirror(GitSource(str(origin.path), branch="main"), tmp_path / "state") for _ in range(3)]
    found = await asyncio.gather(*(synced(mirror) for mirror in mirrors))
    assert found == [{"a": b"1", "d/b": b"2"}] * 3
    for mirror in mirrors:
        await mirror.close()


async def test_a_mirror_held_by_another_process_is_waited_for_and_then_named(
    origin: Repository, tmp_path: Path
) -> None:
    mirror = Mirror(GitSource(str(origin.path), branch="main", timeout=0.3), tmp_path / "state")
    head = await mirror.head()
    lock = mirror.path.with_suffix(".lock")
    lock.parent.mkdir()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(GitUnavailable, match="another gitsync holds the mirror"):
            await mirror.fetch(head)
        waiting = asyncio.create_task(mirror.fetch(head))
        await asyncio.sleep(0.1)  # time in which it finds the lock taken
    assert (await waiting).id == head
    await mirror.close()


async def test_a_repository_of_another_user_can_be_read(origin: Repository, mirror: Mirror) -> None:
    """git refuses those ("dubious ownership") unless told otherwise, and to upload-pack that is hard to tell."""
    from gitsync.git.environment import remote_environment

    environment = clean_environment() | remote_environment(mirror.source, None, bearer=False)
    foreign = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}

    async def listed(environment: dict[str, str]) -> str:
        process = await asyncio.create_subprocess_exec(
            "git", "ls-remote", mirror.source.url, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return (await process.communicate())[0].decode()

    assert "dubious ownership" in await listed(clean_environment() | foreign)
    assert await mirror.head() in await listed(environment | foreign)
