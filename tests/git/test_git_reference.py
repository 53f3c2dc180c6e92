"""What of a repository is wanted, by what the remote says it has; and whether two URLs mean the same repository."""

from __future__ import annotations

import pytest

from gitsync.errors import GitRefused
from gitsync.git import GitReference, resolve, same_repository

ONE, TWO, THREE, FOUR = ("1" * 40, "2" * 40, "3" * 40, "4" * 64)
REFS = {
    "HEAD": ONE,
    "refs/heads/main": ONE,
    "refs/heads/release/1.x": TWO,
    "refs/tags/v1.0.0": THREE,
    "refs/tags/v1.0.0^{}": TWO,
    "refs/tags/1.2.0": ONE,
    "refs/tags/1.3.0-rc.1": THREE,
    "refs/tags/1.9": THREE,
    "refs/tags/latest": THREE,
    "refs/pull/7/head": FOUR,
}


@pytest.mark.parametrize(
    ("reference", "revision"),
    [
        (GitReference(), f"HEAD@sha1:{ONE}"),
        (GitReference(branch="release/1.x"), f"release/1.x@sha1:{TWO}"),
        (GitReference(branch="main", tag="v1.0.0"), f"v1.0.0@sha1:{TWO}"),
        (GitReference(tag="v1.0.0", semver="*"), f"1.2.0@sha1:{ONE}"),
        (GitReference(semver="~1.0"), f"v1.0.0@sha1:{TWO}"),
        (GitReference(semver=">=1.0.0-0"), f"1.3.0-rc.1@sha1:{THREE}"),
        (GitReference(semver="*", name="refs/pull/7/head"), f"refs/pull/7/head@sha256:{FOUR}"),
        (GitReference(name="refs/tags/v1.0.0^{}"), f"refs/tags/v1.0.0@sha1:{TWO}"),
        (GitReference(name="refs/heads/main", commit=THREE), f"sha1:{THREE}"),
        (GitReference(branch="main", commit=THREE), f"main@sha1:{THREE}"),
    ],
)
def test_the_last_field_that_is_set_decides(reference: GitReference, revision: str) -> None:
    found = resolve(reference, REFS)
    assert found is not None
    assert found.revision == revision


@pytest.mark.parametrize(
    "reference", [GitReference(branch="nosuch"), GitReference(semver=">=2"), GitReference(name="refs/heads/nosuch")]
)
def test_what_is_not_there_is_nothing(reference: GitReference) -> None:
    assert resolve(reference, REFS) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"branch": "-o"}, "cannot be the name of a branch"),
        ({"tag": "a..b"}, "cannot be the name of a tag"),
        ({"name": "main"}, "is no full reference"),
        ({"name": "refs/heads/a b"}, "cannot be the name of a reference"),
        ({"semver": "no range"}, "ref.semver"),
        ({"commit": "abc"}, "is not a full commit id"),
    ],
)
def test_names_that_git_must_not_see_are_refused(fields: dict[str, str], words: str) -> None:
    with pytest.raises(GitRefused, match=words):
        GitReference(**fields)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://git.example/org/fleet", "https://GIT.example/org/fleet.git/", True),
        ("https://git.example/org/fleet", "ssh://git@git.example/org/fleet", True),
        ("https://git.example:443/org/fleet", "git@git.example:org/fleet.git", True),
        ("https://me:secret@git.example/org/fleet", "https://git.example/org/fleet", True),
        ("https://git.example:8443/fleet", "https://git.example/fleet", False),
        ("https://git.example:8443/fleet", "ssh://git.example:8443/fleet", True),
        ("https://git.example/org/fleet", "https://git.example/org/fleet2", False),
        ("https://git.example/org/fleet", "https://other.example/org/fleet", False),
        ("/srv/fleet", "file:///srv/fleet.git", True),
        ("/srv/fleet", "https://git.example/srv/fleet", False),
        ("", "https://git.example/fleet", False),
    ],
)
def test_host_and_path_say_which_repository_it_is(one: str, other: str, same: bool) -> None:
    assert same_repository(one, other) is same
