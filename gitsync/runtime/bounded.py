"""One bounded child process that answers requests: what foreign input makes it do hurts nobody but itself."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gitsync import errors
from gitsync.errors import GitsyncError, LimitExceeded
from gitsync.runtime import frames
from gitsync.spool import Body
from gitsync.weight import json_weight

_PROGRAM: Final = "gitsync.runtime.child"
#: As in ``child``, which is imported nowhere: it is a program.
OUT_OF_MEMORY: Final = 77
#: What Go, Rust and C say on standard error when they get no memory; read for that alone, and never shown.
_NO_MEMORY = (b"out of memory", b"cannot allocate memory", b"malloc failed", b"memory allocation of", b"stack exceeds")
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one answer may take: ``memory`` in bytes beyond what the program has when it is ready, ``cpu`` in seconds of
    processor time, ``answer`` in bytes of the answer itself, ``weight`` in those that its JSON may come to when it is
    decoded."""

    memory: int
    cpu: float
    answer: int
    weight: int = 72 << 20


class Ended(Exception):
    """The child has ended, with the question that it was at. ``limit`` is what it ran into: memory, time, crash, or ""
    when somebody else has ended it."""

    def __init__(self, code: int, limit: str) -> None:
        super().__init__(f"a child process ended with code {code}")
        self.code = code
        self.limit = limit

    @property
    def signal(self) -> int:
        """The signal that has ended the process; 0 when it has ended by itself."""
        return max(0, -self.code)


class Child:
    """A process of our own program, with nothing of our environment. Ask it one thing at a time; ``close`` it."""

    def __init__(self, bounds: Bounds, modules: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """``modules`` are imported at its start, before its memory is bounded."""
        self._bounds = bounds
        self._settings = json.dumps({"memory": bounds.memory, "cpu": bounds.cpu, "modules": list(modules)})
        self._environment = dict(environment or {})
        self._process: Process | None = None
        self._listening: asyncio.Task[bool] | None = None
        self._killed = False
        #: How many questions it has answered.
        self.answered = 0

    async def start(self) -> None:
        """Start the process, once; it can be asked before it has imported its modules. Raises: OSError when there can
        be no other process."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            _PROGRAM,
            self._settings,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd="/",
            env=self._environment,
            start_new_session=True,
            limit=_BUFFER,
        )
        self._listening = asyncio.create_task(_ran_out_of_memory(self._process))

    async def ask(self, call: str, content: Any, blobs: Sequence[bytes | Body] = ()) -> tuple[Any, list[bytes]]:
        """What the child's function ``call`` (``module:function``) returns for ``content`` and ``blobs``. Has no
        deadline of its own; a caller that stops waiting has to ``kill`` the child.

        Raises: Ended; LimitExceeded for an answer that is too large, which ends the child; what the function raises.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for piece in [*frames.packed({"call": call, "with": content}, list(map(len, blobs))), *blobs]:
                for begin in range(0, len(piece), _BUFFER):  # so that no second copy of a large one is made
                    process.stdin.write(await _part(piece, begin))
                    await process.stdin.drain()
            wide, size, total = frames.HEAD.unpack(await process.stdout.readexactly(frames.HEAD.size))
            if total > self._bounds.answer:
                raise self._too_large(f"comes to more than {self._bounds.answer >> 20} MiB")
            text, rest = await process.stdout.readexactly(size), await process.stdout.readexactly(total - size)
        except (OSError, asyncio.IncompleteReadError):
            raise await self._ended() from None
        self.answered += 1
        # What a few characters come to in memory is known before they are decoded.
        if json_weight(text) > self._bounds.weight:
            raise self._too_large(f"would take more than {self._bounds.weight >> 20} MiB of memory")
        told, pieces = frames.unpacked(wide, text, rest)
        if "answer" in told:
            return told["answer"], pieces
        raise _raised(told)

    @property
    def memory(self) -> int:
        """Bytes that it alone has now; 0 where that cannot be told."""
        with suppress(OSError, ValueError, IndexError):
            _, resident, shared, *_ = Path(f"/proc/{self.pid}/statm").read_bytes().split()
            return (int(resident) - int(shared)) * resource.getpagesize()
        return 0

    @property
    def pid(self) -> int:
        """Its process id, 0 before its start."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and can be asked."""
        return self._process is not None and self._process.returncode is None and not self._killed

    def kill(self) -> None:
        """End the process now, also in the middle of an answer."""
        if self._process is not None and self._process.returncode is None and not self._killed:
            # Not by way of Process.kill, which may reap a process that has just ended, before asyncio learns how.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        self._killed = True

    async def close(self) -> None:
        """End the process, and leave neither it nor a pipe behind. Not while an ``ask`` is under way."""
        if self._process is None:
            return
        self.kill()
        await self._drained()

    async def _ended(self) -> Ended:
        """Why the process gave no answer. One that has closed its pipes and goes on running is killed here."""
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._process.wait()
        self.kill()
        no_memory = await self._drained()
        code = self._process.returncode or 0
        if code == -signal.SIGPROF:
            return Ended(code, "time")
        if code == OUT_OF_MEMORY or (no_memory and code):
            return Ended(code, "memory")
        return Ended(code, "" if code in (0, -signal.SIGKILL, -signal.SIGTERM) else "crash")

    async def _drained(self) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._listening is not None
        self._process.stdin.close()
        while await self._process.stdout.read(_BUFFER):
            pass
        no_memory = await self._listening
        await self._process.wait()
        return no_memory

    def _too_large(self, message: str) -> LimitExceeded:
        self.kill()
        return LimitExceeded(message, limit="size")


async def _part(piece: bytes | Body, begin: int) -> memoryview | bytes:
    if isinstance(piece, Body):
        if piece.data is None:
            return await asyncio.to_thread(piece.part, begin, _BUFFER)
        piece = piece.data
    return memoryview(piece)[begin : begin + _BUFFER]


async def _ran_out_of_memory(process: Process) -> bool:
    """Reads what the process writes to standard error, to its end: whether it says that it gets no memory."""
    assert process.stderr is not None
    found, last = False, b""
    while chunk := await process.stderr.read(64 << 10):
        last = last[-40:] + chunk
        found = found or any(words in last for words in _NO_MEMORY)
    return found


def _raised(told: Mapping[str, Any]) -> Exception:
    """The error that the child has met, as one of ours."""
    kind = getattr(errors, str(told.get("error")), None)
    if not (isinstance(kind, type) and issubclass(kind, GitsyncError)):
        return RuntimeError(f"a defect in a child process: {told.get('defect')}")
    fields = {name: _frozen(value) for name, value in told["fields"].items()}
    error = kind.__new__(kind)
    error.args = (fields["message"],)
    vars(error).update(fields)
    return error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
