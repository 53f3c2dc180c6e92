"""What an artifact holds by the copies of an ArtifactGenerator: Flux's rules, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.generator import OutputArtifact
from gitsync.errors import ArtifactError
from gitsync.sources.generator import copying
from gitsync.sources.generator.copying import archives, copied
from gitsync.sources.generator.globs import DoubleStar
from gitsync.sources.generator.listing import Listing
from gitsync.tree import Entries, FileList, TreeEntry

FILES = ("README.md", "apps/base/a.yaml", "apps/base/deep/b.yaml", "apps/prod/a.yaml", "infra/c.yaml", "infra/notes.md")


def listing(*paths: str) -> Listing:
    return Listing(Entries(FileList.of(TreeEntry(path, f"blob of {path}", 1) for path in paths)))


def artifact(*operations: dict[str, Any]) -> OutputArtifact:
    return OutputArtifact.model_validate({"name": "it", "copy": list(operations)})


def result(*operations: dict[str, Any], files: tuple[str, ...] = FILES) -> dict[str, str]:
    """The paths of an artifact, with the path that each file has in the source."""
    sources = {"repo": listing(*files), "other": listing("apps/base/a.yaml")}
    return {
        entry.path: f"{'' if alias == 'repo' else alias + ':'}{entry.blob_id.removeprefix('blob of ')}"
        for alias, entry, _ in copied(artifact(*operations), sources)
    }


@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        ("apps/base/**", "", {"a.yaml": "apps/base/a.yaml", "deep/b.yaml": "apps/base/deep/b.yaml"}),
        ("apps/base/**", "x/", {"x/a.yaml": "apps/base/a.yaml", "x/deep/b.yaml": "apps/base/deep/b.yaml"}),
        ("apps/base", "x", {"x/base/a.yaml": "apps/base/a.yaml", "x/base/deep/b.yaml": "apps/base/deep/b.yaml"}),
        ("apps/base/", "x/", {"x/base/a.yaml": "apps/base/a.yaml", "x/base/deep/b.yaml": "apps/base/deep/b.yaml"}),
        ("infra/*.yaml", "x/", {"x/infra/c.yaml": "infra/c.yaml"}),
        ("apps/*/a.yaml", "", {"apps/base/a.yaml": "apps/base/a.yaml", "apps/prod/a.yaml": "apps/prod/a.yaml"}),
        ("**/c.yaml", "", {"infra/c.yaml": "infra/c.yaml"}),
        ("infra/[c-d].yaml", "", {"infra/c.yaml": "infra/c.yaml"}),
        ("infra/?.yaml", "", {"infra/c.yaml": "infra/c.yaml"}),
        ("infra/c.yaml", "d.yaml", {"d.yaml": "infra/c.yaml"}),
        ("infra/c.yaml", "d/", {"d/c.yaml": "infra/c.yaml"}),
        ("apps/../infra/c.yaml", "./d/../e.yaml", {"e.yaml": "infra/c.yaml"}),
        ("", "", {path: path for path in FILES}),
        ("**", "", {path: path for path in FILES}),
    ],
)
def test_where_files_go(source: str, to: str, expected: dict[str, str]) -> None:
    assert result({"from": f"@repo/{source}", "to": f"@artifact/{to}"}) == expected


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["*.md"], {"infra/c.yaml"}),
        (["infra/notes.md"], {"infra/c.yaml"}),
        (["**/*.yaml"], {"infra/notes.md"}),
        (["*.{md,txt}"], {"infra/c.yaml"}),
        (["notes.md"], {"infra/c.yaml"}),
    ],
)
def test_what_is_excluded(exclude: list[str], left: set[str]) -> None:
    assert result({"from": "@repo/infra", "to": "@artifact/", "exclude": exclude}).keys() == left


def test_a_directory_that_is_excluded_is_left_out_whole() -> None:
    copy = {"from": "@repo/apps/**", "to": "@artifact/", "exclude": ["base/deep"]}
    assert result(copy).keys() == {"base/a.yaml", "prod/a.yaml"}


def test_a_later_copy_takes_the_place_of_an_earlier_one() -> None:
    first = {"from": "@repo/apps/base/**", "to": "@artifact/"}
    assert result(first, {"from": "@other/apps/base/a.yaml", "to": "@artifact/a.yaml"}) == {
        "a.yaml": "other:apps/base/a.yaml",
        "deep/b.yaml": "apps/base/deep/b.yaml",
    }


def test_a_file_goes_into_a_directory_that_is_there() -> None:
    first = {"from": "@repo/apps/base/**", "to": "@artifact/base/"}
    assert "base/c.yaml" in result(first, {"from": "@repo/infra/c.yaml", "to": "@artifact/base"})


@pytest.mark.parametrize(
    ("source", "to", "message"),
    [
        ("@repo/../x", "", "leads out of the source"),
        ("@repo//etc/passwd", "", "leads out of the source"),
        ("@repo/infra/**", "../x", "leads out of the artifact"),
        ("@repo/infra/**", "a/../../x", "leads out of the artifact"),
        ("@repo/infra/**", "/x", "leads out of the artifact"),
        ("@repo/../**", "", "no file matches"),
        ("@repo/nothing/**", "", "no file matches"),
        ("@repo/nothing", "", "there is no 'nothing' in the source"),
        ("@repo/infra/[a", "", "malformed"),
        ("@repo/infra/[]", "", "malformed"),
        ("@third/infra/**", "", "no source with the alias 'third'"),
    ],
)
def test_what_cannot_be_copied_says_which_copy(source: str, to: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        result({"from": "@repo/README.md", "to": "@artifact/"}, {"from": source, "to": f"@artifact/{to}"})
    assert caught.value.message.startswith(f"artifact 'it': copy[1] from {source!r} to '@artifact/{to}': ")


def test_files_and_directories_do_not_take_each_others_place() -> None:
    with pytest.raises(ArtifactError, match=r"'a.yaml' is a file"):
        result({"from": "@repo/apps/base/**", "to": "@artifact/"}, {"from": "@repo/infra", "to": "@artifact/a.yaml/"})
    with pytest.raises(ArtifactError, match="there is a directory"):
        result(
            {"from": "@repo/apps/base/**", "to": "@artifact/infra/c.yaml/"},
            {"from": "@repo/infra", "to": "@artifact/"},
        )


def test_all_that_matches_may_not_be_excluded() -> None:
    with pytest.raises(ArtifactError, match="all that matches"):
        result({"from": "@repo/infra/*", "to": "@artifact/", "exclude": ["*"]})


CHARTS = ("charts/a.tgz", "charts/old/b.TAR.GZ", "charts/old/notes.md", "c.zip", "charts/dir.tgz/file")


def extracted(*operations: dict[str, Any], held: tuple[str, ...] = ("it/Chart.yaml", "it/values.yaml")) -> list[str]:
    """The paths of an artifact, whose archives hold the same files each."""
    sources = {"repo": listing(*CHARTS)}
    wanted = archives(artifact(*operations), sources)
    files = copied(artifact(*operations), sources, {origin: listing(*held) for origin in wanted})
    return [f"{origin.removeprefix('repo/')} {entry.path}" for origin, entry, _ in files]


def extract(source: str, to: str = "", **more: Any) -> dict[str, Any]:
    return {"from": f"@repo/{source}", "to": f"@artifact/{to}", "strategy": "Extract", **more}


@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        ("charts/a.tgz", "", ["charts/a.tgz it/Chart.yaml", "charts/a.tgz it/values.yaml"]),
        ("charts/a.tgz", "x", ["charts/a.tgz x/it/Chart.yaml", "charts/a.tgz x/it/values.yaml"]),
        ("charts/a.tgz", "x/", ["charts/a.tgz x/it/Chart.yaml", "charts/a.tgz x/it/values.yaml"]),
        ("charts/old/**/*.TAR.GZ", "", [f"charts/old/b.TAR.GZ it/{name}" for name in ("Chart.yaml", "values.yaml")]),
        ("c*/*/*.{md,TAR.GZ}", "", [f"charts/old/b.TAR.GZ it/{name}" for name in ("Chart.yaml", "values.yaml")]),
        ("*.zip", "", []),
    ],
)
def test_where_the_files_of_archives_go(source: str, to: str, expected: list[str]) -> None:
    assert extracted(extract(source, to)) == expected


def test_a_later_archive_takes_the_place_of_an_earlier_one() -> None:
    found = extracted(extract("charts/**/*.tgz", exclude=["*.d/**", "charts/dir.tgz"]), extract("charts/old/b.TAR.GZ"))
    assert found == [f"charts/old/b.TAR.GZ it/{name}" for name in ("Chart.yaml", "values.yaml")]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (extract("c.zip"), "'c.zip' is no archive"),
        (extract("charts/"), "'charts' is a directory"),
        (extract("charts/dir.tgz"), "'charts/dir.tgz' is a directory"),
        (extract("charts/*.tgz"), "there is no file 'charts/dir.tgz'"),
        (extract("d.tgz"), "there is no file 'd.tgz'"),
        (extract("**/*.tbz"), "no file matches the pattern"),
        (extract("charts/a.tg?", exclude=["*.tgz"]), "all that matches"),
        (extract("charts/a.tgz", "../x"), "leads out of the artifact"),
    ],
)
def test_what_cannot_be_extracted_says_so(operation: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        extracted({"from": "@repo/c.zip", "to": "@artifact/"}, operation)
    assert caught.value.message.startswith("artifact 'it': copy[1] from ")


def merge(source: str, to: str, alias: str = "other") -> dict[str, Any]:
    return {"from": f"@{alias}/{source}", "to": f"@artifact/{to}", "strategy": "Merge"}


def merged(*operations: dict[str, Any]) -> dict[str, list[str]]:
    """The files of an artifact, with those that each is of."""
    sources = {"repo": listing(*FILES), "other": listing("apps/base/a.yaml", "values.yaml")}
    return {
        file.entry.path: [f"{origin}:{it.blob_id[8:]}" for origin, it in ((file.origin, file.entry), *file.over)]
        for file in copied(artifact(*operations), sources)
    }


def test_a_file_is_merged_into_what_is_there() -> None:
    first = {"from": "@repo/apps/base/**", "to": "@artifact/"}
    assert merged(first, merge("values.yaml", "a.yaml"), merge("apps/base/a.yaml", "a.yaml")) == {
        "a.yaml": ["repo:apps/base/a.yaml", "other:values.yaml", "other:apps/base/a.yaml"],
        "deep/b.yaml": ["repo:apps/base/deep/b.yaml"],
    }
    assert merged(first, merge("apps/base/**", ""))["a.yaml"] == ["repo:apps/base/a.yaml", "other:apps/base/a.yaml"]


def test_a_file_that_is_merged_into_nothing_is_copied() -> None:
    assert merged(merge("values.yaml", "x/")) == {"x/values.yaml": ["other:values.yaml"]}


def test_a_copy_takes_the_place_of_what_was_merged() -> None:
    last = {"from": "@repo/infra/c.yaml", "to": "@artifact/values.yaml"}
    operations = (merge("values.yaml", ""), merge("apps/base/a.yaml", "values.yaml"), last)
    assert merged(*operations) == {"values.yaml": ["repo:infra/c.yaml"]}


def test_what_is_in_directories_is_not_merged() -> None:
    """As with Flux: of a directory each file is copied over what is there."""
    first = {"from": "@repo/apps/base", "to": "@artifact/apps/"}
    assert merged(first, merge("apps", ""))["apps/base/a.yaml"] == ["other:apps/base/a.yaml"]


def test_merges_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MAX_MERGED", 2)
    with pytest.raises(ArtifactError, match="more than 2 files are merged"):
        merged(*[merge("values.yaml", "values.yaml")] * 4)


def test_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MAX_PATHS", 3)
    with pytest.raises(ArtifactError, match="more than 3 files"):
        result({"from": "@repo/**", "to": "@artifact/"})


def test_many_files_and_hostile_patterns_take_no_long_time() -> None:
    """200,000 entries, once through; and a pattern that makes a backtracking matcher go on for ever."""
    files = listing(*(f"a/d{number % 500}/f{number}.yaml" for number in range(200_000)))
    some = {"from": "@repo/a/**", "to": "@artifact/", "exclude": ["d[2-9]*"]}
    assert len(copied(artifact(some), {"repo": files})) == 112 * 400
    with pytest.raises(ArtifactError, match="more than 100,000 files"):
        copied(artifact({"from": "@repo/a/**", "to": "@artifact/"}), {"repo": files})
    assert not DoubleStar("*a" * 40 + "/**" * 20 + "/x").matches("a" * 4000 + "/b" * 50)


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("**", "a/b", True),
        ("**/b", "b", True),
        ("a/**", "a", True),
        ("a/**/c", "a/c", True),
        ("a/*/c", "a/b/b/c", False),
        ("{a,b}/c", "b/c", True),
        (r"\*", "*", True),
        ("[^a]", "b", True),
        ("[^a]", "a", False),
    ],
)
def test_patterns_of_what_is_excluded(pattern: str, path: str, meant: bool) -> None:
    assert DoubleStar(pattern).matches(path) is meant


@pytest.mark.parametrize("pattern", ["[", "{a", "a\\", "[a-]", "{a,b}" * 9])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ArtifactError, match="the pattern"):
        DoubleStar(pattern)
