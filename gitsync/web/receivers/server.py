"""The port of webhooks: anybody may reach it, so few connections are kept, and none for long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from gitsync.errors import SettingsError

if TYPE_CHECKING:
    from aiohttp import web

    from gitsync.web.receivers.handlers import Webhooks

log = structlog.get_logger(__name__)

#: Connections at once; the next one takes the place of the oldest that is not being answered.
MOST_CONNECTIONS: Final = 128
#: Seconds for the headers of a request to come, and bytes that are read ahead of a connection.
_IDLE: Final = 15.0
_AHEAD: Final = 16 << 10
_GRACE: Final = 1.0


@asynccontextmanager
async def listening(webhooks: Webhooks, port: int) -> AsyncIterator[None]:
    """Answer deliveries on all addresses; on no port when it is 0. Raises: SettingsError when it cannot be had."""
    if not port:
        yield
        return
    from aiohttp import web  # see web/serving

    runner = web.ServerRunner(_bounded_server(webhooks), handle_signals=False, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, port=port).start()
        except OSError as error:
            what = f"port {port} for webhooks cannot be had: {error.strerror}"
            raise SettingsError(what, setting="webhook_port") from error
        log.debug("answering webhooks", port=port)
        yield
    finally:
        await runner.cleanup()


def _bounded_server(webhooks: Webhooks) -> web.Server:
    """A server without routes, middlewares and access log, of which wrong deliveries would pay the price."""
    import asyncio

    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

    busy: set[asyncio.BaseTransport | None] = set()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        busy.add(request.transport)
        try:
            return await webhooks.handle(request)
        finally:
            busy.discard(request.transport)

    class Server(web.Server):
        def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
            if len(self._connections) >= MOST_CONNECTIONS:
                idle = (other for other in self._connections.values() if other not in busy)
                next(idle, transport).abort()
            super().connection_made(handler, transport)

    return Server(
        answer,
        keepalive_timeout=_IDLE,
        lingering_time=_GRACE,
        read_bufsize=_AHEAD,
        auto_decompress=False,  # what is signed is what was sent
        access_log=None,
    )
