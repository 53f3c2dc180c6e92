"""A small HTTP client for an API server: as much as the floor and the benchmarks' own watching need."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import orjson

from bench.counters import Kind, read_metrics
from bench.errors import BenchError
from tests.controlplane.cluster import Cluster

Manifest = dict[str, Any]

USER_AGENT = "gitsync-bench"
#: Requests at once: more made the floor no faster on two cores.
CONNECTIONS = 16
#: Where the kinds of the workloads are served.
PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}


#: Seconds for TLS to close the connections of cancelled requests, before the loop ends.
FAREWELL = 0.25


class Api:
    """One API server, through keep-alive connections. ``requests`` counts those that write."""

    def __init__(self, cluster: Cluster) -> None:
        context = ssl.create_default_context(cafile=str(cluster.ca_file))
        self.requests = 0
        self._session = aiohttp.ClientSession(
            cluster.server,
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            headers={"Authorization": f"Bearer {cluster.token}", "User-Agent": USER_AGENT},
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 20,  # a line of a watch is one object
        )
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await asyncio.sleep(FAREWELL)

    async def get(self, path: str) -> Manifest:
        """The object or list at a path. Raises: BenchError."""
        async with self._session.get(path) as response:
            return _parsed(path, response.status, await response.read())

    async def apply(self, manifest: Manifest) -> None:
        """Server-side apply, as gitsync does it. Raises: BenchError."""
        metadata = manifest["metadata"]
        path = f"{PATHS[manifest['kind']].format(metadata['namespace'])}/{metadata['name']}"
        self.requests += 1
        async with (
            self._slots,
            self._session.patch(
                f"{path}?fieldManager=helm&force=true", data=orjson.dumps(manifest), headers=_APPLY
            ) as response,
        ):
            body = await response.read()
        if response.status >= 300:
            _parsed(path, response.status, body)

    async def metrics(self) -> Counter[Kind]:
        """The API server's own counter."""
        async with self._session.get("/metrics") as response:
            text = await response.text()
        return read_metrics(text)

    @asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator[AsyncIterator[Manifest]]:
        """The objects at ``path`` as they are and as they change, until the API server ends it; entered when that has
        answered. Raises: BenchError."""
        async with self._session.get(f"{path}?watch=1") as response:
            if response.status != 200:
                _parsed(path, response.status, await response.read())
            yield _objects(response.content)


_APPLY = {"Content-Type": "application/apply-patch+yaml"}


async def _objects(stream: aiohttp.StreamReader) -> AsyncIterator[Manifest]:
    async for line in stream:
        event = orjson.loads(line)
        if event["type"] in ("ADDED", "MODIFIED"):
            yield event["object"]
        elif event["type"] == "ERROR":
            raise BenchError(f"the watch failed: {event['object'].get('message')}")


def _parsed(path: str, status: int, body: bytes) -> Manifest:
    if status >= 300:
        raise BenchError(f"{path}: {status} {body[:300].decode(errors='replace')}")
    parsed: Manifest = orjson.loads(body)
    return parsed
