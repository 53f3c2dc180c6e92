"""The keys of those who issue tokens, asked for by OpenID Connect Discovery and kept for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cachetools import LRUCache

from gitsync.errors import GitsyncError, SourceUnavailable
from gitsync.http import Hints, HttpClient, Request, parse_url, redacted, refusal
from gitsync.runtime.singleflight import SingleFlight
from gitsync.web.receivers.jwt import Head, Keys

#: Seconds that keys are taken as they are; that an unknown key, or a failure, is not asked about again.
_FRESH: Final = 3600.0
_AGAIN: Final = 30.0
#: Seconds that an issuer may take, both requests together, and bytes of one answer.
_TIMEOUT: Final = 8.0
_MOST_BYTES: Final = 256 << 10
_MOST_ISSUERS: Final = 64
_HINTS: Final = Hints("check the issuerURL", "check the issuerURL", "check the certificate of the issuer")
_DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass(slots=True)
class _Known:
    """``at`` is when the keys came, ``asked`` when they were asked for last, ``error`` why that brought none."""

    keys: Keys
    at: float
    asked: float
    error: GitsyncError | None = None


class Issuers:
    """Asks only issuers that a Receiver names. To be closed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._http = HttpClient()
        self._known: LRUCache[str, _Known] = LRUCache(_MOST_ISSUERS)
        self._asking: SingleFlight[Keys] = SingleFlight()

    async def close(self) -> None:
        """End all connections."""
        await self._asking.close()
        await self._http.close()

    async def keys(self, issuer: str, head: Head) -> Keys:
        """The keys of an issuer, asked for again when the one of a token is not among them. Tokens with made-up keys
        have nobody asked more than twice a minute. Raises: GitsyncError when there are none."""
        known, now = self._known.get(issuer), self._clock()
        if known is not None:
            if now - known.at < _FRESH and known.keys.find(head) is not None:
                return known.keys
            if now - known.asked < _AGAIN:
                if known.error is not None:
                    # Without those whom it was raised to before: what they were asked would stay in memory.
                    raise known.error.with_traceback(None)
                return known.keys
        return await self._asking.run(issuer, lambda: self._ask(issuer))

    async def _ask(self, issuer: str) -> Keys:
        try:
            found = await self._document(issuer.rstrip("/") + _DISCOVERY)
            if found.get("issuer") != issuer:
                raise SourceUnavailable(f"{redacted(parse_url(issuer))} calls itself another issuer", url=issuer)
            keys = Keys(await self._document(str(found.get("jwks_uri"))))
        except GitsyncError as error:
            before, now = self._known.get(issuer), self._clock()
            keys, at = (before.keys, before.at) if before is not None else (Keys({}), now - _FRESH)
            self._known[issuer] = _Known(keys, at, now, error)
            raise
        self._known[issuer] = _Known(keys, self._clock(), self._clock())
        return keys

    async def _document(self, address: str) -> dict[str, Any]:
        """Raises: SourceError, SourceUnavailable."""
        url = parse_url(address)
        asking = Request(url, home=url, plain=False)
        async with self._http.deadline(url, _TIMEOUT / 2, _HINTS), self._http.open(asking) as (response, where):
            if response.status != 200:
                raise refusal(response, where, _HINTS)
            raw = await self._http.content(response, where, _MOST_BYTES)
        try:
            value = orjson.loads(raw)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise SourceUnavailable(f"{redacted(url)} is no JSON object", url=redacted(url))
        return value
