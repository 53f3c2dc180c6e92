"""Where hosts of repositories show a commit."""

from __future__ import annotations

import pytest

from gitsync.live.forge import commit_page

COMMIT = "3f2a91c0d1b2e3f405162738495a6b7c8d9e0f10"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/team/fleet.git", "https://github.com/team/fleet/commit/"),
        ("ssh://git@github.com/team/fleet", "https://github.com/team/fleet/commit/"),
        ("git@github.com:team/fleet.git", "https://github.com/team/fleet/commit/"),
        ("https://gitlab.com/team/sub/fleet.git", "https://gitlab.com/team/sub/fleet/-/commit/"),
        ("https://gitlab.example:8443/team/fleet", "https://gitlab.example:8443/team/fleet/-/commit/"),
        ("https://bitbucket.org/team/fleet.git", "https://bitbucket.org/team/fleet/commits/"),
        ("https://bitbucket.example/scm/OPS/fleet.git", "https://bitbucket.example/projects/OPS/repos/fleet/commits/"),
        ("https://gitea.example/team/fleet.git", "https://gitea.example/team/fleet/commit/"),
        ("https://git.example/team/fleet.git", "https://git.example/team/fleet/commit/"),
        ("ssh://git@git.example:2222/team/fleet.git", "https://git.example/team/fleet/commit/"),
        ("https://dev.azure.com/org/project/_git/fleet", "https://dev.azure.com/org/project/_git/fleet/commit/"),
        ("https://ann:hunter2@github.com/team/fleet.git", "https://github.com/team/fleet/commit/"),
        ('https://github.com/te am/fl"eet', "https://github.com/te%20am/fl%22eet/commit/"),
    ],
)
def test_known_hosts(url: str, page: str) -> None:
    assert commit_page(url, COMMIT) == page + COMMIT


@pytest.mark.parametrize(
    "url", ["", "/srv/fleet", "file:///srv/fleet", "javascript:alert(1)", "https://[x/y", "git://h/x"]
)
def test_what_no_browser_opens_has_no_page(url: str) -> None:
    assert commit_page(url, COMMIT) == ""


def test_what_is_no_commit_has_no_page() -> None:
    assert commit_page("https://github.com/team/fleet", "../../settings") == ""
