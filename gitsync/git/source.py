"""Where a repository is and how to get in: checked before git sees any of it."""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from gitsync.errors import GitRefused
from gitsync.git.library import git_python
from gitsync.git.reference import GitReference
from gitsync.text import shorten

Transport = Literal["file", "http", "https", "ssh"]

_LONGEST_URL = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HELPER = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)::")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]*")
_SCP = re.compile(r"(?:(?P<user>[^/:]+)@)?(?P<host>\[[^]/]*\]|[^/:@]+):(?P<path>.*)", re.DOTALL)

_ALLOWED = "gitsync reads https://, http://, ssh://, file:// and paths"


@dataclass(frozen=True, slots=True, repr=False)
class GitTexts:
    """What git and ssh read from files, as a Secret holds it: ``ca`` counts beside the system's authorities."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    ssh_key: str = ""
    known_hosts: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class GitCredentials:
    """What opens the door. Files are read anew for every git command, so that they may be rotated.

    A ``token`` is sent as a password, under ``username`` if there is one (GitHub, GitLab, Gitea and Azure DevOps take
    any name), and as a bearer token where the server refuses that; with ``bearer`` as a bearer token only. ``ca_file``
    replaces the system's certificate authorities. Without ``ssh_key_file``, ssh uses the keys and configuration of the
    user gitsync runs as; host keys are always checked. ``cert_file`` and ``key_file`` are a client's certificate,
    ``passphrase`` opens the ssh key, ``proxy`` is a URL for http and https. What is not in a file yet is in ``texts``.
    A password or token that ends says whom it was ``lent_to``, which stays when it is another one, and ``until`` when
    it is good (of ``time.monotonic``). The repr shows no value.
    """

    username: str = ""
    password: str = ""
    token: str = ""
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    passphrase: str = ""
    askpass_file: Path | None = None
    bearer: bool = False
    proxy: str = ""
    texts: GitTexts | None = None
    lent_to: str = ""
    until: float = 0.0

    def __repr__(self) -> str:
        given = [name for name in self.__slots__ if getattr(self, name)]
        return f"GitCredentials({', '.join(f'{name}=****' for name in given)})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that no message may hold."""
        texts = self.texts or GitTexts()
        found = (self.password, self.token, self.passphrase, self.proxy, texts.key.strip(), texts.ssh_key.strip())
        return tuple(text for text in found if text)

    def check(self) -> None:
        """Raises: GitRefused for a user name, password or token with a line break or control character in it."""
        for name in ("username", "password", "token", "proxy"):
            if _CONTROL.search(getattr(self, name)):
                raise GitRefused(
                    f"the git {name} holds a line break or control character",
                    hint="a file that it is read from often ends with a newline: leave that out",
                )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL taken apart. ``url`` is what git is given: without credentials, absolute, host in lower case.

    ``site`` is ``https://host:port`` for http and https, the part that credentials belong to; "" otherwise.
    """

    transport: Transport
    url: str
    site: str = ""


@dataclass(frozen=True)
class GitSource:
    """A repository and what of it is wanted: a commit, else a tag, else a branch, else the remote's own default branch.

    (That order is Flux' GitRepository's.) ``timeout`` is in seconds and holds for each conversation with the remote.
    A user name and password inside the URL are moved to ``credentials``, unless those have their own; ``url`` is
    clean afterwards. A relative path is made absolute.

    Raises: GitRefused for a URL, reference or credential that git must not see.
    """

    url: str
    branch: str = ""
    tag: str = ""
    commit: str = ""
    credentials: GitCredentials | None = None
    timeout: float = 60.0
    endpoint: Endpoint = field(init=False, repr=False, compare=False)
    reference: GitReference = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        endpoint, inside = _parse(self.url)
        given = _merge(self.credentials or GitCredentials(), inside)
        given.check()
        reference = GitReference(self.branch, self.tag, commit=self.commit)
        if self.timeout <= 0:
            raise GitRefused(f"a git timeout of {self.timeout:g} s leaves no time for anything")
        object.__setattr__(self, "url", endpoint.url)
        object.__setattr__(self, "credentials", given)
        object.__setattr__(self, "endpoint", endpoint)
        object.__setattr__(self, "reference", reference)

    @property
    def access(self) -> GitCredentials:
        """The credentials, those of the URL included; empty ones when there are none."""
        return self.credentials or GitCredentials()

    @property
    def wanted(self) -> str:
        """What is synced, in words: ``branch `main```."""
        return str(self.reference)

    @property
    def local_path(self) -> Path | None:
        """The directory of a repository on this machine, for ``watch_local``; None for a remote one."""
        return Path(self.url) if self.endpoint.transport == "file" else None


def cloned_from(path: Path) -> str:
    """The URL that a repository on this machine was cloned from, its remote ``origin``; "" for none. Blocks."""
    git = git_python()
    try:
        with git.Repo(path, expand_vars=False) as repository:
            return str(repository.remotes["origin"].url)
    except (git.GitError, IndexError, OSError, ValueError, configparser.Error):
        return ""


def same_repository(one: str, other: str) -> bool:
    """Whether two URLs lead to the same repository: host and path tell it, whatever the transport and the user. Ports
    that somebody wrote have to be equal, since another port may be another server."""
    return _address(one) == _address(other)


def _address(url: str) -> tuple[str, int | None, str]:
    if "://" not in url and (match := _SCP.fullmatch(url)):
        url = f"ssh://{match['host']}/{match['path']}"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "", None, url
    path = unquote(parts.path) if host else url.removeprefix("file://")
    path = path.strip("/").removesuffix(".git").rstrip("/").lower()
    usual = {"http": 80, "https": 443, "ssh": 22}.get(parts.scheme)
    return host, None if port == usual else port, path


def redacted_url(url: str) -> str:
    """The URL without a password, token or (for http) user name, fit for logs; also for text that is no URL at all."""
    text = _CONTROL.sub("\ufffd", url)
    scheme, separator, rest = text.partition("://")
    if not separator:
        # An scp-like address has at most a user name before its host; anything with a colon before the @ is suspect.
        head, at, tail = text.rpartition("@")
        return tail if at and ":" in head else text
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        user, _, host = authority.rpartition("@")
        keep = f"{user.partition(':')[0]}@" if scheme.lower() == "ssh" else ""
        return f"{scheme}://{keep}{host}{slash}{path.partition('?')[0]}"
    if "@" in path and ":" in authority:
        # `https://user:pass/word@host`: a slash that should have been written %2F hides where the password ends.
        return f"{scheme}://{rest.rpartition('@')[2]}"
    return f"{scheme}://{authority}{slash}{path.partition('?')[0]}"


def _merge(given: GitCredentials, inside: GitCredentials) -> GitCredentials:
    """``given``, completed by what the URL held. A lone name in a URL is a token unless there is another secret."""
    if given.password or given.token:
        return replace(given, username=given.username or inside.username)
    if inside.password:
        return replace(given, username=given.username or inside.username, password=inside.password)
    return replace(given, token=inside.username) if inside.username else given


def _refuse(url: str, why: str, hint: str = "") -> GitRefused:
    return GitRefused(f"the Git URL `{shorten(redacted_url(url), _LONGEST_URL)}` {why}", hint=hint)


def _parse(url: str) -> tuple[Endpoint, GitCredentials]:
    if not url:
        raise GitRefused("no Git URL is given", hint=_ALLOWED)
    if _CONTROL.search(url) or url != url.strip():
        raise _refuse(url, "holds a blank at an end, or a control character")
    if url.startswith("-"):
        raise _refuse(url, "begins with `-`, as an option would", hint=_ALLOWED)
    if helper := _HELPER.match(url):
        raise _refuse(url, f"asks for the remote helper `{helper[1]}`", hint=_ALLOWED)
    if "://" in url:
        return _parse_url(url)
    if ":" in url.partition("/")[0]:
        return _parse_scp(url), GitCredentials()
    return Endpoint("file", str(_absolute(url))), GitCredentials()


def _parse_url(url: str) -> tuple[Endpoint, GitCredentials]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refuse(url, "is malformed", hint="a `/`, `@` or `:` in a password is written %2F, %40 or %3A") from None
    if parts.query or parts.fragment:
        raise _refuse(url, "has a `?` or `#` part, which a Git URL does not have")
    if parts.scheme == "file":
        if host not in ("", "localhost") or not parts.path.startswith("/"):
            raise _refuse(url, "is not file:///absolute/path")
        return _plain_path(url, unquote(parts.path)), GitCredentials()
    if parts.scheme not in ("http", "https", "ssh"):
        raise _refuse(url, f"asks for the transport `{parts.scheme}`", hint=_ALLOWED)
    shown_host = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(shown_host):
        raise _refuse(url, "has no host that can be used")
    site = shown_host if port is None else f"{shown_host}:{port}"
    if parts.path in ("", "/"):
        raise _refuse(url, "names no repository on its host")
    if parts.scheme == "ssh":
        return Endpoint("ssh", f"ssh://{_ssh_user(url, parts)}{site}{parts.path}"), GitCredentials()
    transport: Transport = "https" if parts.scheme == "https" else "http"
    inside = GitCredentials(username=unquote(parts.username or ""), password=unquote(parts.password or ""))
    return Endpoint(transport, f"{transport}://{site}{parts.path}", f"{transport}://{site}"), inside


def _ssh_user(url: str, parts: SplitResult) -> str:
    if parts.password is not None:
        raise _refuse(url, "has a password in it, which ssh does not take", hint="use an ssh key")
    if parts.username is None:
        return ""
    user = unquote(parts.username)
    if not _USER.fullmatch(user):
        raise _refuse(url, "has a user name that cannot be used")
    return f"{user.replace('@', '%40')}@"


def _parse_scp(url: str) -> Endpoint:
    match = _SCP.fullmatch(url)
    if not match or not _HOST.fullmatch(match["host"]):
        raise _refuse(url, "has no host that can be used", hint="a path with a `:` in it is written ./a:b")
    if match["user"] is not None and not _USER.fullmatch(match["user"]):
        raise _refuse(url, "has a user name that cannot be used")
    if "@" in match["path"].partition("/")[0]:
        raise _refuse(url, "has an `@` after its `:`", hint="ssh takes no password; write user@host:path")
    if not match["path"].strip("/") or match["path"].startswith("-"):
        raise _refuse(url, "names no repository on its host")
    return Endpoint("ssh", url)


def _absolute(path: str) -> Path:
    try:
        return Path(os.path.normpath(Path(path).expanduser().absolute()))
    except RuntimeError:  # ~somebody who does not exist
        raise GitRefused(f"`{path}` names the home of a user who does not exist") from None


def _plain_path(url: str, path: str) -> Endpoint:
    if _CONTROL.search(path):
        raise _refuse(url, "holds a control character")
    return Endpoint("file", str(_absolute(path)))
