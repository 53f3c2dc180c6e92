"""Credentials for registries as docker and Kubernetes keep them (``.dockerconfigjson``, ``.dockercfg``). Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from gitsync.errors import SourceError

#: The names of Docker Hub; the first is what its credentials are mostly filed under, as https://index.docker.io/v1/.
DOCKER_HUB = ("index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """Who we are to a registry: a user and password, or a token to get others by (``identity_token``), or one for the
    registry itself. All "" for nobody."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """All of it, for a digest."""
        return self.username, self.password, self.identity_token, self.registry_token

    @property
    def secrets(self) -> frozenset[str]:
        """What of it is not to be told."""
        return frozenset({self.password, self.identity_token, self.registry_token} - {""})

    @property
    def basic(self) -> str:
        """The header for user and password; "" without."""
        if not (self.username or self.password):
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True, repr=False)
class DockerConfig:
    """Logins by what they are for: ``host``, ``host/path`` or ``https://host/v1/``; parts of the host may be ``*``."""

    logins: Mapping[str, Login] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, *, old: bool = False) -> DockerConfig:
        """``old`` is the form of ``.dockercfg``. Raises: SourceError, which names no content."""
        try:
            found = json.loads(data)
            entries = found if old else found["auths"]
            return cls({str(key): _login(entry) for key, entry in entries.items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            form = "a map of registries" if old else "a map of registries in `auths`"
            raise SourceError(f"it is no docker configuration: it should be JSON with {form}") from None

    def login(self, host: str, name: str) -> Login | None:
        """The login for a repository, the most specific one; None without one."""
        hosts = DOCKER_HUB if host in DOCKER_HUB else (host,)
        found = [key for key in self.logins if any(_matches(key, item, name) for item in hosts)]
        return self.logins[max(found, key=_specific)] if found else None

    def merged(self, other: DockerConfig) -> DockerConfig:
        """Both; what this one has comes first."""
        return DockerConfig({**other.logins, **self.logins})


def _login(entry: Any) -> Login:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth") and not password:
        try:
            text = base64.b64decode(entry["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError from error
        username, _, password = text.partition(":")
        password = password.rstrip("\0\n")
    return Login(
        username,
        password,
        str(entry.get("identitytoken") or ""),
        str(entry.get("registrytoken") or ""),
    )


def _split(key: str) -> tuple[str, str]:
    """Host and path of a key, as Kubernetes' credential provider reads it."""
    rest = key.partition("://")[2] or key
    host, _, path = rest.partition("/")
    for version in ("v1", "v2"):
        if path == version or path.startswith(f"{version}/"):
            path = path[len(version) :]
    return host, path.strip("/")


def _matches(key: str, host: str, name: str) -> bool:
    wanted, path = _split(key)
    if path and name != path and not name.startswith(f"{path}/"):
        return False
    (wanted, _, wanted_port), (host, _, port) = wanted.partition(":"), host.partition(":")
    parts, given = wanted.lower().split("."), host.lower().split(".")
    return (
        wanted_port == port
        and len(parts) == len(given)
        and all(fnmatchcase(one, pattern) for one, pattern in zip(given, parts, strict=True))
    )


def _specific(key: str) -> tuple[int, bool, str]:
    host, path = _split(key)
    return len(path), "*" not in host, key
