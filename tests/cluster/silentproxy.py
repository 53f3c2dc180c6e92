"""A TCP proxy whose connections can fall silent without closing, as behind a NAT that forgot them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class SilentProxy:
    """Forwards to one address. After ``fall_silent`` the connections made so far pass nothing on; new ones work.
    While it is ``away`` all are cut, as of a server that is not there."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._generation = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.away = False

    def go_away(self) -> None:
        self.away = True
        for task in self._tasks:
            task.cancel()

    def fall_silent(self) -> None:
        self._generation += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            writer.close()
            return
        onward_reader, onward_writer = await asyncio.open_connection(*self._target)
        generation = self._generation
        for source, sink in ((reader, onward_writer), (onward_reader, writer)):
            task = asyncio.create_task(self._forward(source, sink, generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        try:
            with suppress(ConnectionError):
                while data := await source.read(2**16):
                    if generation == self._generation:
                        sink.write(data)
                        await sink.drain()
        finally:
            sink.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def silent_proxy(host: str, port: int) -> AsyncIterator[SilentProxy]:
    proxy = SilentProxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        await proxy.close()
