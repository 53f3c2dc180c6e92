"""Sends one request after the other to a Provider, each within its time, and again where that may help."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import tenacity

from gitsync.backoff import jittered
from gitsync.errors import RetryableError, SourceError
from gitsync.http import Hints, HttpClient, Request, refusal
from gitsync.logs import redact
from gitsync.notify.notice import clean
from gitsync.notify.services.registry import Service
from gitsync.notify.target import Post, Target
from gitsync.text import shorten

#: Bytes of an answer that are read, and characters of it that are told.
MOST_ANSWER, _SHOWN = 64 << 10, 200
_HINTS = Hints(
    missing="check the address of the Provider",
    refused="check the token of the Provider's Secret",
    tls="if the server has a certificate of a private authority, give its ca.crt in certSecretRef",
)
#: Where answers say what is wrong.
_COMPLAINTS = ("error", "message", "description", "detail", "errcode", "errors")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and the seconds between: ``first`` and twice as long each time, at most ``most``,
    which also bounds what a server may ask for (Retry-After)."""

    tries: int = 5
    first: float = 1.0
    most: float = 60.0


async def patiently(
    work: Callable[[], Awaitable[None]], patience: Patience, on_failure: Callable[[RetryableError], None]
) -> None:
    """Do ``work``, and again while that may help; ``on_failure`` is told of each time that it did not.

    Raises: RetryableError for the last time; what else ``work`` raises, at once.
    """

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, RetryableError) else None
        growing = jittered(patience.first * 2 ** min(state.attempt_number - 1, 16), 0.2)
        return min(max(growing, asked or 0.0), patience.most)

    def failed(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, RetryableError):
            on_failure(error)

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(RetryableError),
        stop=tenacity.stop_after_attempt(patience.tries),
        wait=pause,
        after=failed,
        sleep=asyncio.sleep,
        reraise=True,
    )
    await retrying(work)


async def send(http: HttpClient, target: Target, service: Service, post: Post) -> None:
    """One request. What is said of it names the server, and never the whole address.

    Raises: SourceUnavailable for what may help to try again, SourceError for what is refused.
    """
    where = post.url.origin()
    request = Request(
        post.url,
        post.url,
        target.connection,
        post.method,
        headers=_headers(post),
        body=post.body,
        follows=False,
    )
    async with http.deadline(where, target.timeout, _HINTS), http.open(request) as (response, _):
        answer = await _answer(response)
        if response.status // 100 == 3:
            raise SourceError(f"{where} leads elsewhere ({response.status})", url=str(where), hint=_HINTS.missing)
        if response.status // 100 != 2:
            raise refusal(response, where, _HINTS, complaint(answer))
    if why := service.refused(answer):
        raise SourceError(f"{where} refuses it: {_told(why)}", url=str(where), hint=_HINTS.refused)


def _headers(post: Post) -> dict[str, str]:
    """With the user of the URL, where the service has nothing else to know us by."""
    url, headers = post.url, dict(post.headers)
    if url.user is not None and not any(name.lower() == "authorization" for name in headers):
        login = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    return headers


async def _answer(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of an answer; nobody waits for the rest."""
    found = bytearray()
    async for chunk in response.content.iter_chunked(MOST_ANSWER):
        found += chunk
        if len(found) >= MOST_ANSWER:
            response.close()
            break
    return bytes(found[:MOST_ANSWER])


def complaint(answer: bytes) -> str:
    """What an answer says is wrong, for people; "" where it says nothing."""
    try:
        found: Any = orjson.loads(answer)
    except orjson.JSONDecodeError:
        text = answer.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else _told(text)
    if isinstance(found, dict):
        found = next((found[name] for name in _COMPLAINTS if found.get(name)), "")
    return _told(found if isinstance(found, str) else orjson.dumps(found).decode()) if found else ""


def _told(text: str) -> str:
    return shorten(" ".join(clean(redact(text)).split()), _SHOWN)
