"""Which content of a Git repository is wanted, and the artifact that was found. Plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gitsync.api.identity import CommitInfo
from gitsync.git import GitCredentials, GitReference, GitTexts
from gitsync.sources.git.verification import Verification
from gitsync.tree import Tree


@dataclass(frozen=True, slots=True, eq=False)
class GitPlace:
    """The URL of a repository, and our login there. Equal places share a mirror; a login that expires and the one after
    it are equal."""

    url: str
    credentials: GitCredentials = field(default_factory=GitCredentials)

    @property
    def id(self) -> str:
        """The name in caches; it differs for another login, which may see other content."""
        return _hash(self.url, *_parts(self.credentials))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GitPlace) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class Include:
    """The content of another GitRepository of the same namespace, put into this one's artifact: from ``from_path`` (""
    for all of it) to ``to_path`` ("" for a folder with the other's name)."""

    name: str
    from_path: str = ""
    to_path: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Which content an artifact has: of the commit, without files that ``ignore`` leaves out and only with the
    directories in ``sparse``, if any; with ``submodules``; and what it has of other repositories (``include``)."""

    ignore: str | None = None
    sparse: tuple[str, ...] = ()
    submodules: bool = False
    include: tuple[Include, ...] = ()


@dataclass(frozen=True, slots=True)
class GitSpec:
    """What of a repository is wanted, on whose behalf (a namespace), and how long one question may take, in seconds.
    With ``verification`` only what is signed so is of any use."""

    place: GitPlace
    reference: GitReference
    content: Content = field(default_factory=Content)
    owner: str = ""
    timeout: float = 60.0
    verification: Verification | None = None

    @property
    def id(self) -> str:
        """The name in caches; it differs by the verification, since an artifact found without that is not verified."""
        wanted = json.dumps([asdict(self.reference), asdict(self.content)])
        return _hash(self.place.id, wanted, *([self.verification.id] if self.verification is not None else []))


@dataclass(frozen=True, slots=True)
class Part:
    """The artifact of another source that is included. ``content`` identifies it; ``tree`` gives its files, which are
    in the commits that it ``needs``, by the ids of their places."""

    revision: str
    content: str
    digest: str
    tree: Callable[[], Awaitable[Tree]] = field(repr=False, compare=False)
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class GitArtifact:
    """What was found. ``revision`` is as Flux writes it (``main@sha1:<commit>``); ``content`` identifies what the
    artifact holds by what it was made of, ``digest`` (``sha256:...``) by its files, of which it has so many.
    ``verified`` says whose signatures were asked for and found, "" when none were asked for; ``author`` and ``subject``
    are the commit's."""

    revision: str
    commit: str
    content: str
    digest: str
    files: int = 0
    verified: str = ""
    author: str = ""
    subject: str = ""

    @property
    def info(self) -> CommitInfo:
        """The commit."""
        return CommitInfo(self.commit, self.author, self.subject)

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, data: Any) -> GitArtifact | None:
        """From ``data``; None for what is none."""
        try:
            revision, commit, content, digest = (str(data[it]) for it in ("revision", "commit", "content", "digest"))
            verified, author, subject = (str(data.get(it, "")) for it in ("verified", "author", "subject"))
            return cls(revision, commit, content, digest, int(data["files"]), verified, author, subject)
        except (AttributeError, TypeError, KeyError, ValueError):
            return None


def content_id(commit: str, content: Content, parts: Sequence[Part]) -> str:
    """Identifies the files of an artifact, by what it is made of."""
    return _hash(commit, json.dumps(asdict(content)), *(part.content for part in parts))


def _parts(credentials: GitCredentials) -> list[str]:
    texts = credentials.texts or GitTexts()
    # For the login of a Secret nothing is added, so that the name stays as it was in versions before.
    changing = {"texts", "until", *(("password", "token") if credentials.lent_to else ("lent_to",))}
    own = [str(getattr(credentials, item.name)) for item in fields(credentials) if item.name not in changing]
    return own + [getattr(texts, item.name) for item in fields(texts)]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
