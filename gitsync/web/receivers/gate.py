"""The program that takes deliveries: ``gatekeeper`` starts it with ``python -I -m``, and gives it the socket.

Anybody may send it anything, any number of times. So it is a process of its own: what it refuses costs the agent
nothing, it has less of the processor than the agent when both want it, its memory is bounded, and it ends with who
started it.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import resource
import socket
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from gitsync.runtime import frames
from gitsync.runtime.confine import bound_memory, end_with_parent
from gitsync.web.receivers.delivery import Answer, Delivery, Proved, Refusal
from gitsync.web.receivers.door import Door, Doors
from gitsync.web.receivers.server import serving

#: Bytes of memory beyond what the program has when it is ready: two large bodies, decoded, and many small ones.
MEMORY: Final = 64 << 20
#: Bytes of memory for the thread that judges large bodies, one at a time.
_STACK: Final = 1 << 20
#: Seconds for the agent to do what a delivery asks for.
PATIENCE: Final = 20.0
_NICE: Final = 15
#: Seconds between two words about what was refused.
_BETWEEN_COUNTS: Final = 1.0
_PART: Final = 64 << 10
#: The headers that whoever is passed a delivery looks at: of all, and where there is a token to be judged.
_PASSED: Final = ("content-type",)
_WITH_TOKEN: Final = (*_PASSED, "authorization")


class Gate:
    """Doors on one side, the agent on the other: frames come in by ``reader`` and leave by ``writer``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._doors = Doors(self._pass_on, self._doubt, lambda name, count: self._send({"wrong": [name, count]}))
        self._waiting: dict[int, asyncio.Future[Answer | Refusal]] = {}
        self._numbers = itertools.count()
        #: The defects that were told.
        self._met: set[str] = set()
        self._leaving: asyncio.Queue[list[bytes]] = asyncio.Queue()

    async def run(self, listener: socket.socket) -> None:
        """Serve until the agent has nothing to say any more."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._tell_counts())]
        with suppress(asyncio.IncompleteReadError):
            self._hear(await self._frame())  # so that nobody is answered before it is known what there is
            async with serving(self._handle, listener):
                while True:
                    self._hear(await self._frame())
        for task in tasks:
            task.cancel()

    async def _tell_counts(self) -> None:
        """What was refused, once in a while: who sends wrong ones is to cost the agent nothing."""
        while True:
            await asyncio.sleep(_BETWEEN_COUNTS)
            if refused := self._doors.refused:
                self._doors.refused = Counter()
                self._send({"refused": [[*key, count] for key, count in refused.items()]})

    async def _frame(self) -> Any:
        wide, size, total = frames.HEAD.unpack(await self._reader.readexactly(frames.HEAD.size))
        text, rest = await self._reader.readexactly(size), await self._reader.readexactly(total - size)
        return frames.unpacked(wide, text, rest)[0]

    def _hear(self, told: Mapping[str, Any]) -> None:
        if "doors" in told:
            self._doors.doors = {path: _door(*fields) for path, fields in told["doors"].items()}
            self._doors.closed, self._doors.settling = told["closed"], told["settling"]
            self._send({"knows": told["serial"]})
        elif (waiting := self._waiting.get(told["to"])) is not None and not waiting.done():
            make = Refusal if told["refused"] else Answer
            waiting.set_result(make(*told["answer"]))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._doors.handle(request)
        except Exception as error:  # a defect: told by its place alone, for its words may quote what was sent
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {place.filename}:{place.lineno}"
            if where not in self._met:  # who finds one can bring it about at will
                self._met.add(where)
                self._send({"defect": where})
            return web.Response(status=500)

    async def _pass_on(self, path: str, delivery: Delivery, proved: Proved | None) -> Answer | Refusal:
        said = [proved.event, proved.identity.hex(), proved.is_ping] if proved is not None else None
        names = _PASSED if proved is not None else _WITH_TOKEN
        return await self._ask({"path": path, "proved": said}, delivery, names)

    async def _doubt(self, path: str, delivery: Delivery) -> Answer | Refusal:
        return await self._ask({"path": path, "bare": True}, delivery, _WITH_TOKEN)

    async def _ask(self, asked: Mapping[str, Any], delivery: Delivery, names: Sequence[str]) -> Answer | Refusal:
        number = next(self._numbers)
        headers = {name: delivery.headers[name] for name in names if name in delivery.headers}
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE):
                self._send({**asked, "from": number, "headers": headers}, delivery.body)
                return await self._waiting[number]
        except TimeoutError:
            return Answer(503, "the agent is busy", 10.0)
        finally:
            del self._waiting[number]

    def _send(self, content: Mapping[str, Any], *pieces: bytes) -> None:
        self._leaving.put_nowait([*frames.packed(content, list(map(len, pieces))), *pieces])

    async def _write(self) -> None:
        """One frame behind the other, each in parts: of a large body there is to be no second copy."""
        while True:
            for piece in await self._leaving.get():
                for begin in range(0, len(piece), _PART):
                    self._writer.write(piece[begin : begin + _PART])
                    await self._writer.drain()


def _door(name: str, kind: str, token: str, closed: str, issuers: list[str]) -> Door:
    return Door(name, kind, base64.b64decode(token), closed, tuple(issuers))


async def _streams(answers: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    pipe = os.fdopen(answers, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _serve(listener: socket.socket, answers: int) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    await Gate(*await _streams(answers)).run(listener)


def main() -> None:
    """Serve until there is nobody to serve for. The one argument is the number of the socket."""
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    threading.stack_size(_STACK)
    bound_memory(MEMORY)
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])), answers))


if __name__ == "__main__":
    main()
