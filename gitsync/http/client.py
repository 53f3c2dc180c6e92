"""One pool of connections for the servers of all sources."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import aiohttp
from cachetools import LRUCache
from yarl import URL

from gitsync.errors import GitsyncError, NoRoom, SourceError, SourceMissing, SourceUnavailable
from gitsync.http.urls import parse_url, redacted
from gitsync.spool import Body, Spool

#: The longest that a source's own timeout may be unless a setting says otherwise, in seconds.
TIMEOUT_LIMIT = 300.0
_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_CONTEXTS = 32
_CHUNK = 256 * 1024
_PROXY_HINT = "check proxySecretRef, or the proxy in the agent's environment"


@dataclass(frozen=True, slots=True)
class Hints:
    """What to do about an answer, in words of the source that asks."""

    missing: str = "check its url"
    refused: str = "check its secretRef"
    tls: str = "if the server has a certificate of a private authority, give its ca.crt in certSecretRef"
    too_large: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Connection:
    """How a server is reached: PEM texts, and a proxy's URL, which may hold its credentials."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    proxy: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request. Credentials and the client's certificate belong to ``home``, a URL: its origin alone gets them, or all
    hosts that it leads to with ``pass_credentials``, but nobody over plain HTTP for what is meant for HTTPS.

    ``plain`` lets a redirect lead from HTTPS to HTTP, for what is verified by a digest that came over HTTPS.
    """

    url: URL
    home: URL
    connection: Connection = field(default_factory=Connection)
    method: str = "GET"
    authorization: str = ""
    pass_credentials: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    form: Mapping[str, str] | None = None
    compressed: bool = False
    plain: bool = True
    #: What is sent, when it is no form; never on to where an answer leads.
    body: bytes | None = None
    #: Whether to go where an answer leads.
    follows: bool = True
    #: Never by a proxy of the environment: for what is on this very machine, as the metadata servers of clouds.
    direct: bool = False

    @property
    def trusted(self) -> bool:
        """Whether the server that is asked is one that credentials are for."""
        downgraded = self.home.scheme == "https" and self.url.scheme == "http"
        return self.url.origin() == self.home.origin() or (self.pass_credentials and not downgraded)

    def redirected(self, location: str) -> Request:
        """The same to where an answer leads. Raises: SourceError."""
        url = parse_url(str(self.url.join(URL(location, encoded=True))))
        if self.url.scheme == "https" and url.scheme == "http" and not self.plain:
            raise SourceError(
                f"{redacted(self.home)} leads from https to plain http at {redacted(url)}", url=redacted(self.home)
            )
        # What a form holds is for whom it was meant.
        return replace(self, url=url, body=None, form=self.form if url.origin() == self.url.origin() else None)


class HttpClient:
    """One connection pool for all sources of a process. ``timeout_limit`` cuts their timeouts, in seconds; ``spool`` is
    where their answers wait."""

    def __init__(self, timeout_limit: float = TIMEOUT_LIMIT, spool: Spool | None = None) -> None:
        self._timeout_limit = timeout_limit
        self._spool = spool or Spool()
        #: By whether they go by the proxies of the environment.
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._contexts: LRUCache[tuple[str, str, str], ssl.SSLContext] = LRUCache(_MAX_CONTEXTS)

    async def close(self) -> None:
        """Ends all connections."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    @asynccontextmanager
    async def deadline(self, url: URL, seconds: float, hints: Hints) -> AsyncIterator[None]:
        """What is asked inside has to be answered in time; what goes wrong with the network is said of ``url``.

        Raises: SourceUnavailable.
        """
        timeout = min(seconds, self._timeout_limit)
        try:
            async with asyncio.timeout(timeout):
                yield
        except TimeoutError:
            hint = "" if timeout == seconds else "that is the longest that the agent waits (source_timeout_limit)"
            raise _unavailable(url, f"did not answer within {timeout:g} s", hint) from None
        except aiohttp.ClientSSLError as error:
            raise _unavailable(url, f"TLS failed: {_reason(error)}", hints.tls) from None
        except aiohttp.ClientHttpProxyError as error:  # of a tunnel; else it answers in the server's place
            raise _unavailable(url, f"its proxy refuses ({error.status})", _PROXY_HINT) from None
        except aiohttp.ClientProxyConnectionError as error:
            raise _unavailable(url, f"its proxy cannot be reached: {_reason(error)}", _PROXY_HINT) from None
        except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
            raise _unavailable(url, _reason(error)) from None

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[tuple[aiohttp.ClientResponse, URL]]:
        """The answer, after redirects, and who gave it; inside of a ``deadline``. Raises: SourceError."""
        for _ in range(_MAX_REDIRECTS):
            async with await self._send(request) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location or not request.follows:
                    yield response, request.url
                    return
            request = request.redirected(location)
        home = redacted(request.home)
        raise SourceError(f"{home} redirects more than {_MAX_REDIRECTS} times", url=home)

    async def body(
        self, response: aiohttp.ClientResponse, url: URL, limit: int, hint: str = "", more: GitsyncError | None = None
    ) -> Body:
        """What an answer holds, at most ``limit`` bytes.

        Raises: ``more`` for more, or SourceError with this ``hint``; SourceUnavailable when there is no room for it.
        """
        draft = self._spool.draft()
        if (response.content_length or 0) <= limit:
            async for chunk in response.content.iter_chunked(_CHUNK):
                if draft.size + len(chunk) > limit:
                    break
                try:
                    await draft.take(chunk)
                except NoRoom as error:
                    raise _unavailable(url, error.message, error.hint) from None
            else:
                return draft.body()
        where = redacted(url)
        raise more or SourceError(f"{where} is larger than {limit / 2**20:g} MiB", url=where, hint=hint)

    async def content(self, response: aiohttp.ClientResponse, url: URL, limit: int) -> bytes:
        """The same of what is looked at once, and at once. It waits for its end as others do."""
        body = await self.body(response, url, limit)
        return body.data if body.data is not None else await asyncio.to_thread(body.read)

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        headers = {"User-Agent": "gitsync", "Accept-Encoding": "gzip" if request.compressed else "identity"}
        headers |= request.headers
        if request.trusted and request.authorization:
            headers["Authorization"] = request.authorization
        secure = request.url.scheme == "https"
        return await self._session(not request.direct).request(
            request.method,
            # A user in the URL has become a header, where it was trusted.
            request.url.with_user(None),
            headers=headers,
            data=request.body if request.body is not None else request.form,
            allow_redirects=False,
            ssl=await self._context(request) if secure else True,
            proxy=request.connection.proxy or None,
            auto_decompress=request.compressed,
        )

    def _session(self, by_proxy: bool) -> aiohttp.ClientSession:
        if by_proxy not in self._sessions:
            # The cookies of one source are none of another's business.
            # Each request has the deadline of its source, so aiohttp needs none of its own.
            # How many there are at once is bounded by namespace, so that nobody waits for what another's server does.
            self._sessions[by_proxy] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=by_proxy,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._sessions[by_proxy]

    async def _context(self, request: Request) -> ssl.SSLContext:
        """The source's authority counts for every host it sends us to, its certificate only for trusted ones."""
        given = request.connection
        key = (given.ca, given.cert if request.trusted else "", given.key if request.trusted else "")
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = await asyncio.to_thread(_ssl_context, *key)
        return context


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
        raise SourceError(
            "its certificates cannot be read",
            hint="certSecretRef needs PEM texts: tls.crt with tls.key, and/or ca.crt",
        ) from None
    return context


def refusal(response: aiohttp.ClientResponse, url: URL, hints: Hints, why: str = "") -> GitsyncError:
    """What an answer that is none comes to. ``why`` is what the server says of it, in words of its protocol."""
    status, where = response.status, redacted(url)
    said = f"{status}, {why}" if why else str(status)
    if status == 404:
        return SourceMissing(f"{where}: not found ({said})", url=where, status=status, hint=hints.missing)
    if status == 407:
        return SourceError(f"{where}: its proxy refuses ({said})", url=where, status=status, hint=_PROXY_HINT)
    if status in (401, 403):
        return SourceError(f"{where}: access refused ({said})", url=where, status=status, hint=hints.refused)
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() and len(after) < 7 else None
        return SourceUnavailable(f"{where}: answered {said}", url=where, retry_after=seconds)
    return SourceError(f"{where}: answered {said}", url=where, status=status, hint=hints.missing)


def _unavailable(url: URL, reason: str, hint: str = "") -> SourceUnavailable:
    return SourceUnavailable(f"{redacted(url)}: {reason}", url=redacted(url), hint=hint)


#: What aiohttp has no words for, but the name of a class.
_WORDS: Mapping[type[Exception], str] = {
    aiohttp.ServerDisconnectedError: "it closed the connection",
    aiohttp.ClientPayloadError: "its answer broke off",
    aiohttp.ClientResponseError: "it does not answer as HTTP has it",
}


def _reason(error: Exception) -> str:
    """Why, without the URL that aiohttp's own texts repeat with its credentials."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    cause = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or type(error).__name__)
