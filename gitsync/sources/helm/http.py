"""HTTP downloads for chart repositories: bounded in size and time, careful with credentials across redirects."""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from cachetools import LRUCache
from yarl import URL

from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from gitsync.sources.helm.model import RepositorySpec, redacted

_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_CONTEXTS = 32


@dataclass(frozen=True, slots=True)
class Response:
    """What came: ``body`` is empty when ``unchanged`` (304). ``etag`` and ``modified`` are for the next request."""

    body: bytearray
    etag: str = ""
    modified: str = ""
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """The validators of what we have, for a conditional request."""

    etag: str = ""
    modified: str = ""


class HttpClient:
    """One connection pool for all repositories of a process."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._contexts: LRUCache[tuple[str, str, str], ssl.SSLContext] = LRUCache(_MAX_CONTEXTS)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self, spec: RepositorySpec, url: str, *, limit: int, known: Known | None = None, compressed: bool = False
    ) -> Response:
        """The body at ``url`` with the repository's credentials and TLS settings, at most ``limit`` bytes.

        Raises: ChartRepositoryUnavailable (no answer in time, 429, 5xx), ChartNotFound (404), ChartError (anything that
        will not pass by itself: a refusal, a body that is too large, a URL that cannot be used).
        """
        target = parse_url(url)
        try:
            async with asyncio.timeout(spec.timeout):
                return await self._follow(spec, target, limit, known or Known(), compressed)
        except TimeoutError:
            raise _unavailable(target, f"did not answer within {spec.timeout:g} s") from None
        except aiohttp.ClientSSLError as error:
            hint = "if the repository has a certificate of a private authority, give its ca.crt in certSecretRef"
            raise _unavailable(target, f"TLS failed: {_reason(error)}", hint) from None
        except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
            raise _unavailable(target, _reason(error)) from None

    async def _follow(self, spec: RepositorySpec, url: URL, limit: int, known: Known, compressed: bool) -> Response:
        home = parse_url(spec.url)
        for _ in range(_MAX_REDIRECTS):
            trusted = url.origin() == home.origin() or (
                spec.pass_credentials and not (home.scheme == "https" and url.scheme == "http")
            )
            async with await self._request(spec, url, known, compressed, trusted) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    return await _read(response, url, limit)
            url = parse_url(str(url.join(URL(location, encoded=True))))
        raise ChartError(f"{redacted(home)} redirects more than {_MAX_REDIRECTS} times")

    async def _request(
        self, spec: RepositorySpec, url: URL, known: Known, compressed: bool, trusted: bool
    ) -> aiohttp.ClientResponse:
        headers = {"User-Agent": "gitsync", "Accept-Encoding": "gzip" if compressed else "identity"}
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.modified:
            headers["If-Modified-Since"] = known.modified
        if trusted and (authorization := _basic_auth(spec)):
            headers["Authorization"] = authorization
        if self._session is None:
            # The cookies of one repository are none of another's business.
            # Each request has the deadline of its repository, so aiohttp needs none of its own.
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=True, timeout=aiohttp.ClientTimeout(total=None)
            )
        context = await self._context(spec, trusted) if url.scheme == "https" else True
        # A user in the URL has become the header above, where it was trusted.
        return await self._session.get(
            url.with_user(None), headers=headers, allow_redirects=False, ssl=context, auto_decompress=compressed
        )

    async def _context(self, spec: RepositorySpec, trusted: bool) -> ssl.SSLContext:
        """The repository's authority counts for every host it sends us to, its certificate only for trusted ones."""
        key = (spec.ca, spec.cert if trusted else "", spec.key if trusted else "")
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = await asyncio.to_thread(_ssl_context, *key)
        return context


def parse_url(url: str) -> URL:
    """Raises: ChartError for what is no http(s) URL."""
    try:
        # Already encoded: signed query strings must reach the server as they are.
        parsed = URL(url, encoded=True)
        if parsed.scheme in ("http", "https") and parsed.host:
            return parsed
    except ValueError:
        pass
    scheme = url.partition(":")[0]
    raise ChartError(
        f"{redacted(url)} is no http(s) URL" if len(scheme) < 20 else "a chart repository's URL is no http(s) URL"
    )


def _basic_auth(spec: RepositorySpec) -> str:
    """The header for the given credentials, else for those in the URL; "" when there are none."""
    url = parse_url(spec.url)
    username, password = spec.username, spec.password
    if not (username or password):
        username, password = url.user or "", url.password or ""
    if not (username or password):
        return ""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _ssl_context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        if cert:
            # The ssl module takes certificate and key from a file only; it lives (mode 0600) as long as this block.
            with tempfile.TemporaryDirectory(prefix="gitsync-tls-") as folder:
                pem = Path(folder, "client.pem")
                pem.touch(mode=0o600)
                pem.write_text(f"{cert}\n{key}\n", encoding="utf-8")
                context.load_cert_chain(pem)
    except (ssl.SSLError, ValueError):
        raise ChartError(
            "the repository's certificates cannot be read",
            hint="certSecretRef needs PEM texts: tls.crt with tls.key, and/or ca.crt",
        ) from None
    return context


async def _read(response: aiohttp.ClientResponse, url: URL, limit: int) -> Response:
    headers = response.headers
    if response.status == 304:
        return Response(bytearray(), headers.get("ETag", ""), headers.get("Last-Modified", ""), unchanged=True)
    if response.status != 200:
        raise _refusal(response, url)
    body = bytearray()
    if (response.content_length or 0) <= limit:
        async for chunk in response.content.iter_chunked(256 * 1024):
            body += chunk
            if len(body) > limit:
                break
        else:
            return Response(body, headers.get("ETag", ""), headers.get("Last-Modified", ""))
    raise ChartError(f"{redacted(url)} is larger than {limit / 2**20:g} MiB")


def _refusal(response: aiohttp.ClientResponse, url: URL) -> Exception:
    status, where = response.status, redacted(url)
    if status == 404:
        return ChartNotFound(f"{where}: not found (404)", hint="check the HelmRepository's url")
    if status in (401, 403, 407):
        return ChartError(
            f"{where}: access refused ({status})", hint="check the HelmRepository's secretRef (username, password)"
        )
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() and len(after) < 7 else None
        return ChartRepositoryUnavailable(f"{where}: answered {status}", url=where, retry_after=seconds)
    return ChartError(f"{where}: answered {status}", hint="check the HelmRepository's url")


def _unavailable(url: URL, reason: str, hint: str = "") -> ChartRepositoryUnavailable:
    return ChartRepositoryUnavailable(f"{redacted(url)}: {reason}", url=redacted(url), hint=hint)


def _reason(error: Exception) -> str:
    """Why, without the URL that aiohttp's own texts repeat with its credentials."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    cause = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or type(error).__name__)
