"""What of a Git repository is wanted, and what was found: plain data."""

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
    """Where a repository is, and who we are there. What has the same shares a mirror; a login that ends and another one
    after it are the same."""

    url: str
    credentials: GitCredentials = field(default_factory=GitCredentials)

    @property
    def id(self) -> str:
        """Names it in caches; another one for another login, which may be shown something else."""
        return _hash(self.url, *_parts(self.credentials))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GitPlace) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class Include:
    """The content of another GitRepository of the same namespace, put into this one's; "" is all of it, for
    ``to_path`` a folder of the other's name."""

    name: str
    from_path: str = ""
    to_path: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What of a commit, and beside it, an artifact holds: ``ignore`` are patterns of what is left out, ``sparse`` the
    directories that it has, all by default."""

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
        """Names it in caches: what was found without a signature, or by other keys, is not known to be this."""
        wanted = json.dumps([asdict(self.reference), asdict(self.content)])
        return _hash(self.place.id, wanted, *([self.verification.id] if self.verification is not None else []))


@dataclass(frozen=True, slots=True)
class Part:
    """The artifact of another source, which one includes. ``content`` identifies it; ``tree`` gives it, out of the
    commits that it ``needs``, by the ids of their places."""

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
    """What is another text when the artifact may have other files."""
    return _hash(commit, json.dumps(asdict(content)), *(part.content for part in parts))


def _parts(credentials: GitCredentials) -> list[str]:
    texts = credentials.texts or GitTexts()
    # What is known by the login of a Secret stays known by the same name, so nothing is added for that.
    changing = {"texts", "until", *(("password", "token") if credentials.lent_to else ("lent_to",))}
    own = [str(getattr(credentials, item.name)) for item in fields(credentials) if item.name not in changing]
    return own + [getattr(texts, item.name) for item in fields(texts)]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
