"""A chart repository, how to reach it, and what its index says: plain data."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from yarl import URL

from gitsync.http import Connection, redacted
from gitsync.oci import DockerConfig, Lender, Login


@dataclass(frozen=True, slots=True, repr=False)
class RepositorySpec:
    """A chart repository and how to reach it. Secrets stay out of its repr.

    ``ca``, ``cert`` and ``key`` are PEM texts. ``timeout`` is for a whole request, in seconds, redirects included.
    ``pass_credentials`` sends the credentials also to other hosts that the index or a redirect names. ``owner`` is the
    namespace on whose behalf it is asked. ``docker``, ``insecure`` (plain HTTP) and ``lender``, who
    gives a login, are for ``oci://``.
    """

    url: str
    username: str = ""
    password: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    pass_credentials: bool = False
    timeout: float = 60.0
    owner: str = ""
    docker: DockerConfig = field(default_factory=DockerConfig)
    insecure: bool = False
    lender: Lender | None = None

    def __repr__(self) -> str:
        return f"RepositorySpec({redacted(self.url)!r})"

    @property
    def is_registry(self) -> bool:
        """Whether the repository is a registry: no index; each chart is a repository there, each version a tag."""
        return self.url.lower().startswith("oci://")

    @property
    def shown(self) -> str:
        """Its URL, without credentials."""
        return redacted(self.url)

    def login(self, host: str, name: str) -> Login:
        """The credentials for one repository of the registry."""
        if self.username or self.password:
            return Login(self.username, self.password)
        return self.docker.login(host, name) or Login()

    @property
    def secrets(self) -> frozenset[str]:
        """The texts that must not be logged."""
        logins = frozenset[str]().union(*(login.secrets for login in self.docker.logins.values()))
        return logins | ({self.password, self.key} - {""})

    @property
    def connection(self) -> Connection:
        """The TLS settings and the proxy by which its server is reached."""
        return Connection(self.ca, self.cert, self.key)

    @property
    def host(self) -> str:
        """Its host and port; "" when the URL has none."""
        try:
            return URL(self.url).host_port_subcomponent or ""
        except ValueError:
            return ""

    @property
    def id(self) -> str:
        """The repository's name in caches. It depends on the credentials, too, since they may decide which charts
        are shown."""
        logins = (part for key, login in self.docker.logins.items() for part in (key, *login.parts))
        lent = (self.lender.id,) if self.lender is not None else ()
        parts = (self.url, self.username, self.password, self.ca, self.cert, self.key, *logins, *lent)
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
    #: In bytes, where it is known.
    size: int = 0

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, data: Any) -> IndexEntry | None:
        """An entry from its ``data``; None for anything else."""
        try:
            return cls(**{**data, "urls": tuple(data["urls"])})
        except (TypeError, KeyError):
            return None
