"""From a request to an answer: who asks is proved first, and nothing else happens before that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from gitsync.errors import GitsyncError
from gitsync.web.receivers.delivery import MAX_BODY, TOO_LARGE, Delivery, Proved, Refusal
from gitsync.web.receivers.limits import Rates, Replays, Wrongs
from gitsync.web.receivers.routes import Route, Routes
from gitsync.web.receivers.senders import SENDERS, detected, is_wanted

if TYPE_CHECKING:
    from aiohttp import web

log = structlog.get_logger(__name__)

#: Bytes of a body that anybody may send at once with others; of larger ones few are read at a time.
SMALL: Final = 64 << 10
LARGE_AT_ONCE: Final = 2
#: Seconds for a body to come, and in which its turn has to.
BODY_TIME: Final = 10.0

_BODY_TOO_LARGE: Final = Refusal(TOO_LARGE, f"the body has more than {MAX_BODY >> 20} MiB")
_TOO_SLOW: Final = Refusal(408, f"the body did not come within {BODY_TIME:g} s")
_UNKNOWN_SENDER: Final = Refusal(401, "no header tells who has signed this")


class Webhooks:
    """Answers deliveries. ``unready`` says why it does not, "" when it does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.routes = Routes()
        self.unready = "starting"
        self._rates, self._replays, self._wrongs = Rates(clock), Replays(clock), Wrongs(clock)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to a request, whatever it is."""
        if self.unready:
            return _answer(503, self.unready, retry_after=5.0)
        route = self.routes.find(request.path)
        if route is None:
            return _answer(404, "there is no such webhook")
        if request.method != "POST":
            return _answer(405, "deliveries are sent by POST")
        if route.closed:
            return _answer(503, route.closed)
        came = await self._received(route, request)
        if isinstance(came, Refusal):
            return self._refuse(route, came)
        delivery, judged = came
        if isinstance(judged, Refusal):
            return self._refuse(route, judged)
        return await self._take(route, delivery, judged)

    async def _received(self, route: Route, request: web.BaseRequest) -> tuple[Delivery, Proved | Refusal] | Refusal:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), value)
        kind = route.type or detected(headers)
        if not kind:
            return _UNKNOWN_SENDER
        sender = SENDERS.get(kind)
        if sender is not None and (doubt := sender.doubt(headers, route.token)) is not None:
            return doubt
        body = await self._body(request)
        if isinstance(body, Refusal):
            return body
        delivery = Delivery(headers, body)
        if route.judge is not None:
            return delivery, await route.judge(delivery)
        assert sender is not None
        if len(body) > SMALL:
            return delivery, await asyncio.to_thread(sender.judge, delivery, route.token)
        return delivery, sender.judge(delivery, route.token)

    async def _body(self, request: web.BaseRequest) -> bytes | Refusal:
        if (request.content_length or 0) > MAX_BODY:
            return _BODY_TOO_LARGE
        chunks: list[bytes] = []
        size, holds = 0, False
        try:
            async with asyncio.timeout(BODY_TIME):
                while chunk := await request.content.readany():
                    size += len(chunk)
                    if size > MAX_BODY:
                        return _BODY_TOO_LARGE
                    if size > SMALL and not holds:
                        holds = await self._large.acquire()
                    chunks.append(chunk)
        except TimeoutError:
            return _TOO_SLOW
        finally:
            if holds:
                self._large.release()
        return b"".join(chunks)

    async def _take(self, route: Route, delivery: Delivery, proved: Proved) -> web.Response:
        """A delivery that is from whom it has to be."""
        if proved.is_ping:
            return _answer(200, "pong")
        if not is_wanted(proved.event, route.events):
            return _answer(200, "nothing is done for this event")
        if not self._replays.is_new(route.name, proved.identity):
            return _answer(202, "this was delivered before")
        if wait := self._rates.take(route.name):
            self._replays.forget(route.name, proved.identity)
            return _answer(429, "too many deliveries", retry_after=wait)
        done = False
        try:
            asked = await route.ask(delivery, proved)
            done = not isinstance(asked, Refusal)
        except GitsyncError as error:
            log.warning("what a webhook asks for cannot be asked for", receiver=route.name, error=error)
            return _answer(500, "what this asks for cannot be asked for; the agent's log says why")
        finally:
            if not done:  # the sender may try again
                self._replays.forget(route.name, proved.identity)
        if isinstance(asked, Refusal):
            return _answer(asked.status, asked.why)
        event = {"delivery": proved.event} if proved.event else {}
        log.info("webhook delivered", receiver=route.name, asked=asked, **event)
        return _answer(200, f"asked for {asked} object{'s' if asked != 1 else ''}")

    def _refuse(self, route: Route, refusal: Refusal) -> web.Response:
        if refusal.is_wrong and (count := self._wrongs.count(route.name)):
            log.warning("webhook refused: the sender has not proved who it is", receiver=route.name, count=count)
        return _answer(refusal.status, refusal.why)


def _answer(status: int, text: str, *, retry_after: float = 0.0) -> web.Response:
    from aiohttp import web

    headers = {"Retry-After": str(max(1, round(retry_after)))} if retry_after else None
    return web.Response(text=f"{text}\n", status=status, headers=headers)
