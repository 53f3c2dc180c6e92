"""What an artifact holds by the copies of an ArtifactGenerator: Flux's rules, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.generator import OutputArtifact
from gitsync.errors import ArtifactError, FieldNotSupported
from gitsync.sources import copying
from gitsync.sources.copying import Listing, check_strategies, copied
from gitsync.sources.globs import DoubleStar
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
        for alias, entry in copied(artifact(*operations), sources)
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


@pytest.mark.parametrize("strategy", ["Merge", "Extract"])
def test_other_strategies_are_refused_by_their_field(strategy: str) -> None:
    given = artifact({"from": "@repo/a", "to": "@artifact/", "strategy": strategy})
    with pytest.raises(FieldNotSupported, match=rf"spec.artifacts\[3\].copy\[0\].strategy: {strategy}"):
        check_strategies(given, 3)


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
