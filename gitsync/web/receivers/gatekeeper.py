"""The agent's side of the process that takes deliveries (``gate``): starts it, tells it of webhooks, hears of it."""

from __future__ import annotations

import asyncio
import base64
import errno
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog

from gitsync.backoff import Backoff
from gitsync.defects import outliving, tell_defect
from gitsync.errors import SettingsError
from gitsync.metering import METER
from gitsync.runtime import frames
from gitsync.web.receivers.delivery import MAX_BODY, Answer, Delivery, Proved, Refusal
from gitsync.web.receivers.handlers import Webhooks

log = structlog.get_logger(__name__)

#: Seconds for the process to know of a change, after which nobody waits for that any more.
_KNOWN_WITHIN: Final = 5.0
#: Bytes of a message: a body, and what is said of it.
_LARGEST: Final = MAX_BODY + (1 << 20)
_BACKLOG: Final = 128
#: Of the process (mallopt(3)): what is large is given back to the system when it is free, and threads share the rest.
_ALLOCATOR: Final = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}


@asynccontextmanager
async def listening(webhooks: Webhooks, port: int) -> AsyncIterator[None]:
    """Take deliveries on all addresses; on no port when it is 0. Raises: SettingsError when it cannot be had."""
    if not port:
        yield
        return
    try:
        listener = _listener(port)
    except OSError as error:
        what = f"port {port} for webhooks cannot be had: {error.strerror}"
        raise SettingsError(what, setting="webhook_port") from error
    gatekeeper = Gatekeeper(webhooks, listener)
    webhooks.routes.publish = gatekeeper.publish
    webhooks.has_port = True
    try:
        async with outliving("webhooks", gatekeeper.run):
            yield
    finally:
        listener.close()


class Gatekeeper:
    """Keeps one such process, while it ``run``s."""

    def __init__(self, webhooks: Webhooks, listener: socket.socket) -> None:
        self._webhooks = webhooks
        self._listener = listener
        self._process: Process | None = None
        #: The number of what it was told last, and of what it has said that it knows; what is newer waits for that.
        self._told, self._knows = 0, 0
        self._has_news = False
        self._heard = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Start it, and start another one when it ends, until cancelled."""
        pauses: Backoff[str] = Backoff(0.5, most=60.0)
        while True:
            try:
                code = await self._once(pauses)
            finally:
                await self._end()
            pause = pauses.next("gate")
            log.warning("the process that takes webhooks has ended", code=code, again=f"in {pause:.0f}s")
            await asyncio.sleep(pause)

    async def publish(self) -> None:
        """Have it know which webhooks there are by now; done when it does, or after a few seconds."""
        serial = self._tell()
        with suppress(TimeoutError):
            async with asyncio.timeout(_KNOWN_WITHIN):
                while self._knows < serial:
                    self._heard.clear()
                    await self._heard.wait()

    async def _once(self, pauses: Backoff[str]) -> int:
        number = self._listener.fileno()
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "gitsync.web.receivers.gate", str(number)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            pass_fds=(number,),
            cwd="/",
            env=_ALLOCATOR,
            start_new_session=True,
        )
        assert process.stdout is not None
        self._knows = self._told  # by the one before
        self._tell()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                wide, size, total = frames.HEAD.unpack(await process.stdout.readexactly(frames.HEAD.size))
                if not size <= total <= _LARGEST:
                    break  # it is not what was started
                text, rest = await process.stdout.readexactly(size), await process.stdout.readexactly(total - size)
                self._hear(*frames.unpacked(wide, text, rest))
                pauses.reset("gate")
        with suppress(ProcessLookupError):
            process.kill()
        return await process.wait()

    async def _end(self) -> None:
        process, self._process = self._process, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _tell(self) -> int:
        """All webhooks, as they are now; the number of that. One that does not run is told when it does, and one that
        has yet to take in what it was told before after that: of many changes at once it hears twice."""
        if self._process is None or self._knows < self._told:
            self._has_news = True
            return self._told + 1
        self._has_news = False
        doors = {
            path: [door.name, door.type, base64.b64encode(door.token).decode(), door.closed, door.issuers]
            for path, door in self._webhooks.routes.doors().items()
        }
        self._told += 1
        settling = self._webhooks.routes.settling
        self._send({"doors": doors, "closed": self._webhooks.unready, "settling": settling, "serial": self._told})
        return self._told

    def _send(self, content: Mapping[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.writelines(frames.packed(content))

    def _hear(self, told: Mapping[str, Any], pieces: list[bytes]) -> None:
        if "knows" in told:
            self._knows = told["knows"]
            self._heard.set()
            if self._has_news:
                self._tell()
        elif "refused" in told:
            for name, reason, count in told["refused"]:
                METER.webhooks[name, "refused", reason] += count
        elif "wrong" in told:
            name, count = told["wrong"]
            log.warning("webhook refused: the sender has not proved who it is", receiver=name, count=count)
        elif "defect" in told:
            tell_defect("webhooks", RuntimeError(told["defect"]), where=told["defect"])
        else:
            task = asyncio.get_running_loop().create_task(self._take(told, pieces[0]), name="delivery")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, told: Mapping[str, Any], body: bytes) -> None:
        answer: Answer | Refusal | None = None
        try:
            answer = await self._answer(told, Delivery(told["headers"], body))
        except Exception as error:
            tell_defect("webhook", error)
        if answer is None:
            fields: list[Any] = [500, "this cannot be dealt with"]
        elif isinstance(answer, Refusal):
            fields = [answer.status, answer.why]
        else:
            fields = [answer.status, answer.text, answer.retry_after]
        self._send({"to": told["from"], "refused": isinstance(answer, Refusal), "answer": fields})

    async def _answer(self, told: Mapping[str, Any], delivery: Delivery) -> Answer | Refusal:
        if "bare" in told:
            return await self._webhooks.doubt(told["path"], delivery) or Answer(200, "")
        said = told["proved"]
        proved = Proved(said[0], bytes.fromhex(said[1]), is_ping=said[2]) if said is not None else None
        return await self._webhooks.take(told["path"], delivery, proved)


def _listener(port: int) -> socket.socket:
    """On all addresses, of both families where there are both. Raises: OSError."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return socket.create_server(("", port), backlog=_BACKLOG)
