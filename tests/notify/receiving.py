"""A web server on loopback that keeps the requests sent to it, and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Taken:
    """One request that was received."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, str] | tuple[int, str, dict[str, str]]


@dataclass
class Receiving:
    """``answers`` are given one after the other, then ``usual``. ``check`` may object to a request, which is then
    answered with 400, as services do."""

    usual: Answer = (200, "ok")
    answers: list[Answer] = field(default_factory=list)
    check: Callable[[Taken], str] = lambda taken: ""
    taken: list[Taken] = field(default_factory=list)
    #: The objections of ``check``.
    faults: list[str] = field(default_factory=list)
    url: str = ""

    async def _take(self, request: web.Request) -> web.StreamResponse:
        at = asyncio.get_running_loop().time()
        raw = request.raw_path.partition("?")
        taken = Taken(request.method, raw[0], raw[2], dict(request.headers), await request.read(), at)
        self.taken.append(taken)
        if fault := self.check(taken):
            self.faults.append(fault)
            return web.json_response({"error": fault}, status=400)
        status, text, *more = self.answers.pop(0) if self.answers else self.usual
        headers = more[0] if more else {}
        return web.Response(status=status, text=text, headers=headers)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Receiving]:
        """Take requests while entered."""
        app = web.Application(client_max_size=4 << 20)
        app.router.add_route("*", "/{tail:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        assert site._server is not None
        bound = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{bound}"
        try:
            yield self
        finally:
            await runner.cleanup()
