"""The hosts of clouds on loopback, under their own names: over TLS and behind a proxy that leads all of them here.

What they answer has the shape that the services' documentation gives; what they ask for is checked as it says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.charts.certificates import Authority

Service = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Internet:
    """``services`` by host; ``seen`` is what they were asked, as METHOD https://HOST/PATH."""

    services: dict[str, Service] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    #: The Authorization headers of each, by the same keys.
    authorizations: dict[str, list[str]] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        what = f"{request.method} {request.scheme}://{request.host}{request.path}"
        self.seen.append(what)
        self.authorizations.setdefault(what, []).append(request.headers.get("Authorization", ""))
        return await self.services[request.host](request)

    def times(self, part: str) -> int:
        """How often something was asked."""
        return sum(part in what for what in self.seen)


@asynccontextmanager
async def connected(hosts: Sequence[str], directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    """These hosts and no others, for a client that uses the proxy of the environment and trusts its authorities."""
    internet, authority = Internet(), Authority()
    ca = directory / "authorities.pem"
    ca.write_text(authority.pem)
    async with _listening(internet, authority.server_context(directory, hosts=hosts)) as port:
        proxy = await asyncio.start_server(_Tunnels(port, hosts).open, "127.0.0.1", 0)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody is there
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        for name in ("NO_PROXY", "no_proxy", "https_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        try:
            yield internet
        finally:
            proxy.close()


@asynccontextmanager
async def _listening(internet: Internet, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", internet.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def metadata_server(internet: Internet, service: Service) -> AsyncIterator[str]:
    """Plain HTTP on this machine, past every proxy. Yields host and port."""
    async with _listening(internet, None) as port:
        host = f"127.0.0.1:{port}"
        internet.services[host] = service
        yield host


@dataclass
class _Tunnels:
    """What a proxy does on CONNECT."""

    port: int
    hosts: Sequence[str]

    async def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            host = head.split()[1].rpartition(":")[0]
            if host not in self.hosts:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pumped(reader, back), _pumped(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _pumped(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()
