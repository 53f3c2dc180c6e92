"""Downloads from chart repositories over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gitsync.errors import (
    ChartError,
    ChartNotFound,
    ChartRepositoryUnavailable,
    SourceError,
    SourceMissing,
    SourceUnavailable,
)
from gitsync.http import Hints, HttpClient, Request, parse_url, refusal
from gitsync.oci import Login
from gitsync.sources.helm.spec import RepositorySpec
from gitsync.spool import Body

_HINTS = Hints(
    missing="check the HelmRepository's url",
    refused="check the HelmRepository's secretRef (username, password)",
    tls="if the repository has a certificate of a private authority, give its ca.crt in certSecretRef",
    too_large="make it smaller: an index by dropping old versions, a chart by what templates do not read (.helmignore)",
)


@dataclass(frozen=True, slots=True)
class Response:
    """A response: ``body`` is None when the server says that nothing has changed (304). ``etag`` and ``modified`` go
    into the next request."""

    body: Body | None
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """The validators of the response that we have, for a conditional request."""

    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a conditional request."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in given.items() if value}


class ChartDownloads:
    """Asks chart repositories, each with its own credentials and TLS settings."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def get(
        self, spec: RepositorySpec, url: str, *, limit: int, known: Known | None = None, compressed: bool = False
    ) -> Response:
        """The body at ``url``, at most ``limit`` bytes.

        Raises: ChartRepositoryUnavailable (no answer in time, 429, 5xx), ChartNotFound (404), ChartError (anything that
        will not pass by itself: a refusal, a body that is too large, a URL that cannot be used).
        """
        with chart_errors():
            target, home = parse_url(url), parse_url(spec.url)
            request = Request(
                target,
                home,
                spec.connection,
                authorization=_authorization(spec),
                pass_credentials=spec.pass_credentials,
                headers=(known or Known()).headers,
                compressed=compressed,
            )
            async with self._http.deadline(target, spec.timeout, _HINTS), self._http.open(request) as (response, where):
                etag, modified = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
                if response.status == 304:
                    return Response(None, etag, modified)
                if response.status != 200:
                    raise refusal(response, where, _HINTS)
                return Response(await self._http.body(response, where, limit, _HINTS.too_large), etag, modified)

    async def look(self, spec: RepositorySpec, url: str) -> None:
        """Whether the server has something at ``url``, which is not read. Raises: as ``get``."""
        with chart_errors():
            target = parse_url(url)
            request = Request(
                target,
                parse_url(spec.url),
                spec.connection,
                authorization=_authorization(spec),
                pass_credentials=spec.pass_credentials,
            )
            async with self._http.deadline(target, spec.timeout, _HINTS), self._http.open(request) as (response, where):
                if response.status != 200:
                    raise refusal(response, where, _HINTS)


@contextmanager
def chart_errors() -> Iterator[None]:
    """Errors of a server are raised as errors of a chart repository."""
    try:
        yield
    except SourceUnavailable as error:
        raise ChartRepositoryUnavailable(
            error.message, url=error.url, hint=error.hint, retry_after=error.retry_after
        ) from error
    except SourceError as error:
        kind = ChartNotFound if isinstance(error, SourceMissing) else ChartError
        raise kind(error.message, hint=error.hint) from error


def _authorization(spec: RepositorySpec) -> str:
    """The header for the given credentials, else for those in the URL; "" when there are none."""
    url = parse_url(spec.url)
    return Login(spec.username, spec.password).basic or Login(url.user or "", url.password or "").basic
