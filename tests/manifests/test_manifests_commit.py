"""A commit as a whole: which files count, what is defined twice, and what is held back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gitsync.api.identity import Origin
from gitsync.manifests import reader, select
from gitsync.manifests.ignore import IgnoreRules
from tests.manifests.commits import Repository, config_map, errors, names

CONTENT = "apiVersion: v1, metadata: {name: a}"
JSON = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}'


async def test_yaml_files_below_the_root_are_read() -> None:
    repository = Repository(
        {
            "README.md": config_map("readme"),
            "apps/a.yaml": config_map("a"),
            "apps/deep/er/b.yml": config_map("b"),
            "apps/c.json": JSON,
            "apps/d.yaml.bak": config_map("d"),
            "apps/e.YAML.txt": config_map("e"),
            "apps-of-others/f.yaml": config_map("f"),
            "values.yaml": "replicas: 1\n",
        }
    )
    desired = await repository.desired(root="./apps/")
    assert names(desired) == ["a", "b"]
    assert desired.files == 2
    assert repository.asked() == ["apps/a.yaml", "apps/deep/er/b.yml"]
    assert names(await repository.desired(root="apps/a.yaml")) == ["a"]
    assert names(await repository.desired()) == ["f", "a", "b"]
    assert (await repository.desired(root="nowhere")).files == 0


async def test_json_files_are_read_where_a_setting_says_so() -> None:
    files = {"a.yaml": config_map("a"), "c.json": JSON, "package.json": '{"name": "web", "version": "1.0.0"}'}
    assert names(await Repository(files).desired()) == ["a"]
    desired = await Repository(files, json_manifests=True).desired()
    assert (names(desired), desired.errors, desired.files) == (["a", "c"], (), 3)


async def test_one_bad_file_does_not_stop_the_others() -> None:
    repository = Repository(
        {"a.yaml": config_map("a"), "b.yaml": config_map("b") + "data: [\n", "c.yaml": config_map("c")}
    )
    desired = await repository.desired()
    assert names(desired) == ["a", "c"]
    assert [error.origin for error in desired.errors] == [Origin("b.yaml", 5, 1)]
    assert desired.bad_paths == {"b.yaml"}


async def test_an_object_defined_twice_with_other_content_is_an_error_at_each_place_and_is_not_wanted() -> None:
    repository = Repository(
        {
            "a.yaml": config_map("one") + "---\n" + config_map("two"),
            "b.yaml": "\n" + config_map("two") + "data: {a: b}\n---\n" + config_map("three") + "---\n"
            "# another\n" + config_map("three") + "immutable: true\n",
        }
    )
    desired = await repository.desired()
    assert names(desired) == ["one"]
    also, hint = "is also defined, with other content, at", "(none of them is applied)"
    assert errors(desired) == [
        f"a.yaml:5:1: ConfigMap/two {also} b.yaml:2:1 {hint}",
        f"b.yaml:2:1: ConfigMap/two {also} a.yaml:5:1 {hint}",
        f"b.yaml:7:1: ConfigMap/three {also} b.yaml:12:1 {hint}",
        f"b.yaml:12:1: ConfigMap/three {also} b.yaml:7:1 {hint}",
    ]
    assert desired.bad_paths == {"a.yaml", "b.yaml"}


async def test_an_object_defined_twice_with_the_same_content_is_one_and_a_debug_line_names_both_places() -> None:
    repository = Repository({"a.yaml": config_map("a"), "b.yaml": "# again\n{kind: ConfigMap, " + CONTENT + "}\n"})
    with capture_logs() as lines:
        desired = await repository.desired()
    assert (names(desired), desired.errors, desired.bad_paths) == (["a"], (), frozenset())
    assert [item.origin for item in desired.objects.values()] == [Origin("a.yaml", 1, 1)]
    (line,) = [line for line in lines if "defined twice" in line["event"]]
    assert (line["log_level"], line["places"]) == ("debug", "a.yaml:1:1, b.yaml:2:1")


async def test_the_same_content_twice_and_other_content_once_is_an_error_at_all_three() -> None:
    other = config_map("a") + "data: {}\n"
    desired = await Repository({"a.yaml": config_map("a"), "b.yaml": config_map("a"), "c.yaml": other}).desired()
    assert (names(desired), len(desired.errors)) == ([], 3)


async def test_a_release_with_and_without_the_default_namespace_is_the_same() -> None:
    release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r%s}\nspec: %s\n"
    spec = "{interval: 5m, chart: {spec: {chart: c, sourceRef: {kind: HelmRepository, name: h}}}}"
    files = {"a.yaml": release % ("", spec), "b.yaml": release % (", namespace: default", spec)}
    desired = await Repository(files).desired()
    assert (names(desired), desired.errors) == (["r"], ())
    files["b.yaml"] = release % (", namespace: default", spec.replace("5m", "6m"))
    assert len((await Repository(files).desired()).errors) == 2


async def test_an_object_defined_many_times_names_a_few_places() -> None:
    desired = await Repository({f"{n:02}.yaml": config_map("a") + f"data: {{n: '{n}'}}" for n in range(50)}).desired()
    assert len(desired.errors) == 50
    assert errors(desired)[0] == (
        "00.yaml:1:1: ConfigMap/a is also defined, with other content, at 01.yaml:1:1, 02.yaml:1:1, 03.yaml:1:1"
        " and 46 more (none of them is applied)"
    )


async def test_charts_kept_in_the_repository_are_not_manifests() -> None:
    repository = Repository(
        {
            "apps/a.yaml": config_map("a"),
            "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
            "charts/app/templates/deployment.yaml": "name: {{ .Release.Name }}\n",
            "charts/app/charts/sub/templates/x.yaml": "{{ if }}\n",
            "charts/app/crds/crd.yaml": config_map("crd"),
            "charts/notes.yaml": config_map("notes"),
        }
    )
    desired = await repository.desired()
    assert names(desired) == ["a", "notes"]
    assert desired.errors == ()
    assert desired.bad_paths == frozenset()


@pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml", "Kustomization"])
async def test_a_directory_for_kustomize_is_held_as_a_whole(name: str) -> None:
    repository = Repository(
        {
            "apps/a.yaml": config_map("a"),
            f"apps/shop/{name}": "resources: [b.yaml, base]\nnamePrefix: shop-\n",
            "apps/shop/b.yaml": config_map("b"),
            "apps/shop/base/c.yaml": config_map("c"),
            "apps/shop/base/kustomization.yaml": "resources: [c.yaml]\n",
        }
    )
    desired = await repository.desired()
    assert names(desired) == ["a"]
    assert (desired.kustomized, desired.errors) == (("apps/shop",), ())
    assert desired.bad_paths == {path for path in repository.files if path.startswith("apps/shop")}
    assert (await repository.desired(root="apps/shop/base")).objects == {}


async def test_an_ignored_kustomization_lets_its_files_be_applied_as_they_are() -> None:
    repository = Repository(
        {
            ".sourceignore": "kustomization.yaml\n",
            "kustomization.yaml": "resources: [a.yaml]",
            "a.yaml": config_map("a"),
        }
    )
    desired = await repository.desired()
    assert (names(desired), desired.errors) == (["a"], ())


async def test_what_flux_leaves_out_by_default_is_left_out() -> None:
    repository = Repository(
        {
            path: config_map(f"c{number}")
            for number, path in enumerate(
                [".github/workflows/a.yaml", "x/.github/b.yml", ".sops.yaml", "x/.gitlab-ci.yml", "cloudbuild.yaml"]
            )
        }
        | {"apps/a.yaml": config_map("a")}
    )
    assert names(await repository.desired()) == ["a"]
    repository.change({".sourceignore": "!.github/\n"})
    assert names(await repository.desired("c2")) == ["c0", "a", "c1"]


async def test_sourceignore_files_count_below_their_directories_the_deeper_first() -> None:
    repository = Repository(
        {
            ".sourceignore": "/*\n!/deploy/\n/deploy/**/*-test.yaml\n",
            "deploy/.sourceignore": "# comment\n\nsecret.yaml\n!kept-test.yaml\n",
            "a.yaml": config_map("a"),
            "other/b.yaml": config_map("b"),
            "deploy/c.yaml": config_map("c"),
            "deploy/x-test.yaml": config_map("d"),
            "deploy/kept-test.yaml": config_map("e"),
            "deploy/deep/secret.yaml": config_map("f"),
            "deploy/deep/g.yaml": config_map("g"),
        }
    )
    assert sorted(names(await repository.desired())) == ["c", "e", "g"]
    assert sorted(names(await repository.desired(root="deploy/deep"))) == ["g"]


def test_patterns_mean_what_git_makes_of_them(tmp_path: Path) -> None:
    ignore_files = {
        "": "*.tmp.yaml\n/top.yaml\nbuild/\nlogs/*.yaml\n**/gen/**\nd[o0]cs\n\\#odd.yaml\n a space.yaml\n"
        "!important.tmp.yaml\n",
        "apps/": "/top.yaml\n*.json\n!keep.json\nx?z.yaml\nend.yaml   \n",
    }
    paths = [
        *("a.tmp.yaml", "important.tmp.yaml", "top.yaml", "apps/top.yaml", "apps/x/top.yaml", "build/a.yaml"),
        *("apps/build/a.yaml", "build.yaml", "logs/a.yaml", "logs/x/a.yaml", "apps/logs/a.yaml", "gen/a.yaml"),
        *(
            "apps/gen/x/a.yaml",
            "docs/a.yaml",
            "d0cs/a.yaml",
            "dxcs/a.yaml",
            "#odd.yaml",
            " a space.yaml",
            "a space.yaml",
        ),
        *(
            "apps/a.json",
            "a.json",
            "apps/keep.json",
            "apps/xyz.yaml",
            "apps/xyyz.yaml",
            "apps/end.yaml",
            "apps/é.tmp.yaml",
        ),
    ]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for directory, text in ignore_files.items():
        (tmp_path / directory).mkdir(exist_ok=True)
        (tmp_path / directory / ".gitignore").write_text(text)
    command = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "-z", "--stdin"]
    told = subprocess.run(command, input="\0".join(paths), capture_output=True, text=True, check=True).stdout
    rules = IgnoreRules({f"{directory}.sourceignore": text.encode() for directory, text in ignore_files.items()})
    assert rules.errors == []
    assert {path for path in paths if rules.ignored(path)} == set(told.rstrip("\0").split("\0"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good.yaml\n!\n", "apps/.sourceignore:2: not a pattern"),
        ("[z-a]\n", "apps/.sourceignore:1: not a pattern"),
        ("[[:alpha:]]*.yaml\n", "apps/.sourceignore:1: not a pattern"),
        ("a.yaml\n" * 300, "apps/.sourceignore:201: more than 200 patterns"),
        ("x" * 20_000, "apps/.sourceignore: over 16 KiB"),
    ],
)
async def test_rules_that_cannot_be_known_hold_back_what_they_are_about(text: str, message: str) -> None:
    repository = Repository(
        {"apps/.sourceignore": text, "apps/a.yaml": config_map("a"), "b.yaml": config_map("b"), "c.yaml": "a: ["}
    )
    desired = await repository.desired()
    assert names(desired) == ["b"]
    assert errors(desired)[0].startswith(message)
    assert desired.bad_paths == {"apps/.sourceignore", "apps/a.yaml", "c.yaml"}


async def test_thousands_of_rule_files_are_refused() -> None:
    files = {f"d{number}/.sourceignore": "a" for number in range(501)}
    desired = await Repository({**files, "a.yaml": config_map("a")}).desired()
    assert desired.objects == {}
    assert errors(desired)[0].startswith("d99/.sourceignore: more than 500 .sourceignore files")


def test_hostile_patterns_are_matched_in_linear_time() -> None:
    rules = IgnoreRules({".sourceignore": ("*a" * 60 + "b\n" + "**/a/" * 60 + "b\n").encode()})
    assert not any(rules.ignored(f"{'a' * 250}{number}.yaml") for number in range(500))
    assert not rules.ignored("a/" * 2000 + "x.yaml")


async def test_a_large_file_is_refused_without_being_read() -> None:
    repository = Repository({"a.yaml": config_map("a"), "b.yaml": b"#" * (10 * 1024 * 1024 + 1)})
    desired = await repository.desired()
    assert names(desired) == ["a"]
    assert errors(desired) == [
        "b.yaml: the file is 10.0 MiB, over the limit of 10 MiB (split it, or leave it out by .sourceignore)"
    ]
    assert repository.asked() == ["a.yaml"]


async def test_a_repository_that_is_too_large_is_refused_without_being_read() -> None:
    repository = Repository({f"{number}.yaml": b"#" * 8_000_000 + b"%d" % number for number in range(9)})
    desired = await repository.desired()
    assert (desired.objects, desired.files, repository.asked()) == ({}, 0, [])
    assert errors(desired)[0].startswith(".: the manifests are 68 MiB in all, over the limit of 64 MiB; none is read")
    assert len(desired.bad_paths) == 10


async def test_too_many_manifests_are_refused_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "MAX_FILES", 3)
    repository = Repository({f"{number}.yaml": config_map(f"m-{number}") for number in range(4)})
    desired = await repository.desired()
    assert (desired.objects, repository.asked()) == ({}, [])
    assert errors(desired)[0].startswith(".: there are 4 manifests, over the limit of 3; none is read")
    assert len(desired.bad_paths) == 5


async def test_too_many_objects_are_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_OBJECTS", 100)
    many = "---\n".join(config_map(f"m-{number}") for number in range(60))
    desired = await Repository({"a.yaml": many, "b.yaml": config_map("b")}).desired()
    assert len(desired.objects) == 61
    more = Repository({"a.yaml": many, "b.yaml": many.replace("m-", "n-"), "c.yaml": config_map("c")})
    desired = await more.desired()
    assert (desired.objects, len(desired.bad_paths)) == ({}, 4)
    assert errors(desired)[0].startswith(".: there are more than 100 objects, which is the limit; none is read")
