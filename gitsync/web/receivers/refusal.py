"""Refusals as cheap as they can be: the same bytes each time, for there may be thousands a second."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from aiohttp import web

#: Bytes of answers that somebody has not read who sends on: he is not going to.
_MOST_UNREAD: Final = 64 << 10


def refusal(request: web.BaseRequest, status: int, why: str) -> web.StreamResponse:
    """The answer to a request that nothing comes of."""
    from aiohttp import web

    if request.version < (1, 1) or not request.keep_alive:
        return web.Response(text=f"{why}\n", status=status)
    return cast("web.StreamResponse", _Prepared(_bytes(status, why)))


class _Prepared:
    """As much of an answer as aiohttp asks for: putting headers together takes it as long as all else together."""

    __slots__ = ("_bytes",)

    keep_alive: Final = True

    def __init__(self, text: bytes) -> None:
        self._bytes = text

    async def prepare(self, request: web.BaseRequest) -> None:
        """Raises: ConnectionResetError."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        if transport.get_write_buffer_size() > _MOST_UNREAD:
            transport.abort()
            raise ConnectionResetError
        transport.write(self._bytes)

    async def write_eof(self) -> None:
        """All is written."""


@lru_cache(64)
def _bytes(status: int, why: str) -> bytes:
    body = f"{why}\n".encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
