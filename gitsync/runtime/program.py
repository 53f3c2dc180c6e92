"""A program of somebody else's, run once on hostile input: bounded in time, memory and what is read of it."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 64 << 10


@dataclass(frozen=True)
class Limits:
    """What one run may take: ``timeout`` in seconds, ``processor_time`` in whole seconds of a processor, ``memory``,
    ``output`` and ``complaint`` (what it writes to standard error) in bytes."""

    timeout: float
    processor_time: int
    memory: int
    output: int
    complaint: int


@dataclass(frozen=True)
class Done:
    """How a run ended. ``status`` is as in ``subprocess``; of ``output`` and ``complaint`` there is one byte more than
    allowed when that was too much, and the program was ended for it. ``took`` is in seconds."""

    status: int
    output: bytes
    complaint: bytes
    took: float

    def ran_out_of_time(self, limits: Limits) -> bool:
        """Whether it has used up its time of a processor: the same input would do so again."""
        return self.status == -signal.SIGKILL and self.took >= limits.processor_time


async def run(
    command: Sequence[str | Path],
    limits: Limits,
    environment: Mapping[str, str],
    cwd: Path,
    given: bytes | None = None,
    begun: Callable[[Callable[[], None]], None] | None = None,
) -> Done:
    """Run ``command`` with this environment and no other, ``given`` on its standard input. Leaves no process behind.
    ``begun`` is called once it runs, with a function that ends it early.

    Raises: TimeoutError; OSError when it cannot be started.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=dict(environment),
        stdin=DEVNULL if given is None else PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    if begun is not None:
        begun(lambda: _kill(process))
    try:
        _limit(process.pid, limits)
        async with asyncio.timeout(limits.timeout):
            output, complaint = await _streams(process, limits, given)
            status = await process.wait()
    finally:
        await _end(process)
    return Done(status, output, complaint, time.monotonic() - started)


async def _streams(process: Process, limits: Limits, given: bytes | None) -> tuple[bytes, bytes]:
    """What it writes, until it ends; it is ended when that is too much."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as tasks:
        output = tasks.create_task(_read(process, process.stdout, limits.output))
        complaint = tasks.create_task(_read(process, process.stderr, limits.complaint))
        if given is not None:
            tasks.create_task(_give(process, given))
    return output.result(), complaint.result()


async def _give(process: Process, given: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it may end without having read all of it
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: Process, stream: asyncio.StreamReader, most: int) -> bytes:
    data = bytearray()
    while len(data) <= most and (chunk := await stream.read(_CHUNK)):
        data += chunk
    if len(data) > most:
        _kill(process)
    return bytes(data)


async def _end(process: Process) -> None:
    """Leave neither a process nor a pipe behind."""
    _kill(process)
    await asyncio.shield(process.communicate())


def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()


def _limit(pid: int, limits: Limits) -> None:
    if hasattr(resource, "prlimit"):  # Linux
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_DATA, (limits.memory, limits.memory))
            resource.prlimit(pid, resource.RLIMIT_CPU, (limits.processor_time, limits.processor_time))
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))  # a core would have on a disk what was in memory
