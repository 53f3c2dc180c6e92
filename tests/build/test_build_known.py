"""What a build reads is its key: a commit costs what it changes."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from gitsync.build import Builder, BuildSpec
from gitsync.errors import GitUnavailable
from gitsync.tree import Tree
from tests.build.trees import COMMIT, Counting, Reading, tree

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}}}\ndata: {{value: '{}'}}\n"


def overlays(count: int, **changed: str) -> dict[str, str | bytes]:
    """Overlays of one base, each with a file of its own; ``changed`` has other files, ``/`` written as ``__``."""
    files: dict[str, str | bytes] = {
        "base/kustomization.yaml": "resources: [base.yaml]\n",
        "base/base.yaml": CONFIG.format("base", "${v:=1}"),
    }
    for number in range(count):
        files[f"o{number}/kustomization.yaml"] = "resources: [../base, own.yaml]\n"
        files[f"o{number}/own.yaml"] = CONFIG.format("own", number)
        files[f"o{number}/README.md"] = "not read\n"
    return files | {path.replace("__", "/"): text for path, text in changed.items()}


async def build_all(builder: Builder, files: Tree, count: int, **spec: object) -> list[object]:
    specs = [BuildSpec(path=f"o{number}", **spec) for number in range(count)]  # type: ignore[arg-type]
    return list(await asyncio.gather(*(builder.build(COMMIT, files, item) for item in specs)))


async def test_a_commit_that_touches_one_overlay_builds_that_one() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    await build_all(builder, tree(overlays(5)), 5)
    assert sorted(kustomizer.runs) == [f"o{number}" for number in range(5)]
    kustomizer.runs.clear()
    later = tree(overlays(5, **{"o3__own.yaml": CONFIG.format("own", "new"), "o1__README.md": "another"}))
    built = await build_all(builder, later, 5)
    assert kustomizer.runs == ["o3"]
    assert not any(item.errors for item in built)  # type: ignore[attr-defined]
    await build_all(builder, tree(overlays(5)), 5)  # back by one: nothing is built
    assert kustomizer.runs == ["o3"]


async def test_a_commit_that_touches_the_base_builds_all_that_use_it() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    files = overlays(3, **{"alone__kustomization.yaml": "namePrefix: a\n"})
    for path in ("o0", "o1", "o2", "alone"):
        await builder.build(COMMIT, tree(files), BuildSpec(path=path))
    kustomizer.runs.clear()
    files["base/base.yaml"] = CONFIG.format("base", "2")
    for path in ("o0", "o1", "o2", "alone"):
        await builder.build(COMMIT, tree(files), BuildSpec(path=path))
    assert kustomizer.runs == ["o0", "o1", "o2"]


async def test_a_file_that_comes_to_be_beside_others_counts_where_it_is_read() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    files: dict[str, str | bytes] = {"a/x.yaml": CONFIG.format("x", "1"), "b/y.yaml": CONFIG.format("y", "1")}
    for path in ("a", "b"):
        await builder.build(COMMIT, tree(files), BuildSpec(path=path))
    kustomizer.runs.clear()
    files["a/deep/z.yaml"] = CONFIG.format("z", "1")
    desired = [await builder.build(COMMIT, tree(files), BuildSpec(path=path)) for path in ("a", "b")]
    assert kustomizer.runs == ["a"]
    assert [len(item.objects) for item in desired] == [2, 1]


async def test_other_variables_ask_kustomize_nothing() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    files = tree(overlays(1))
    values = []
    for variables in (None, {"v": "2"}, {"v": "3"}, {"other": "4"}):
        desired = await builder.build(COMMIT, files, BuildSpec(path="o0", variables=variables))
        values.append(
            next(item.manifest["data"]["value"] for item in desired.objects.values() if item.key.name == "base")
        )
    assert values == ["${v:=1}", 2, 3, 1]
    assert kustomizer.runs == ["o0"]


async def test_those_who_ask_at_once_for_the_same_share_one_run() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    files = tree(overlays(1))
    await asyncio.gather(*(builder.build(COMMIT, files, BuildSpec(path="o0")) for _ in range(10)))
    assert kustomizer.runs == ["o0"]


async def test_an_error_is_remembered_and_gone_with_what_it_was_about() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    twice = overlays(1, **{"o0__own.yaml": CONFIG.format("base", "twice")})
    for _ in range(2):
        desired = await builder.build(COMMIT, tree(twice), BuildSpec(path="o0"))
        assert len(desired.errors) == 1
        assert not desired.objects
    assert kustomizer.runs == ["o0"]
    desired = await builder.build(COMMIT, tree(overlays(1)), BuildSpec(path="o0"))
    assert len(desired.objects) == 2


async def test_places_follow_lines_that_only_a_comment_moves() -> None:
    builder = Builder(Counting())
    kustomization = "configMapGenerator:\n- name: g\n  literals: [a=b]\n"
    places = []
    for text in (kustomization, f"# a comment\n{kustomization}"):
        desired = await builder.build(COMMIT, tree({"kustomization.yaml": text}), BuildSpec())
        places.append([str(item.origin) for item in desired.objects.values()])
    assert places == [["kustomization.yaml:2:3"], ["kustomization.yaml:3:3"]]


async def test_only_what_is_built_is_read() -> None:
    files = tree(overlays(3))
    reading = files._read
    assert isinstance(reading, Reading)
    builder = Builder(Counting())
    await builder.build(COMMIT, files, BuildSpec(path="o1"))
    entries = {entry.blob_id: entry.path for entry in await files.entries()}
    used = {"base/kustomization.yaml", "base/base.yaml", "o2/kustomization.yaml", "o1/own.yaml"}
    assert {entries[blob_id] for blob_id in reading.asked} == used  # the kustomizations of overlays are one blob
    reading.asked.clear()
    await builder.build(COMMIT, files, BuildSpec(path="o1"))
    assert reading.asked == []


async def test_what_reading_raises_is_passed_on_and_nothing_stays_of_it() -> None:
    files = tree(overlays(1))

    async def fails(blob_ids: object) -> dict[str, bytes]:
        raise GitUnavailable("not now")

    builder = Builder(Counting())
    broken = Tree(files.revision, await files.entries(), fails)
    with pytest.raises(GitUnavailable):
        await builder.build(COMMIT, broken, BuildSpec(path="o0"))
    assert (await builder.build(COMMIT, files, BuildSpec(path="o0"))).errors == ()


def test_a_spec_tells_nothing_of_its_variables() -> None:
    spec = BuildSpec(path="a", variables={"password": "hunter2"})
    assert "hunter2" not in repr(spec)
    assert spec.digest != dataclasses.replace(spec, variables={"password": "hunter3"}).digest


async def test_a_directory_of_many_plain_files_is_built_in_parts_and_a_commit_builds_one_of_them() -> None:
    kustomizer = Counting()
    builder = Builder(kustomizer)
    files: dict[str, str | bytes] = {f"a/{number}.yaml": CONFIG.format(f"c{number}", number) for number in range(300)}
    desired = await builder.build(COMMIT, tree(files), BuildSpec(path="a"))
    assert (len(desired.objects), desired.errors) == (300, ())
    assert 300 / 64 < len(kustomizer.runs) <= 16
    kustomizer.runs.clear()
    files["a/7.yaml"] = CONFIG.format("c7", "changed")
    del files["a/8.yaml"]
    desired = await builder.build(COMMIT, tree(files), BuildSpec(path="a"))
    assert len(desired.objects) == 299
    assert 1 <= len(kustomizer.runs) <= 2
    kustomizer.runs.clear()
    files["a/9.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {}}\n"
    desired = await builder.build(COMMIT, tree(files), BuildSpec(path="a"))
    assert [str(error.origin) for error in desired.errors] == ["a/9.yaml:3:1"]
    assert desired.objects == {}
    patch = {"patch": CONFIG.format("c1", "patched")}
    del files["a/9.yaml"]
    kustomizer.runs.clear()
    desired = await builder.build(COMMIT, tree(files), BuildSpec(path="a", patches=(patch,)))
    assert (len(desired.objects), desired.errors, kustomizer.runs) == (298, (), ["a"])
