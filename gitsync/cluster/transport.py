"""One request to the API server: its retries, time limits and errors."""

from __future__ import annotations

import asyncio
import copy
import errno
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import structlog
import tenacity
from yarl import URL

from gitsync.budget import Loan, Share, Spent, lent
from gitsync.cluster.access.access import Access
from gitsync.cluster.bounds import OWN, Bounds
from gitsync.cluster.connection import Connection
from gitsync.cluster.status import Subject, error_of, warnings_of
from gitsync.cluster.timings import Timings
from gitsync.cluster.turns import Turns
from gitsync.depth import shallow
from gitsync.errors import (
    ApiError,
    ClusterUnavailable,
    Conflict,
    GitsyncError,
    Invalid,
    SettingsError,
    Unauthorized,
    WebhookUnavailable,
)
from gitsync.metering import METER
from gitsync.text import whole_number
from gitsync.weight import json_weight

log = structlog.get_logger(__name__)

JSON = "application/json"
APPLY_PATCH = "application/apply-patch+yaml"
#: Requests under way at once. More do not make an API server faster, they only queue there instead of here.
IN_FLIGHT = 32
ATTEMPTS = 8
#: The reason of an ApiError for an answer that is too large.
TOO_LARGE = "AnswerTooLarge"
_USER_AGENT = "gitsync"
_CREATED = 201
#: How deep in an answer the fields of its object are, or of the objects of its list.
_OBJECT_LEVEL, _LIST_LEVEL = 2, 4
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``repeatable``: doing it twice does no harm, so that it is sent again even when the first may have
    been carried out. ``races``: a 409 only says that somebody else wrote at the same moment, so it is sent again.
    """

    method: str
    path: str
    subject: Subject
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = JSON
    accept: str = JSON
    repeatable: bool = True
    races: bool = False
    compressed: bool = False

    @property
    def url(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed body, the texts of the API server's ``Warning`` headers, whether it says that it has created an object,
    and about the bytes of memory that the body takes."""

    body: Any
    warnings: tuple[str, ...] = ()
    created: bool = False
    weight: int = 0


def encode(manifest: Any, subject: Subject) -> bytes:
    """JSON of an object. Raises: Invalid when JSON cannot hold it (a key that is no text, an integer over 64 bits)."""
    try:
        return orjson.dumps(manifest)
    except orjson.JSONEncodeError as error:
        raise Invalid(
            f"cannot {subject.verb} {subject.name}: it cannot be written as JSON ({error})",
            status=400,
            reason="BadRequest",
            verb=subject.verb,
            key=subject.key,
        ) from error


class Transport:
    """Sends requests over a Connection. ``requests`` counts what was sent, by verb, repeats included. ``bounds`` are
    for single answers, ``share`` is for the memory of all answers at a moment (None: unbounded)."""

    def __init__(
        self, connection: Connection, timings: Timings, bounds: Bounds = OWN, share: Share | None = None
    ) -> None:
        self.bounds = bounds
        self.share = share
        self._connection = connection
        self._timings = timings
        self._user = ""
        self._slots = Turns(IN_FLIGHT)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timings.connect)
        self._wait = tenacity.wait_random_exponential(multiplier=timings.backoff * 2, max=timings.backoff_max)
        self.requests: Counter[str] = Counter()

    def impersonating(self, user: str) -> Transport:
        """The same as ``user``, over the same connection. Of a ServiceAccount's user the API server knows the groups;
        naming them would only need more rights.
        """
        other = copy.copy(self)
        other._user = user
        return other

    async def send(self, request: Request) -> Answer:
        """The answer to a request, repeated while that makes sense.

        Raises: ApiError subclasses for what the API server says about the object, ClusterUnavailable when it could not
        be reached or failed on every attempt, SettingsError when credentials could not be renewed.
        """
        deadline = time.monotonic() + self._timings.total
        try:
            return await self._attempt(request)
        except (ClusterUnavailable, Conflict) as error:
            if not self._again(request, error):
                raise
            first = error
        return await self._repeat(request, first, deadline - time.monotonic())

    async def _repeat(self, request: Request, failed: GitsyncError | None, left: float) -> Answer:
        """Goes on after a first attempt that failed; the usual request never pays for this machinery."""

        async def attempt() -> Answer:
            nonlocal failed
            if failed is not None:
                first, failed = failed, None
                raise first
            return await self._attempt(request)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: self._again(request, error)),
            wait=self._pause,
            stop=tenacity.stop_any(tenacity.stop_after_attempt(ATTEMPTS), tenacity.stop_before_delay(left)),
            before_sleep=lambda state: log.debug(
                "request repeated",
                verb=request.subject.verb,
                subject=request.subject.name,
                attempt=state.attempt_number,
            ),
            reraise=True,
        )
        return await retrying(attempt)

    def _again(self, request: Request, error: BaseException) -> bool:
        """Whether to send it once more."""
        if isinstance(error, Conflict):
            return request.races and error.reason != "FieldManagerConflict"
        if not isinstance(error, ClusterUnavailable) or _untrusted(error) or self._connection.closed:
            return False
        if isinstance(error, WebhookUnavailable):
            return False  # what serves the webhook may wait for this very caller; and the reason is worth telling now
        never_begun = error.status in (429, 503) or isinstance(error.__cause__, _NOT_CONNECTED)
        return request.repeatable or never_begun

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ClusterUnavailable) else None
        return (asked or 0.0) + self._wait(state)  # the jitter on top: everybody was asked to wait as long

    async def _attempt(self, request: Request) -> Answer:
        """Once, or twice when the first met a 401 or an unknown certificate and the credentials could be renewed."""
        await self._connection.refresh()
        generation = self._connection.generation
        try:
            return await self._once(request)
        except (Unauthorized, ClusterUnavailable) as error:
            await self._renew(generation, error)
        return await self._once(request)

    async def _renew(self, generation: int, error: Unauthorized | ClusterUnavailable) -> None:
        """Renews the credentials where ``error`` says that they are the cause, and raises it again where not."""
        if not isinstance(error, Unauthorized) and not _untrusted(error):
            raise error
        try:
            await self._connection.renew(generation)
        except SettingsError as unusable:
            raise unusable from error

    async def _once(self, request: Request) -> Answer:
        async with self._slots:
            began, code = time.monotonic(), "<error>"
            with self._connection.use() as access, lent(self.share) as loan:
                try:
                    async with asyncio.timeout(self._timings.request), self._respond(request, access) as response:
                        self._connection.heard()
                        code = str(response.status)
                        raw = await _read(response, request.subject, self.bounds.answer, loan)
                except TimeoutError as error:
                    self._connection.reconnect(access.rest)
                    raise self._unheard(_silent(request.subject, access)) from error
                except (aiohttp.ClientError, OSError) as error:
                    raise self._unheard(_unreachable(request.subject, access, error)) from error
                finally:
                    METER.request(request.method, code, time.monotonic() - began)
                return _answer(request.subject, response, raw, self.bounds.weight, loan)

    def heard(self) -> None:
        """To be called when something came on a stream: the API server is there."""
        self._connection.heard()

    def _unheard(self, error: ClusterUnavailable) -> ClusterUnavailable:
        self._connection.unheard(error)
        return error

    def _respond(self, request: Request, access: Access) -> Any:
        self.requests[request.subject.verb] += 1
        headers = {"Accept": request.accept, "User-Agent": _USER_AGENT}
        headers["Accept-Encoding"] = "gzip" if request.compressed else "identity"
        if access.authorization:
            headers["Authorization"] = access.authorization
        if self._user:
            headers["Impersonate-User"] = self._user
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return access.rest.session().request(
            request.method,
            URL(access.host + request.url, encoded=True),
            data=request.body,
            headers=headers,
            allow_redirects=False,
            timeout=self._timeout,
            proxy=access.proxy,
            server_hostname=access.server_name,
        )

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of an answer that goes on, as it comes. Not repeated: only the reader knows where to go on.

        Raises: as ``send``; ClusterUnavailable also for a connection that breaks later.
        """
        async with AsyncExitStack() as stack:
            await self._connection.refresh()
            generation = self._connection.generation
            try:
                content = await stack.enter_async_context(self._open(request))
            except (Unauthorized, ClusterUnavailable) as error:
                await self._renew(generation, error)
                content = await stack.enter_async_context(self._open(request))
            yield content

    @asynccontextmanager
    async def _open(self, request: Request) -> AsyncIterator[aiohttp.StreamReader]:
        with self._connection.use() as access:
            try:
                async with (
                    asyncio.timeout(self._timings.request) as deadline,
                    self._respond(request, access) as response,
                ):
                    self._connection.heard()
                    if response.status != 200:
                        with lent(self.share) as loan:
                            raw = await _read(response, request.subject, self.bounds.answer, loan)
                            _answer(request.subject, response, raw, self.bounds.weight, loan)
                    deadline.reschedule(None)
                    try:
                        yield response.content
                    finally:
                        _break_off(response)
            except TimeoutError as error:  # ours, or the reader's, who heard nothing for too long
                self._connection.reconnect(access.rest)
                raise self._unheard(_silent(request.subject, access)) from error
            except (aiohttp.ClientError, OSError) as error:
                raise self._unheard(_unreachable(request.subject, access, error)) from error


def _break_off(response: aiohttp.ClientResponse) -> None:
    """Ends a connection whose answer is not read to its end, without the farewell of TLS: that waits half a minute for
    the other side, which may be gone.
    """
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


def _untrusted(error: GitsyncError) -> bool:
    return isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError)


def _silent(subject: Subject, access: Access) -> ClusterUnavailable:
    return ClusterUnavailable(f"cannot {subject.verb} {subject.name}: {access.host} does not answer")


def _unreachable(subject: Subject, access: Access, error: Exception) -> ClusterUnavailable:
    return ClusterUnavailable(
        f"cannot {subject.verb} {subject.name}: {access.host} cannot be reached ({_cause(error)})",
        hint="check that the API server runs, and its address and certificate authority in the kubeconfig",
    )


def _cause(error: Exception) -> str:
    """What the system says of a connection that did not come about, else the kind of error; never its text."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number)
    return type(error).__name__


def decoded(raw: bytes, level: int) -> Any:
    """The decoded JSON, None when it is none. Where it is nested too deep, the fields of objects (which are ``level``
    levels down) that are too deep become null: so the object can still be named, and others in the same list be
    read."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return orjson.loads(shallow(raw, level))
        except orjson.JSONDecodeError:
            return None


def _answer(subject: Subject, response: aiohttp.ClientResponse, raw: bytes, most: int, loan: Loan) -> Answer:
    heavy = json_weight(raw)
    if heavy > most:
        raise _too_large(subject, response, f"the answer would take more than {most >> 20} MiB of memory")
    _take(loan, heavy, subject, response)
    body = decoded(raw, _LIST_LEVEL if subject.verb == "list" else _OBJECT_LEVEL)
    if not 200 <= response.status < 300:
        raise error_of(subject, response.status, body, _retry_after(response))
    if body is None:
        raise ClusterUnavailable(
            f"cannot {subject.verb} {subject.name}: the answer is not JSON", status=response.status
        )
    warnings = warnings_of(response.headers.getall("Warning", ()))
    for text in warnings:
        log.debug("api server warns", verb=subject.verb, subject=subject.name, warning=text)
    return Answer(body, warnings, response.status == _CREATED, heavy)


async def _read(response: aiohttp.ClientResponse, subject: Subject, most: int, loan: Loan) -> bytes:
    chunks = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise _too_large(subject, response, f"the answer is larger than {most >> 20} MiB")
        _take(loan, 2 * len(chunk), subject, response)  # they are put together at the end
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _take(loan: Loan, size: int, subject: Subject, response: aiohttp.ClientResponse) -> None:
    """Add to a loan. Raises: ApiError when this server has no more of its share; ClusterUnavailable when there is no
    memory until other servers give some back."""
    try:
        loan.take(size)
    except Spent as spent:
        if spent.together:
            why = f"what the API servers of kubeconfigs have answered would take {spent}"
            raise ClusterUnavailable(f"cannot {subject.verb} {subject.name}: {why}") from None
        raise _too_large(subject, response, f"all that this API server has answered would take {spent}") from None


def _too_large(subject: Subject, response: aiohttp.ClientResponse, why: str) -> ApiError:
    message = f"cannot {subject.verb} {subject.name}: {why}"
    return ApiError(message, status=response.status, reason=TOO_LARGE, verb=subject.verb, key=subject.key)


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds, from either form of the header (RFC 9110)."""
    text = response.headers.get("Retry-After", "")
    if (seconds := whole_number(text)) is not None:
        return float(seconds)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
