"""Where deliveries come in: a request is read within bounds, and passed on once it is proved who it is from."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitsync.web.receivers.delivery import (
    MAX_BODY,
    REASONS,
    TOO_LARGE,
    WRONG_TOKEN,
    Answer,
    Delivery,
    Proved,
    Refusal,
)
from gitsync.web.receivers.jwt import bearer, head_of
from gitsync.web.receivers.limits import Wrongs
from gitsync.web.receivers.refusal import refusal
from gitsync.web.receivers.senders import SENDERS, detected

if TYPE_CHECKING:
    from aiohttp import web

#: Bytes of a body that anybody may send at once with others; of larger ones few are there at a time.
SMALL: Final = 64 << 10
LARGE_AT_ONCE: Final = 2
#: Seconds for a body to come, and in which its turn has to.
BODY_TIME: Final = 10.0

#: Seconds after which to come again to what is about to be there.
_SOON: Final = 5.0

#: The status of what is said of a token with which nothing is wrong.
_GO_ON: Final = 200

_BODY_TOO_LARGE: Final = Refusal(TOO_LARGE, f"the body has more than {MAX_BODY >> 20} MiB")
_TOO_SLOW: Final = Refusal(408, f"the body did not come within {BODY_TIME:g} s")
_UNKNOWN_SENDER: Final = Refusal(401, "no header tells who has signed this")


@dataclass(frozen=True, slots=True, repr=False)
class Door:
    """What is known of a webhook where deliveries come in. With ``issuers``, a token of one of them is judged
    by whom it is passed on to."""

    name: str
    type: str
    token: bytes = b""
    closed: str = ""
    issuers: tuple[str, ...] = ()


#: Takes what came to a path: the delivery, and what is proved of it; None where that is to be judged yet.
PassOn = Callable[[str, Delivery, "Proved | None"], Awaitable["Answer | Refusal"]]
#: Judges the token of a delivery whose body is not known yet.
Doubt = Callable[[str, Delivery], Awaitable["Answer | Refusal"]]


class Doors:
    """All doors, by path. ``closed`` says why none is open, "" when they are; ``settling`` that there may be more than
    are known so far. ``tell_wrong`` is told of those who have proved nothing: the name of the webhook, and how many
    there were; ``refused`` counts what was refused, by that name ("" for none) and the reason."""

    def __init__(self, pass_on: PassOn, doubt: Doubt, tell_wrong: Callable[[str, int], None]) -> None:
        self.doors: Mapping[str, Door] = {}
        self.closed = "starting"
        self.settling = False
        self.refused: Counter[tuple[str, str]] = Counter()
        self._pass_on, self._doubt, self._tell_wrong = pass_on, doubt, tell_wrong
        self._wrongs = Wrongs()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request, whatever it is."""
        door = self.doors.get(request.path)
        if (closed := self._closed(door, request.method)) is not None:
            self._count(door, closed.status)
            return _response(closed) if closed.retry_after else refusal(request, closed.status, closed.text)
        assert door is not None
        async with AsyncExitStack() as stack:  # which a large body has its place in until it is answered
            answer = await self._answer(door, request, stack)
        if isinstance(answer, Refusal):
            self._count(door, answer.status)
            if answer.is_wrong and (count := self._wrongs.count(door.name)):
                self._tell_wrong(door.name, count)
            return refusal(request, answer.status, answer.why)
        return _response(answer)

    def _closed(self, door: Door | None, method: str) -> Answer | None:
        """What is said of a request that is no delivery, or comes at a time when none is taken."""
        if self.closed:
            return Answer(503, self.closed, _SOON)
        if door is None:
            unknown = Answer(404, "there is no such webhook")
            return Answer(503, "starting: not all webhooks are known yet", _SOON) if self.settling else unknown
        if method != "POST":
            return Answer(405, "deliveries are sent by POST")
        return Answer(503, door.closed) if door.closed else None

    def _count(self, door: Door | None, status: int) -> None:
        self.refused[door.name if door is not None else "", REASONS.get(status, "")] += 1

    async def _answer(self, door: Door, request: web.BaseRequest, stack: AsyncExitStack) -> Answer | Refusal:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), value)
        kind = door.type or detected(headers)
        if not kind:
            return _UNKNOWN_SENDER
        sender = SENDERS.get(kind)
        doubt = sender.doubt(headers, door.token) if sender is not None else _doubt_of_token(headers, door)
        if doubt is not None:
            return doubt
        if sender is None:  # of those who have no token nobody waits for a body
            doubted = await self._doubt(request.path, Delivery(headers))
            if isinstance(doubted, Refusal) or doubted.status != _GO_ON:
                return doubted
        body = await self._body(request, stack)
        if isinstance(body, Refusal):
            return body
        delivery = Delivery(headers, body)
        if sender is None:
            return await self._pass_on(request.path, delivery, None)
        judge = sender.judge
        is_large = len(body) > SMALL
        judged = await asyncio.to_thread(judge, delivery, door.token) if is_large else judge(delivery, door.token)
        return judged if isinstance(judged, Refusal) else await self._pass_on(request.path, delivery, judged)

    async def _body(self, request: web.BaseRequest, stack: AsyncExitStack) -> bytes | Refusal:
        length = request.content_length
        if (length or 0) > MAX_BODY:
            return _BODY_TOO_LARGE
        if length is not None and length <= SMALL and request.content.is_eof():
            return request.content.read_nowait()  # all of it came with the headers: there is nothing to wait for
        chunks: list[bytes] = []
        size, is_large = 0, False
        try:
            async with asyncio.timeout(BODY_TIME):
                while chunk := await request.content.readany():
                    size += len(chunk)
                    if size > MAX_BODY:
                        return _BODY_TOO_LARGE
                    if size > SMALL and not is_large:
                        is_large = True
                        await stack.enter_async_context(self._large)
                    chunks.append(chunk)
        except TimeoutError:
            return _TOO_SLOW
        return b"".join(chunks)


def _doubt_of_token(headers: Mapping[str, str], door: Door) -> Refusal | None:
    """What is wrong with the token of a delivery before anybody has looked whose signature it has."""
    head = head_of(bearer(headers.get("authorization", "")))
    return None if head is not None and head.issuer in door.issuers else WRONG_TOKEN


def _response(answer: Answer) -> web.StreamResponse:
    from aiohttp import web

    headers = {"Retry-After": str(max(1, round(answer.retry_after)))} if answer.retry_after else None
    return web.Response(text=f"{answer.text}\n", status=answer.status, headers=headers)
