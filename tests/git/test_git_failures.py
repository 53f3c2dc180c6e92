"""What the words of git and ssh on stderr become."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitsync.errors import GitAuthRefused, GitRefMissing, GitRefused, GitsyncError, GitUnavailable, StateUnwritable
from gitsync.git import GitCredentials, GitSource
from gitsync.git.failures import BrokenOff, Damaged, NoGitAnswer, Unadvertised, clean, local_failure, remote_failure

URL = "https://git.example/tls/connection.git"
SOURCE = GitSource(URL, credentials=GitCredentials("ada", "p@ss/word", "t0ken"))
SSH = "fatal: Could not read from remote repository."
ACCESS = f"fatal: unable to access '{URL}/': "


FAILURES: list[tuple[str, type[GitsyncError], str]] = [
    (ACCESS + "Could not resolve host: git.example", GitUnavailable, f"cannot reach {URL}: Could not resolve host"),
    (ACCESS + "Failed to connect to git.example port 443 after 3 ms: Couldn't connect", GitUnavailable, "cannot reach"),
    (ACCESS + "SSL certificate problem: self-signed certificate", BrokenOff, "no trusted connection"),
    (ACCESS + "server certificate verification failed. CAfile: none", BrokenOff, "no trusted connection"),
    (ACCESS + "getpeername() failed with errno 107: Transport endpoint is not connected", BrokenOff, "cannot reach"),
    (f"fatal: {URL}/info/refs not valid: is this a git repository?", NoGitAnswer, "cannot read"),
    (
        ACCESS + "The requested URL returned error: 503",
        GitUnavailable,
        f"cannot read {URL}: The requested URL returned",
    ),
    (ACCESS + "The requested URL returned error: 403", GitAuthRefused, "refuses our credentials"),
    (f"remote: Access denied\nfatal: Authentication failed for '{URL}/'", GitAuthRefused, "refuses our"),
    (
        "fatal: could not read Username for 'https://h': terminal prompts disabled",
        GitAuthRefused,
        "asks for",
    ),
    (f"remote: Not found.\nfatal: repository '{URL}/' not found", GitUnavailable, "there is no repository at"),
    (f"git@h: Permission denied (publickey).\r\n{SSH}", GitAuthRefused, "refuses our credentials"),
    (f"Host key verification failed.\r\n{SSH}", GitUnavailable, "not in known_hosts"),
    (
        f'Load key "/k": error in libcrypto\ngit@h: Permission denied (publickey).\n{SSH}',
        GitAuthRefused,
        "cannot use",
    ),
    (f"ssh: connect to host h port 22: Connection refused\n{SSH}", GitUnavailable, "cannot reach"),
    ("error: RPC failed; curl 56 GnuTLS recv error\nfatal: early EOF", BrokenOff, "cannot reach"),
    ("fatal: couldn't find remote ref refs/heads/x", GitRefMissing, "does not have it"),
    (f"fatal: remote error: upload-pack: not our ref {'1' * 40}", GitRefMissing, "does not have it"),
    ("fatal: transport 'file' not allowed", GitRefused, "leads to a transport that is not allowed"),
    (
        "error: file write error: No space left on device\nfatal: unable to write",
        StateUnwritable,
        "mirror cannot be written",
    ),
]


@pytest.mark.parametrize(("stderr", "kind", "message"), FAILURES)
def test_the_remotes_fault(stderr: str, kind: type[GitsyncError], message: str) -> None:
    failure = remote_failure(SOURCE, stderr)
    assert type(failure) is kind
    assert message in failure.message


def test_where_a_key_has_a_passphrase_it_may_be_that() -> None:
    refused = f"git@h: Permission denied (publickey).\r\n{SSH}"
    locked = GitSource("ssh://git@h/x", credentials=GitCredentials(passphrase="s3cret"))
    failure = remote_failure(locked, refused)
    assert isinstance(failure, GitAuthRefused)
    assert "the passphrase (password) may be another" in failure.hint
    plain = remote_failure(GitSource("ssh://git@h/x"), refused)
    assert isinstance(plain, GitAuthRefused)
    assert "passphrase" not in plain.hint


@pytest.mark.parametrize(
    "stderr",
    [
        "error: object file /state/tls-connection.git/objects/2f/da is empty\nfatal: loose object 2fda is corrupt",
        "fatal: bad object refs/gitsync/2fda",
        "fatal: not a git repository: '/state/certificate.git'",
        "fatal: bad config line 1 in file /state/early EOF/config",
        "error: inflate: data stream error (incorrect header check)",
        "fatal: shallow file has changed since we read it",
        "fatal: packfile /state/ssl/objects/pack/pack-1.pack does not match index",
        "error: remote did not send all necessary objects",
        "remote: Authentication failed for fun",
        "",
    ],
)
def test_not_the_remotes_fault(stderr: str) -> None:
    assert isinstance(remote_failure(SOURCE, stderr), Damaged)


@pytest.mark.parametrize(
    "stderr",
    [
        f"error: Server does not allow request for unadvertised object {'1' * 40}",
        f"fatal: remote error: want {'1' * 40} not valid",
    ],
)
def test_a_server_that_gives_out_tips_only(stderr: str) -> None:
    assert isinstance(remote_failure(SOURCE, stderr), Unadvertised)


def test_a_mirror_that_cannot_be_written_is_not_a_damaged_one() -> None:
    path = Path("/var/lib/gitsync/git/fleet.git")
    full = local_failure("init", path, "error: unable to write symref for HEAD: No space left on device")
    assert isinstance(full, StateUnwritable)
    assert str(path) in full.message
    assert "make room" in full.hint
    assert isinstance(local_failure("ls-tree", path, "fatal: not a tree object"), Damaged)


def test_no_secret_and_no_control_character_gets_through() -> None:
    text = (
        "fatal: https://ada:p%40ss%2Fword@git.example t0ken p@ss/word \x1b[31mred\x07 https://eve:other@h/" + "x" * 500
    )
    shown = clean(text, SOURCE)
    for secret in ("p@ss/word", "p%40ss", "t0ken", "eve", "other", "\x1b", "\x07"):
        assert secret not in shown
    assert len(shown) == 300
