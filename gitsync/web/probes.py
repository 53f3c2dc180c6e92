"""``/healthz`` and ``/readyz``, for the probes of a Deployment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gitsync.errors import SettingsError

if TYPE_CHECKING:
    from aiohttp import web

log = structlog.get_logger(__name__)

_GRACE = 1.0
#: Seconds that a thread may take to become free: the probe itself waits a little longer.
STUCK = 5.0


class Probes:
    """``/healthz`` says 200 while the event loop and its threads do work and ``stuck`` says "", else 503 and why, or
    nothing; ``/readyz`` while ``unready`` is "", else 503 and why. Everything else is 404.
    """

    def __init__(self) -> None:
        self.unready = "starting"
        self.stuck: Callable[[], str] = _nothing

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        """Answer on all addresses, on no port when it is 0. Raises: SettingsError when the port cannot be had."""
        if not port:
            yield
            return
        from aiohttp import web  # a tenth of a second of start-up that only those who ask for probes wait for

        application = web.Application()
        application.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, port=port).start()
            except OSError as error:
                raise SettingsError(
                    f"port {port} for probes cannot be had: {error.strerror}", setting="probe_port"
                ) from error
            log.debug("answering probes", port=port)
            yield
        finally:
            await runner.cleanup()

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
