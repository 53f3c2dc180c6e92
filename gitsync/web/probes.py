"""``/healthz`` and ``/readyz``, for the probes of a Deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from gitsync.web.serving import serving

if TYPE_CHECKING:
    from aiohttp import web

#: Seconds that a thread may take to become free: the probe itself waits a little longer.
STUCK = 5.0


class Probes:
    """``/healthz`` says 200 while the event loop and its threads do work and ``stuck`` says "", else 503 and why, or
    nothing; ``/readyz`` while ``unready`` is "", else 503 and why. Everything else is 404.
    """

    def __init__(self) -> None:
        self.unready = "starting"
        self.stuck: Callable[[], str] = _nothing

    def serving(self, port: int) -> AbstractAsyncContextManager[None]:
        """Answer while entered; see ``serving``."""
        paths = {"/healthz": self._healthz, "/readyz": self._readyz}
        return serving(paths, port, what="probes", setting="probe_port")

    async def _healthz(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(STUCK):
                await asyncio.to_thread(_do_nothing)
        except TimeoutError:
            return _answer(f"no thread has been free for {STUCK:g} s")
        return _answer(self.stuck())

    async def _readyz(self, request: web.Request) -> web.Response:
        return _answer(self.unready)


def _nothing() -> str:
    return ""


def _do_nothing() -> None:
    """What any thread that is free can do at once."""


def _answer(wrong: str) -> web.Response:
    from aiohttp import web

    return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)
