"""Server-sent events: browsers hear that something has changed, and ask for it themselves. One that does not read what
it is sent is dropped, and there is an end to how many there may be.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from gitsync.web.ui.guard import HEADERS

if TYPE_CHECKING:
    from gitsync.web.ui.board import Board

MOST: Final = 64
#: Seconds: between changes that are told apart, between signs of life, and for a browser to take what it is sent.
_TOGETHER: Final = 0.05
_ALIVE: Final = 15.0
_PATIENCE: Final = 5.0


class Stream:
    """Tells browsers of the versions of a board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._closing = asyncio.Event()
        self.open = 0

    def close(self) -> None:
        """End all that are open."""
        self._closing.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One browser, until it goes away."""
        if self.open >= MOST:
            return web.Response(status=503, text=f"{MOST} pages are open already\n", headers=HEADERS)
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        self.open += 1
        try:
            await response.prepare(request)
            with suppress(ConnectionError, TimeoutError):
                await self._tell(request, response)
        finally:
            self.open -= 1
        return response

    async def _tell(self, request: web.Request, response: web.StreamResponse) -> None:
        """Raises: TimeoutError for a browser that does not read, ConnectionError for one that is gone."""
        version = self._board.version
        await _send(request, response, f"retry: 1000\nevent: version\ndata: {version}\n\n")
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while not closing.done():
                change = asyncio.ensure_future(self._board.changed(version))
                try:
                    done, _ = await asyncio.wait([change, closing], timeout=_ALIVE, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if change not in done:
                    await _send(request, response, ": alive\n\n")
                    continue
                await asyncio.sleep(_TOGETHER)
                version = self._board.version
                await _send(request, response, f"event: change\ndata: {version}\n\n")
        finally:
            closing.cancel()


async def _send(request: web.Request, response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        await response.write(text.encode())
        if request.transport is not None and request.transport.get_write_buffer_size() > 65536:
            raise TimeoutError  # it is not read: what is written waits in memory
