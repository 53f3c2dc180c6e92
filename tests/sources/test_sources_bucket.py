"""Buckets of a real S3 server: which objects are in an artifact, and that each is fetched once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.errors import ArtifactError, SourceError, SourceUnavailable
from gitsync.http import Connection
from gitsync.s3 import Item, Place
from gitsync.sources.bucket import BucketSpec
from gitsync.sources.bucket.choice import MAX_BYTES, MAX_FILES, chosen
from gitsync.sources.helm import ChartRepositories
from tests.controlplane.s3 import KEYS, REGION, S3


class World:
    """A bucket of its own."""

    def __init__(self, s3: S3, bucket: str, directory: Path) -> None:
        self.s3, self.bucket, self._directory = s3, bucket, directory
        self.fetched = ChartRepositories(directory)
        s3.make(bucket)

    def spec(self, prefix: str = "", ignore: str | None = None) -> BucketSpec:
        place = Place(self.s3.host, self.bucket, REGION, KEYS, Connection(ca=self.s3.ca), timeout=30.0)
        return BucketSpec(place, prefix, ignore)

    def put(self, key: str, content: str) -> str:
        return self.s3.put(self.bucket, key, content)

    async def restart(self) -> None:
        await self.fetched.close()
        self.fetched = ChartRepositories(self._directory)

    def downloads(self) -> int:
        lines = self.s3.requests.splitlines()
        return sum("s3_GetObject" in line and f" {self.bucket} " in line for line in lines)


@pytest.fixture
async def world(s3: S3, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    bucket = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    world = World(s3, bucket, tmp_path)
    yield world
    await world.fetched.close()


async def content(world: World, spec: BucketSpec) -> dict[str, str]:
    """What the files of the artifact hold."""
    artifact, _ = await world.fetched.buckets.refresh(spec)
    tree = world.fetched.buckets.tree(spec, artifact)
    entries = await tree.entries()
    blobs = await tree.read([entry.blob_id for entry in entries])
    return {entry.path: blobs[entry.blob_id].decode() for entry in entries}


async def test_objects_are_files_and_the_revision_is_flux_s(world: World) -> None:
    etags = {key: world.put(key, text) for key, text in {"b/two.yaml": "2", "a.yaml": "1", "b-x": "1"}.items()}
    spec = world.spec()
    assert await content(world, spec) == {"a.yaml": "1", "b-x": "1", "b/two.yaml": "2"}
    artifact, changed = await world.fetched.buckets.refresh(spec)
    lines = "".join(f"{key} {etags[key]}\n" for key in ("a.yaml", "b-x", "b/two.yaml"))
    assert artifact.revision == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert not changed


async def test_what_is_known_is_neither_fetched_again_nor_after_a_restart(world: World) -> None:
    world.put("a", "1")
    spec = world.spec()
    await content(world, spec)
    await world.restart()
    known = await world.fetched.buckets.known(spec)
    assert known is not None
    assert await content(world, spec) == {"a": "1"}
    assert world.downloads() == 1
    world.put("b", "2")
    assert await content(world, spec) == {"a": "1", "b": "2"}
    # Who shows other keys, or none, gets nothing of it.
    assert await world.fetched.buckets.known(replace(spec, place=replace(spec.place, region="x"))) is None


async def test_what_is_gone_from_disk_or_damaged_there_is_fetched_once_more(world: World, tmp_path: Path) -> None:
    world.put("a", "1")
    spec = world.spec()
    artifact, _ = await world.fetched.buckets.refresh(spec)
    tree = world.fetched.buckets.tree(spec, artifact)
    (entry,) = await tree.entries()
    (kept,) = (tmp_path / "unpacked").iterdir()
    kept.write_bytes(b"X")
    assert await tree.read([entry.blob_id]) == {entry.blob_id: b"1"}
    kept.unlink()
    assert await tree.read([entry.blob_id]) == {entry.blob_id: b"1"}
    kept.unlink()
    world.put("a", "other")
    with pytest.raises(SourceUnavailable, match="'a' was changed or removed"):
        await tree.read([entry.blob_id])


async def test_prefix_and_patterns_choose(world: World) -> None:
    for key in ("apps/a.yaml", "apps/b.md", "apps/c.md", "other/d.yaml", "e.yaml"):
        world.put(key, key)
    assert set(await content(world, world.spec("apps/"))) == {"apps/a.yaml", "apps/b.md", "apps/c.md"}
    assert set(await content(world, world.spec(ignore="*.md\n!c.md\n"))) == {
        "apps/a.yaml",
        "apps/c.md",
        "other/d.yaml",
        "e.yaml",
    }
    world.put(".sourceignore", "*.yaml\n")
    assert set(await content(world, world.spec())) == {"apps/b.md", "apps/c.md"}
    assert set(await content(world, world.spec("apps/"))) == {"apps/b.md", "apps/c.md"}
    assert set(await content(world, world.spec("apps/", "!a.yaml\n"))) == {"apps/a.yaml", "apps/b.md", "apps/c.md"}
    world.put(".sourceignore", "x" * 100_000)
    with pytest.raises(SourceError, match="sourceignore is larger than"):
        await content(world, world.spec())


async def test_an_empty_bucket_is_an_empty_artifact(world: World) -> None:
    assert await content(world, world.spec()) == {}


def items(*keys: str, size: int = 1) -> list[Item]:
    return [Item(key, "x", size) for key in keys]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "a\\b", "a\0b"])
def test_a_key_that_is_no_path_is_refused_by_name_unless_it_is_left_out(key: str) -> None:
    with pytest.raises(ArtifactError, match=r"s3://apps: the key '.+' is no path of a file below a directory"):
        chosen(items("ok", key), None, None, "s3://apps")
    if key == "../x":
        assert chosen(items("ok", key), None, "x\n", "s3://apps") == items("ok")


def test_too_much_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(ArtifactError, match=r"the largest is 'huge' with 200\.0 MiB"):
        chosen([*items("a"), Item("huge", "x", 200 << 20)], None, None, "s3://apps")
    with pytest.raises(ArtifactError, match="it has 20,001 objects"):
        chosen(items(*map(str, range(MAX_FILES + 1))), None, None, "s3://apps")
    assert len(chosen(items("a", size=MAX_BYTES), None, None, "s3://apps")) == 1
    with pytest.raises(ArtifactError, match="'a' is an object, and a directory by 'a/b/c'"):
        chosen(items("a", "a/b/c"), None, None, "s3://apps")


def test_folders_of_consoles_and_the_ignore_file_are_no_files() -> None:
    assert chosen(items("a/", "a/b", ".sourceignore"), b"", None, "s3://apps") == items("a/b")
