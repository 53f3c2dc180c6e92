"""``/metrics``, for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.defects import outliving
from gitsync.metering import METER, Durations, Meter
from gitsync.runtime.slices import in_slices
from gitsync.web.resources import resource_of
from gitsync.web.serving import serving

if TYPE_CHECKING:
    from aiohttp import web

#: Seconds between two looks at how late the event loop is.
LAG_INTERVAL = 0.5
#: Seconds that an answer is good for: whoever asks more often gets the same.
FRESH = 1.0

Objects = Callable[[], Iterable[tuple[ObjectKey, Manifest]]]


class Metrics:
    """Says what ``meter`` has counted, and how ``objects`` are: the HelmReleases, Kustomizations and sources. The text
    is made in a thread, of a copy; the loop goes on meanwhile."""

    def __init__(self, meter: Meter = METER) -> None:
        self.objects: Objects = tuple
        self._meter = meter
        self._lag = Durations()
        self._asking = asyncio.Lock()
        self._said, self._said_at = b"", -FRESH

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        """Answer while entered, on no port when it is 0. Raises: SettingsError when the port cannot be had."""
        if not port:
            yield
            return
        async with (
            outliving("event loop's lag", self._watch_loop),
            serving({"/metrics": self._answer}, port, what="metrics", setting="metrics_port"),
        ):
            yield

    async def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        async with self._asking:
            if time.monotonic() - self._said_at >= FRESH:
                self._said, self._said_at = await self._write(), time.monotonic()
            return self._said

    async def _write(self) -> bytes:
        from gitsync.web.exposition import snapshot, written  # prometheus-client, for those who ask for metrics only

        resources = await in_slices(resource_of(key, manifest) for key, manifest in self.objects())
        return await asyncio.to_thread(written, snapshot(self._meter, resources, self._lag))

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=await self.text(), headers={"Content-Type": content_type})

    async def _watch_loop(self) -> None:
        while True:
            due = time.monotonic() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            self._lag.add(max(0.0, time.monotonic() - due))
