"""Where something is sent: a Provider with what its Secrets hold, and one request to it. Plain data, never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson
from yarl import URL

from gitsync.api.identity import ObjectKey
from gitsync.errors import SourceError
from gitsync.http import Connection, parse_url

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """A Provider. ``address`` and ``token`` may be secret; ``username`` is whom to post as, or with ``password`` who we
    are; ``status_name`` is what the Provider's own expression calls a commit's status, "" without one."""

    key: ObjectKey
    type: str
    address: str
    uid: str = ""
    channel: str = ""
    username: str = ""
    password: str = ""
    token: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    connection: Connection = field(default_factory=Connection)
    timeout: float = 15.0
    status_name: str = ""

    @property
    def url(self) -> URL:
        """The address. Raises: SourceError, which does not show it."""
        try:
            return parse_url(self.address.strip())
        except SourceError:
            hint = "give an http(s):// URL in spec.address or the Secret"
            raise self.wrong("has no address that can be used", hint) from None

    def wrong(self, why: str, hint: str = "") -> SourceError:
        """The error for a Provider that cannot be used."""
        return SourceError(f"Provider '{self.key.namespaced_name}' {why}", hint=hint)

    def needs(self, field: str, value: str) -> str:
        """A value that a service of this type needs. Raises: SourceError when it is empty."""
        if not value:
            raise self.wrong(f"of type {self.type} has no {field}", f"add {field}")
        return value


@dataclass(frozen=True, slots=True, repr=False)
class Post:
    """One request. Of a ``topic`` the same body is not sent twice in a row; "" for what is always sent."""

    url: URL
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    topic: str = ""


def json_post(
    url: URL, content: object, headers: Mapping[str, str] = _NOTHING, *, method: str = "POST", topic: str = ""
) -> Post:
    """A request with a JSON body."""
    return Post(url, orjson.dumps(content), {"Content-Type": "application/json", **headers}, method, topic)
