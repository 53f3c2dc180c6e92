"""Answering on a port, as long as the agent runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gitsync.errors import SettingsError

if TYPE_CHECKING:
    from aiohttp import web

log = structlog.get_logger(__name__)

Handler = Callable[["web.Request"], Awaitable["web.Response"]]
_GRACE = 1.0


@asynccontextmanager
async def serving(paths: Mapping[str, Handler], port: int, *, what: str, setting: str) -> AsyncIterator[None]:
    """Answer GET of these paths on all addresses, and everything else with 404; on no port when it is 0. ``what`` is on
    it, by ``setting``, is for people. Raises: SettingsError when the port cannot be had."""
    if not port:
        yield
        return
    from aiohttp import web  # a tenth of a second of start-up that only those who ask for a port wait for

    application = web.Application()
    application.add_routes([web.get(path, handler) for path, handler in paths.items()])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, port=port).start()
        except OSError as error:
            raise SettingsError(f"port {port} for {what} cannot be had: {error.strerror}", setting=setting) from error
        log.debug(f"answering {what}", port=port)
        yield
    finally:
        await runner.cleanup()
