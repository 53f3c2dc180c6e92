"""How a commit stands, for servers of Git: which commit, under which name, in which words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from yarl import URL

from gitsync.api.names import HELM_RELEASE, KUSTOMIZATION
from gitsync.errors import SourceError
from gitsync.notify.notice import Notice, State
from gitsync.notify.target import Post, Target, json_post
from gitsync.text import shorten

#: Characters of a description, which GitHub does not take longer; of a name; of a Provider's uid in it.
MOST_DESCRIPTION, MOST_NAME, _UID = 140, 255, 8
_COMMIT = re.compile(r"(?:\A|[:/@])([0-9a-f]{64}|[0-9a-f]{40})\Z")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SCP = re.compile(r"(?:[^@/:]+@)?([^/:@]+):(?!//)(.+)")


@dataclass(frozen=True, slots=True)
class Status:
    """A commit's status as servers of Git have it: state, name and text."""

    commit: str
    state: State
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository is: ``server`` is scheme, host and port, ``path`` without ``.git``."""

    server: str
    path: str

    @property
    def owner(self) -> str:
        """All of the path but its last part."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def status_of(target: Target, notice: Notice) -> Status | None:
    """None for what says nothing of a commit."""
    commit = commit_id(notice)
    if not commit or notice.key.kind not in (KUSTOMIZATION, HELM_RELEASE):
        return None
    name = target.status_name or f"{notice.key.kind.lower()}/{notice.key.name}/{target.uid[:_UID]}"
    words = _WORDS.sub(" ", notice.reason).lower()
    if notice.state == "failure":
        words = f"{words}: {' '.join(notice.message.split())}"
    return Status(commit, notice.state, shorten(name, MOST_NAME), shorten(words, MOST_DESCRIPTION))


def status_posts(
    target: Target,
    notices: Sequence[Notice],
    headers: Mapping[str, str],
    request: Callable[[Status], tuple[URL, Mapping[str, object]]],
) -> list[Post]:
    """A request for each event that is about a commit; ``request`` gives its URL and its content."""
    found = []
    for status in filter(None, (status_of(target, notice) for notice in notices)):
        url, content = request(status)
        found.append(json_post(url, content, headers, topic=f"{url} {status.name}"))
    return found


def commit_id(notice: Notice) -> str:
    """The full id of the commit that an event is about, "" when it is about none."""
    if found := _COMMIT.search(notice.revision):
        return found[1]
    found = _COMMIT.search(notice.commit.id) if notice.commit is not None else None
    return found[1] if found else ""


def repository_of(target: Target) -> Repository:
    """The repository that an address names, by HTTP or as SSH has it. Raises: SourceError, which does not show it."""
    address = target.address.strip()
    if "://" not in address and (scp := _SCP.fullmatch(address)):
        address = f"ssh://{scp[1]}/{scp[2]}"
    try:
        found = urlsplit(address)
        port = f":{found.port}" if found.port and found.scheme in ("http", "https") else ""
    except ValueError:
        raise _wrong(target) from None
    path = unquote(found.path).strip("/").removesuffix(".git")
    if found.scheme not in ("http", "https", "ssh") or not found.hostname or not path or ".." in path.split("/"):
        raise _wrong(target)
    scheme = found.scheme if found.scheme != "ssh" else "https"
    return Repository(f"{scheme}://{found.hostname}{port}", path)


def owned(target: Target) -> Repository:
    """The same of a server whose repositories have one owner each. Raises: SourceError."""
    repository = repository_of(target)
    if not repository.owner or "/" in repository.owner:
        raise _wrong(target)
    return repository


def endpoint(server: str, *parts: str) -> URL:
    """A URL of these parts, each one escaped."""
    return URL("/".join((server, *(URL.build(path=part).raw_path.replace("/", "%2F") for part in parts))), encoded=True)


def _wrong(target: Target) -> SourceError:
    return target.wrong("names no repository", "give its address in spec.address: https://HOST/OWNER/NAME")
