"""The server of webhooks: anybody may reach it, so few connections are kept, and none that says nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

#: Connections at once; the next one takes the place of the oldest that is not being answered.
MOST_CONNECTIONS: Final = 128
#: Seconds for the headers of a request to come, and bytes that are read at a time, and ahead, of a connection.
_IDLE: Final = 15.0
_AHEAD: Final = 16 << 10
_GRACE: Final = 1.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handle: Handler, listener: socket.socket) -> AsyncIterator[None]:
    """Answer on a socket that listens, without routes, middlewares and access log: wrong deliveries would cost more."""
    runner = web.ServerRunner(_Server(handle), handle_signals=False, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


class _Server(web.Server):
    def __init__(self, handle: Handler) -> None:
        super().__init__(
            self._answer,
            keepalive_timeout=_IDLE,
            lingering_time=_GRACE,
            read_bufsize=_AHEAD,
            auto_decompress=False,  # what is signed is what was sent
            access_log=None,
        )
        self._handle = handle
        self._busy: set[asyncio.BaseTransport | None] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            idle = (other for other in self._connections.values() if other not in self._busy)
            next(idle, transport).abort()
        transport.max_size = _AHEAD  # type: ignore[attr-defined]  # asyncio would take 256 KiB
        super().connection_made(handler, transport)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._busy.add(request.transport)
        try:
            return await self._handle(request)
        finally:
            self._busy.discard(request.transport)
