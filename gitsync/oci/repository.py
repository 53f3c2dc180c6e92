"""A repository of a registry, and how to reach it: plain data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from yarl import URL

from gitsync.errors import SourceError
from gitsync.http import Connection, redacted
from gitsync.oci.dockerconfig import DOCKER_HUB, Login
from gitsync.oci.lender import Lender

_SCHEME = "oci://"
_HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?")
#: The distribution specification's grammar of a repository's name.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST = 255
_HINT = "write it as oci://HOST/REPOSITORY, without a tag"


@dataclass(frozen=True, slots=True, repr=False)
class Repository:
    """``host`` and ``name`` are as they were written. ``insecure`` speaks plain HTTP. ``timeout`` is for one question,
    with all requests that it takes, in seconds; ``owner`` the namespace on whose behalf the registry is asked. A
    ``lender`` gives the login in the place of ``login``."""

    host: str
    name: str
    login: Login = field(default_factory=Login)
    connection: Connection = field(default_factory=Connection)
    insecure: bool = False
    timeout: float = 60.0
    owner: str = ""
    lender: Lender | None = None

    def __repr__(self) -> str:
        return f"Repository({str(self)!r})"

    def __str__(self) -> str:
        return f"{_SCHEME}{self.host}/{self.name}"

    @property
    def path(self) -> str:
        """Its name as its registry has it: what Docker Hub calls ``redis`` is ``library/redis`` there."""
        return f"library/{self.name}" if self.host in DOCKER_HUB and "/" not in self.name else self.name

    @property
    def base(self) -> URL:
        """Where its API is."""
        host = "registry-1.docker.io" if self.host in DOCKER_HUB else self.host
        return URL(f"{'http' if self.insecure else 'https'}://{host}/v2/{self.path}/")

    @property
    def id(self) -> str:
        """Names it in caches; differs when the credentials do, since they may decide what is shown."""
        login, given = self.login, self.connection
        lent = (self.lender.id,) if self.lender is not None else ()
        parts = (str(self.base), *login.parts, given.ca, given.cert, given.key, given.proxy, *lent)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def split_url(url: str) -> tuple[str, str]:
    """Host and repository of an ``oci://`` URL. Raises: SourceError."""
    rest = url.removeprefix(_SCHEME).rstrip("/")
    host, slash, name = rest.partition("/")
    tag = name.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if tag and re.fullmatch(r"[\w.-]{1,128}", tag):
        raise SourceError(f"the URL has a tag: remove ':{tag}'", url=redacted(url), hint=_HINT)
    if rest == url or not slash or not _HOST.fullmatch(host) or not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise SourceError("the URL is not that of a repository in a registry", url="", hint=_HINT)
    return host, name
