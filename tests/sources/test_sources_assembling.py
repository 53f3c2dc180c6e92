"""What is made for an ArtifactGenerator: archives unpacked, files merged by real workers, and the same of the same."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.charts.workers import Workers
from gitsync.errors import ArtifactError
from gitsync.sources.generator import assembling
from gitsync.sources.generator.generating import Generated, Making, generated
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.store import Store
from gitsync.sources.unpacking import Unpacker
from gitsync.tree import Tree, TreeEntry


@pytest.fixture
async def unpacker(tmp_path: Path) -> AsyncIterator[Unpacker]:
    workers = Workers()
    yield Unpacker(workers, Store(tmp_path / "cache"))
    await workers.close()


class Files:
    """A source that holds files, and says which of them were read."""

    def __init__(self, **files: bytes) -> None:
        self.files = {path.replace("__", "/").replace("_", "."): data for path, data in files.items()}
        self.read: list[str] = []

    def artifact(self, revision: str) -> TreeArtifact:
        ids = {sha256(data).hexdigest(): path for path, data in self.files.items()}

        async def read(blob_ids: Sequence[str]) -> dict[str, bytes]:
            self.read += [ids[it] for it in blob_ids]
            return {it: self.files[ids[it]] for it in blob_ids}

        entries = [TreeEntry(path, sha256(data).hexdigest(), len(data)) for path, data in self.files.items()]
        return TreeArtifact(revision, CommitInfo(revision, subject="it"), "", Tree(revision, entries, read))


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in files.items():
            info = tarfile.TarInfo(path.replace("__", "/").replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def generator(*artifacts: dict[str, Any], **spec: Any) -> ArtifactGenerator:
    sources = [{"alias": "repo", "kind": "GitRepository", "name": "repo"}]
    return ArtifactGenerator.parse(
        {
            "apiVersion": "source.extensions.fluxcd.io/v1beta1",
            "kind": "ArtifactGenerator",
            "metadata": {"name": "it", "namespace": "default"},
            "spec": {"sources": sources, "artifacts": list(artifacts), **spec},
        }
    )


def artifact(name: str, *copies: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "copy": list(copies)}


def copy(source: str, to: str = "", strategy: str = "Overwrite") -> dict[str, Any]:
    return {"from": f"@repo/{source}", "to": f"@artifact/{to}", "strategy": strategy}


async def made(
    unpacker: Unpacker, files: Files, given: ArtifactGenerator, before: Generated | None = None, revision: str = "1"
) -> Generated:
    async def tree_of(source: ObjectKey) -> TreeArtifact:
        return files.artifact(revision)

    return await generated(given, Making(tree_of, unpacker), before)


async def content(found: Generated, name: str) -> dict[str, bytes]:
    tree = found.artifacts[name].tree
    entries = await tree.entries()
    contents = await tree.read([entry.blob_id for entry in entries])
    assert all(len(contents[entry.blob_id]) == entry.size for entry in entries)
    return {entry.path: contents[entry.blob_id] for entry in entries}


async def test_an_archive_is_extracted_and_its_values_are_merged(unpacker: Unpacker) -> None:
    """A chart out of its archive, with values over its own: what Flux's documentation shows."""
    chart = archive(
        podinfo__Chart_yaml=b"name: podinfo\n", podinfo__values_yaml=b"# its own\na: {b: 1, c: [1, 2]}\nd: x\n"
    )
    files = Files(podinfo_tgz=chart, prod_yaml=b"a: {c: [3], e: null}\n---\nd: 12345678901\n")
    given = generator(
        artifact("podinfo", copy("*.tgz", "", "Extract"), copy("prod.yaml", "podinfo/values.yaml", "Merge"))
    )
    found = await content(await made(unpacker, files, given), "podinfo")
    assert found.keys() == {"podinfo/Chart.yaml", "podinfo/values.yaml"}
    assert found["podinfo/Chart.yaml"] == b"name: podinfo\n"
    expected = {"a": {"b": 1, "c": [3], "e": None}, "d": 12345678901}
    assert yaml.safe_load(found["podinfo/values.yaml"]) == json.loads(found["podinfo/values.yaml"]) == expected


async def test_of_the_same_files_it_is_the_same_artifact(unpacker: Unpacker) -> None:
    files = Files(it_tgz=archive(a=b"1"), over_yaml=b"x: 1\n", other_yaml=b"y: 1\n", notes_md=b"old")
    given = generator(
        artifact("it", copy("it.tgz", "", "Extract"), copy("other.yaml", "v"), copy("over.yaml", "v", "Merge"))
    )
    first = await made(unpacker, files, given)
    files.files["notes.md"] = b"new"
    files.files["over.yaml"] = b"# said otherwise\nx:   1\n"
    files.read.clear()
    second = await made(unpacker, files, given, first, "2")
    assert second.artifacts["it"] is first.artifacts["it"]
    files.files["over.yaml"] = b"x: 2\n"
    third = await made(unpacker, files, given, second, "3")
    assert third.artifacts["it"].revision != second.artifacts["it"].revision


async def test_what_an_archive_holds_is_unpacked_once_more_when_it_is_gone_from_disk(
    unpacker: Unpacker, tmp_path: Path
) -> None:
    files = Files(it_tgz=archive(a=b"1", b=b"2"))
    found = await made(unpacker, files, generator(artifact("it", copy("it.tgz", "", "Extract"))))
    for path in (tmp_path / "cache" / "unpacked").iterdir():
        path.write_bytes(b"xx")
    assert await content(found, "it") == {"a": b"1", "b": b"2"}


async def test_files_of_several_sources_are_read_each_from_its_own(unpacker: Unpacker) -> None:
    made_of = {"one": Files(a=b"1", b=b"2"), "two": Files(b=b"3")}

    async def tree_of(source: ObjectKey) -> TreeArtifact:
        return made_of[source.name].artifact("1")

    both = [{"alias": name, "kind": "GitRepository", "name": name} for name in made_of]
    copies = [{"from": f"@{name}/**", "to": "@artifact/"} for name in made_of]
    given = generator(artifact("it", *copies), sources=both)
    assert await content(await generated(given, Making(tree_of, unpacker)), "it") == {"a": b"1", "b": b"3"}


async def test_directories_have_artifacts_of_their_own(unpacker: Unpacker) -> None:
    files = Files(apps__web__a_yaml=b"1", apps__db__a_yaml=b"2")
    template = artifact("app-{app}", copy("apps/{app}/**"))
    found = await made(unpacker, files, generator(template, pathPattern="@repo/apps/{app}"))
    assert {name: await content(found, name) for name in found.artifacts} == {
        "app-db": {"a.yaml": b"2"},
        "app-web": {"a.yaml": b"1"},
    }
    assert found.labels == {"app-db": {"app": "db"}, "app-web": {"app": "web"}}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (b"- a\n", "@repo/over.yaml:1: a list cannot be merged"),
        (b"a: 1\n---\n- a\n", "@repo/over.yaml:3: a list cannot be merged"),
        (b"a: [\n", "@repo/over.yaml"),
        (b"text\n", "@repo/over.yaml"),
        (b"\xff\x00", "@repo/over.yaml"),
    ],
)
async def test_what_cannot_be_merged_says_which_file(unpacker: Unpacker, over: bytes, message: str) -> None:
    files = Files(values_yaml=b"a: 1\n", over_yaml=over)
    with pytest.raises(ArtifactError) as caught:
        await made(
            unpacker, files, generator(artifact("it", copy("values.yaml"), copy("over.yaml", "values.yaml", "Merge")))
        )
    assert message in caught.value.message


async def test_a_file_that_is_merged_into_nothing_may_hold_anything(unpacker: Unpacker) -> None:
    files = Files(notes_md=b"- not: [ YAML")
    found = await made(unpacker, files, generator(artifact("it", copy("notes.md", "", "Merge"))))
    assert await content(found, "it") == {"notes.md": b"- not: [ YAML"}


async def test_what_is_merged_and_extracted_is_bounded(unpacker: Unpacker, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(a_yaml=b"a: 1\n", b_yaml=b"b: 1\n", a_tgz=archive(a=b"1"), b_tgz=archive(b=b"2"))
    merging = generator(artifact("it", copy("a.yaml"), copy("b.yaml", "a.yaml", "Merge")))
    monkeypatch.setattr(assembling, "MAX_MERGED_SIZE", 6)
    with pytest.raises(ArtifactError, match=r"'a.yaml' cannot be merged: the files are larger than"):
        await made(unpacker, files, merging)
    monkeypatch.setattr(assembling, "MAX_ARCHIVES", 1)
    with pytest.raises(ArtifactError, match="artifact 'it' extracts more than 1 archives"):
        await made(unpacker, files, generator(artifact("it", copy("*.tgz", "", "Extract"))))
    monkeypatch.setattr(assembling, "MAX_UNPACKED", 6)
    with pytest.raises(ArtifactError, match=r"@repo/a.tgz: the archive is larger than"):
        await made(unpacker, files, generator(artifact("it", copy("a.tgz", "", "Extract"))))


async def test_an_archive_that_leads_out_or_is_none_is_refused(unpacker: Unpacker) -> None:
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../x"), io.BytesIO(b""))
    files = Files(a_tgz=hostile.getvalue(), b_tgz=b"no archive")
    with pytest.raises(ArtifactError, match=r"@repo/a.tgz: the artifact has a file that leads out of it: '../x'"):
        await made(unpacker, files, generator(artifact("it", copy("a.tgz", "", "Extract"))))
    with pytest.raises(ArtifactError, match=r"@repo/b.tgz: it is no archive of files"):
        await made(unpacker, files, generator(artifact("it", copy("b.tgz", "", "Extract"))))
