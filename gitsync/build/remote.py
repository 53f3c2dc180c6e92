"""Remote bases: directories of Git repositories, and single files, that a kustomization names by URL. Pure.

kustomize tries a URL as a file first, and has git clone it when that fails. Here the text alone decides which of the
two it is, in the spellings of kustomize (api/internal/git, RepoSpec).
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

from gitsync.tree import Tree

#: Hosts whose repositories are the first two parts of a path.
_FORGES: Final = ("github.com", "gitlab.com", "bitbucket.org")
_WITHOUT_SCHEME: Final = re.compile(r"(?:www\.)?(?:github|gitlab|bitbucket)\.(?:com|org)/", re.IGNORECASE)
_OF_GIT: Final = ("ref", "version", "timeout", "submodules")
#: As Go reads it; anything else changes nothing.
_FALSE: Final = ("0", "f", "F", "false", "False", "FALSE")
_OF_FILES: Final = (".yaml", ".yml", ".json")
_HINT: Final = "write it as https://HOST/ORG/REPOSITORY//DIRECTORY?ref=REVISION, or the https URL of a file"
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class RemoteDirectory:
    """A directory of a Git repository, "" for its root; ``ref`` is a branch, a tag or a commit, "" for its default
    branch. ``submodules`` are in their places, as kustomize has them."""

    url: str
    path: str
    ref: str
    submodules: bool = True


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file, by its URL."""

    url: str


Remote = RemoteDirectory | RemoteFile


class NotFetched(Exception):
    """Why something is not fetched. ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched: the tree of the whole repository, or one with the single file; ``revision`` is its commit or
    digest."""

    tree: Tree
    revision: str


class Remotes(Protocol):
    """Fetches remote bases."""

    async def fetch(self, remote: Remote, owner: str) -> Fetched:
        """The content of ``remote`` now, or as it was a moment ago, on behalf of ``owner``.

        Raises: GitUnavailable, GitRefused, SourceUnavailable, SourceError, ArtifactError, NoRoom.
        """
        ...


class Mount(NamedTuple):
    """Where a fetched tree is mounted (``place``), and the directory or file in it that was named (``path``)."""

    place: str
    path: str


def read_remote(text: str) -> Remote:
    """The remote directory or file that a text names. Raises: NotFetched."""
    written = text.strip()
    written = written[5:] if written.lower().startswith("git::") else written
    if _WITHOUT_SCHEME.match(written):
        written = f"https://{written}"
    try:
        url = urlsplit(written)
        port = url.port
    except ValueError:
        raise NotFetched("cannot be read as a URL", _HINT) from None
    if url.scheme.lower() not in ("https", "http") or not url.hostname:
        raise NotFetched("is not fetched: only what is at an http(s) URL is", _HINT)
    if url.username is not None or url.password is not None:
        raise NotFetched("has a login in it, which is not used", "remove what is before the @")
    query = parse_qs(url.query)
    host = url.hostname + (f":{port}" if port else "")
    if not _is_repository(url.hostname, url.path, query):
        return RemoteFile(written)
    repository, path = _divided(url.path)
    path = posixpath.normpath(path.strip("/")) if path.strip("/") else "."
    if not repository or path == ".." or path.startswith("../"):
        raise NotFetched("names no repository, or leads out of one", _HINT)
    ref = next((query[name][0] for name in ("ref", "version") if name in query), "")
    submodules = query.get("submodules", [""])[0] not in _FALSE
    return RemoteDirectory(f"{url.scheme.lower()}://{host}/{repository}", "" if path == "." else path, ref, submodules)


def _is_repository(host: str, path: str, query: dict[str, list[str]]) -> bool:
    if "//" in path or "/_git/" in path or ".git/" in f"{path}/":
        return True
    if path.lower().endswith(_OF_FILES):
        return False
    return host.lower().removeprefix("www.") in _FORGES or any(name in query for name in _OF_GIT)


def _divided(path: str) -> tuple[str, str]:
    """A repository, and a directory of it."""
    path = path.lstrip("/")
    if "_git/" in path:
        before, _, rest = path.partition("_git/")
        name, _, directory = rest.partition("/")
        return f"{before}_git/{name}", directory
    if "//" in path:
        repository, _, directory = path.partition("//")
        return repository, directory
    if ".git/" in f"{path}/":
        repository, _, directory = f"{path}/".partition(".git/")
        return f"{repository}.git", directory
    parts = [part for part in path.split("/") if part]
    return "/".join(parts[:2]) if len(parts) > 1 else "", "/".join(parts[2:])


def mount_name(remote: Remote, fetched: Fetched) -> str:
    """The name of the directory for a fetched tree; each revision has its own:
    ``github.com-org-app-4f2a91c0-1b2c3d4e``. People see it in the places of errors."""
    url = urlsplit(remote.url)
    path = url.path if isinstance(remote, RemoteDirectory) else posixpath.dirname(url.path)
    name = _NO_NAME.sub("-", f"{url.netloc}{path}").strip("-.")[:_MAX_NAME]
    revision = fetched.revision.rpartition(":")[2]
    return f"{name}-{revision[:8]}-{hashlib.sha256(f'{remote.url} {fetched.revision}'.encode()).hexdigest()[:8]}"
