"""A chart repository, how to reach it, and what its index says: plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from yarl import URL


def redacted(url: str | URL) -> str:
    """The URL without user, password and query (signed URLs carry credentials there), for messages and logs."""
    try:
        parsed = URL(url) if isinstance(url, str) else url
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "(unreadable URL)"


@dataclass(frozen=True, slots=True, repr=False)
class RepositorySpec:
    """A chart repository and how to reach it. Secrets stay out of its repr.

    ``ca``, ``cert`` and ``key`` are PEM texts. ``timeout`` is for a whole request, in seconds, redirects included.
    ``pass_credentials`` sends the credentials also to other hosts that the index or a redirect names.
    """

    url: str
    username: str = ""
    password: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    pass_credentials: bool = False
    timeout: float = 60.0

    def __repr__(self) -> str:
        return f"RepositorySpec({redacted(self.url)!r})"

    @property
    def id(self) -> str:
        """Names the repository in caches; differs when the credentials do, since they may decide what is shown."""
        parts = (self.url, self.username, self.password, self.ca, self.cert, self.key)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """The state of a repository's index: ``revision`` is ``sha256:<hex of the file>``, ``url`` where it was read.

    ``changed`` tells whether this refresh brought another revision than the one before.
    """

    revision: str
    url: str
    changed: bool
    charts: int


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of one chart in an index. ``digest`` is the archive's sha256 in hex, "" when the index has none."""

    version: str
    digest: str
    urls: tuple[str, ...]
    created: str = ""
    app_version: str = ""
