"""How many connections the page keeps: whoever reaches it may open as many as they like, and need not say anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

#: At once; the next one takes the place of the oldest that asks for nothing.
MOST_CONNECTIONS: Final = 256

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """The connections of one server."""

    def __init__(self) -> None:
        self._busy: set[object] = set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Knows which connections something was asked on that is not answered yet."""
        self._busy.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._busy.discard(request.protocol)

    async def listen(self, server: web.Server, address: str | None, port: int) -> asyncio.Server:
        """Take connections for ``server`` at a port, 0 for any that is free, of an address, None for all of this
        machine. Raises: OSError."""

        def one_more() -> asyncio.Protocol:
            known: list[RequestHandler] = server.connections
            if len(known) < MOST_CONNECTIONS:
                return server()
            idle = next((other for other in known if other not in self._busy), None)
            if idle is None:
                return _Refused()
            idle.force_close()
            return server()

        return await asyncio.get_running_loop().create_server(one_more, address, port)


class _Refused(asyncio.Protocol):
    """A connection that there is no room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
