"""What of a URL, a reference or a credential is let near git, and what of it may be shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitsync.errors import GitRefused
from gitsync.git import GitCredentials, GitSource, redacted_url


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch /tmp/x'",
        "EXT::sh",
        "fd::17",
        "transport-helper::address",
        "ext://host/sh",
        "git://git.example/fleet",
        "ftp://git.example/fleet",
        "git+ssh://git.example/fleet",
        "javascript://git.example/x",
        "--upload-pack=touch /tmp/x",
        "-u",
        "ssh://-oProxyCommand=touch/fleet",
        "ssh://-oProxyCommand=touch@git.example/fleet",
        "ssh://git@-oProxyCommand=touch/fleet",
        "ssh://git@git.example:port/fleet",
        "ssh://git@git.example",
        "ssh://git:password@git.example/fleet",
        "ssh://git@git.example;touch/fleet",
        "-oProxyCommand=touch:fleet",
        "git@-oProxyCommand=touch:fleet",
        "git@git.example:-oProxyCommand",
        "git@git.example:",
        "ada:password@git.example:fleet",
        "git@git.ex ample:fleet",
        "$(touch x):fleet",
        "https://",
        "https://git.example",
        "https://git.example/",
        "https://git.example:99999/fleet",
        "https://git.example/fleet?private_token=x",
        "https://git.example/fleet#main",
        "https://git.example\n/fleet",
        "https://git.example/fleet\0",
        "https:///fleet",
        "http://git%20example/fleet",
        "file://other.host/srv/fleet",
        "file://relative/path",
        "file:///srv/fl%00eet",
        "~no-such-user/fleet",
        " https://git.example/fleet",
        "",
    ],
)
def test_urls_that_git_never_sees(url: str) -> None:
    with pytest.raises(GitRefused):
        GitSource(url)


@pytest.mark.parametrize(
    ("url", "clean", "transport"),
    [
        ("https://git.example/team/fleet.git", "https://git.example/team/fleet.git", "https"),
        ("HTTPS://Git.Example:8443/Team/fleet", "https://git.example:8443/Team/fleet", "https"),
        ("http://[::1]:8080/fleet", "http://[::1]:8080/fleet", "http"),
        ("https://git.example/a%20b@v1/c", "https://git.example/a%20b@v1/c", "https"),
        ("ssh://git@git.example:2222/fleet.git", "ssh://git@git.example:2222/fleet.git", "ssh"),
        ("ssh://git.example/~ada/fleet", "ssh://git.example/~ada/fleet", "ssh"),
        ("git@git.example:team/fleet.git", "git@git.example:team/fleet.git", "ssh"),
        ("git.example:/srv/fleet", "git.example:/srv/fleet", "ssh"),
        ("git@[::1]:fleet", "git@[::1]:fleet", "ssh"),
        ("/srv/git/../fleet", "/srv/fleet", "file"),
        ("file:///srv/fl%20eet", "/srv/fl eet", "file"),
        ("./a:b", f"{Path.cwd()}/a:b", "file"),
        ("fleet", f"{Path.cwd()}/fleet", "file"),
        ("~/fleet", f"{Path.home()}/fleet", "file"),
    ],
)
def test_urls_that_are_read(url: str, clean: str, transport: str) -> None:
    source = GitSource(url)
    assert (source.url, source.endpoint.transport) == (clean, transport)
    assert source.local_path == (Path(clean) if transport == "file" else None)


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        ("https://ada:pw@git.example/f", None, GitCredentials("ada", "pw")),
        ("https://ada:p%40%2Fw@git.example/f", None, GitCredentials("ada", "p@/w")),
        ("https://:pw@git.example/f", None, GitCredentials("", "pw")),
        ("https://t0ken@git.example/f", None, GitCredentials(token="t0ken")),
        ("https://org@git.example/f", GitCredentials(token="t0ken"), GitCredentials("org", token="t0ken")),
        ("https://ada:old@git.example/f", GitCredentials(password="new"), GitCredentials("ada", "new")),
        ("https://ada:old@git.example/f", GitCredentials("eve", "new"), GitCredentials("eve", "new")),
        ("https://git.example/f", None, GitCredentials()),
    ],
)
def test_credentials_inside_a_url_are_taken_out_of_it(
    url: str, given: GitCredentials | None, expected: GitCredentials
) -> None:
    source = GitSource(url, credentials=given)
    assert source.url == "https://git.example/f"
    assert source.access == expected
    # Once taken out, they stay: a copy with another branch has them too.
    assert replace(source, branch="other").access == expected


@pytest.mark.parametrize(
    "name", ["-x", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "/a", "a/", "a//b", "a.", "a.lock",
             "a.lock/b", ".a", "a/.b", "@{u}", "a@{1}", "@", "a\n", "a\x7f", "x" * 300],
)  # fmt: skip
def test_reference_names_that_git_never_sees(name: str) -> None:
    for wanted in ({"branch": name}, {"tag": name}):
        with pytest.raises(GitRefused, match="cannot be the name of a"):
            GitSource("/srv/fleet", **wanted)  # type: ignore[arg-type]


def test_reference_names_that_are_read() -> None:
    for name in ("main", "feature/a-b_c.d", "v1.2.3", "ünïcode", "a@b", "x-"):
        assert GitSource("/srv/fleet", branch=name, tag=name).tag == name


@pytest.mark.parametrize("commit_id", ["main", "3f2a91c", "3F2A91C" + "0" * 33, "0" * 41, "--all", "0" * 40 + "\n"])
def test_only_full_commit_ids_are_taken(commit_id: str) -> None:
    with pytest.raises(GitRefused, match="not a full commit id"):
        GitSource("/srv/fleet", commit=commit_id)


def test_what_is_wanted_in_words() -> None:
    assert GitSource("/f").wanted == "the default branch"
    assert GitSource("/f", branch="main").wanted == "branch `main`"
    assert GitSource("/f", branch="main", tag="v1").wanted == "tag `v1`"
    assert GitSource("/f", branch="main", tag="v1", commit="0" * 40).wanted == "commit 0000000"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:s3cret@git.example/f", "https://git.example/f"),
        ("https://s3cret@git.example/f", "https://git.example/f"),
        ("https://ada:s3/cret@git.example/f", "https://git.example/f"),
        ("https://ada:s3@cret@git.example/f@v1", "https://git.example/f@v1"),
        ("https://git.example/f@v1", "https://git.example/f@v1"),
        ("https://git.example/f?private_token=s3cret", "https://git.example/f"),
        ("ssh://git:s3cret@git.example/f", "ssh://git@git.example/f"),
        ("ssh://git@git.example/f", "ssh://git@git.example/f"),
        ("ext::https://ada:s3cret@git.example/f", "ext::https://git.example/f"),
        ("ada:s3cret@git.example:f", "git.example:f"),
        ("git@git.example:f", "git@git.example:f"),
        ("/srv/fleet", "/srv/fleet"),
        ("\x1b[31mhttps://git.example/f\n", "\ufffd[31mhttps://git.example/f\ufffd"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:s3cret@git.example:port/f",
        "https://ada:s3/cret@git.example/f",
        "https://ada:s3cret@git.example/f?x",
        "ftp://ada:s3cret@git.example/f",
        "ext::https://ada:s3cret@git.example/f",
        "ssh://git:s3cret@git.example/f",
        "https://ada:s3cret%0A@git.example/f",
        "ada:s3cret@git.example:f",
    ],
)
def test_a_refused_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(GitRefused) as caught:
        GitSource(url)
    told: BaseException | None = caught.value
    while told:
        assert "s3cret" not in repr(told)
        assert "s3/cret" not in repr(told)
        told = told.__cause__
    assert "s3cret" not in caught.value.hint


def test_no_repr_shows_a_secret() -> None:
    source = GitSource("https://ada:s3cret@git.example/f", credentials=GitCredentials(token="t0ken"))
    assert "s3cret" not in repr(source)
    assert "t0ken" not in repr(source)
    assert repr(source.access) == "GitCredentials(username=****, token=****)"


def test_a_secret_with_a_line_break_is_refused_without_showing_it() -> None:
    for name, credentials in (
        ("username", GitCredentials(username="s3cret\n")),
        ("password", GitCredentials(password="s3cret\n")),
        ("token", GitCredentials(token="s3cret\n")),
    ):
        with pytest.raises(GitRefused, match=f"git {name} holds a line break") as caught:
            GitSource("https://git.example/f", credentials=credentials)
        assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    from gitsync.git.environment import remote_environment

    missing = tmp_path / "missing"
    cases: list[tuple[str, dict[str, Any]]] = [
        ("https://git.example/f", {"ca_file": missing}),
        ("git@git.example:f", {"ssh_key_file": missing}),
        ("git@git.example:f", {"known_hosts_file": missing}),
    ]
    for url, options in cases:
        with pytest.raises(GitRefused, match=f"{missing} is not there"):
            remote_environment(GitSource(url, credentials=GitCredentials(**options)), None, bearer=False)
