"""Runs git: through GitPython, in threads, with a deadline, bounded output and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from gitsync.errors import GitUnavailable
from gitsync.git.library import clean_git, no_git
from gitsync.git.memory import GitMemory, Part, TooGreedy

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MIB = 1 << 20

#: How often a running git is looked after, in seconds: is it to stop, does its guard object?
_TICK = 0.1
_LONGEST_COMPLAINT = 64 << 10


class TooSlow(Exception):
    """The deadline passed; the process group is gone."""


class TooMuch(Exception):
    """More output than allowed; the process group is gone."""


@dataclass(frozen=True, slots=True)
class Command:
    """One git command. ``timeout`` is in seconds, ``max_output`` in bytes: more is TooMuch, or passed over with
    ``cut``. ``guard`` is called now and then while it runs, and what that raises ends it."""

    args: Sequence[str]
    environment: Mapping[str, str]
    timeout: float
    stdin: bytes = b""
    max_output: int = MIB
    cut: bool = False
    guard: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended: exit status, stdout, and what it said on stderr."""

    status: int
    output: bytearray
    complaint: str


class Job(Protocol[T_co]):
    """Work on git that blocks: called in a thread; ``stop``, from any thread, makes it end soon, by an error."""

    def __call__(self) -> T_co: ...

    def stop(self) -> None: ...


class Runner:
    """A few threads for git, apart from the event loop's own: a remote that hangs holds up nobody else."""

    def __init__(self, workers: int = 3, memory: GitMemory | None = None) -> None:
        """The memory that gits run here take is counted in ``memory``."""
        self._workers = workers
        self._memory = memory
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._running: set[Job[object]] = set()

    async def run(self, command: Command) -> Answer:
        """Run to the end. When the caller is cancelled, the whole process group is gone before this returns.

        Raises: TooSlow, TooMuch, what the guard raises; GitRefused when this machine has no git, GitUnavailable when
        none can be started at the moment, or there is no memory for what it needs.
        """
        return await self.do(_Run(command, self._memory.part() if self._memory is not None else None))

    async def do(self, job: Job[T]) -> T:
        """Do it in a thread. When the caller is cancelled, it is stopped, and has ended before this returns.

        Raises: what it raises; GitUnavailable when there is no thread to be had.
        """
        if self._closed:
            raise GitUnavailable("git cannot be started: gitsync is closing")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="gitsync-git")
        try:
            doing = self._pool.submit(job)
        except RuntimeError as error:  # no more threads on this machine
            raise GitUnavailable(f"git cannot be started: {error}") from error
        self._running.add(job)
        future = asyncio.wrap_future(doing)
        # After a cancellation nobody looks at how it ended, and asyncio would complain of that.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            job.stop()
            if not doing.cancel():
                await asyncio.wait([future])
            raise
        finally:
            self._running.discard(job)

    async def close(self) -> None:
        """Ends what is running (its callers get GitUnavailable) and the threads."""
        self._closed = True
        for job in list(self._running):
            job.stop()
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown)

    def rest(self) -> None:
        """Nothing will be run for a while: idle threads end, of which hundreds of mirrors would have hundreds."""
        if self._pool is not None and not self._running:
            self._pool.shutdown(wait=False)
            self._pool = None


class _Run:
    """One git, run by calling this in a thread; ``stop`` may be called from any other."""

    def __init__(self, command: Command, part: Part | None) -> None:
        self._command = command
        self._part = part
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def __call__(self) -> Answer:
        try:
            return self._run()
        except TooGreedy as error:
            raise _no_memory(f"git needed {error.size >> 20} MiB and more, and there") from None
        except OSError as error:  # no memory for a process, no room for a file
            raise GitUnavailable(f"git cannot be run: {error.strerror or error}") from error

    def _run(self) -> Answer:
        with contextlib.ExitStack() as stack:
            given = None
            if self._command.stdin:
                # A file, not a pipe: nobody has to write while git's answer is being read.
                given = stack.enter_context(tempfile.TemporaryFile())
                given.write(self._command.stdin)
                given.seek(0)
            stack.callback(self._leave)
            self._wait_for_memory()
            process = _start(self._command, given.fileno() if given else None)
            stack.callback(_end, process)
            if self._part is not None:
                self._part.begin(process.pid)
            answer = self._follow(process)
            if self._part is not None:
                self._part.check()
            return answer

    def _wait_for_memory(self) -> None:
        """Raises: GitUnavailable when there is none in time."""
        deadline = time.monotonic() + self._command.timeout
        while self._part is not None and not self._part.admit(_TICK):
            self._check_stopping()
            if time.monotonic() > deadline:
                raise _no_memory("there")

    def _leave(self) -> None:
        if self._part is not None:
            self._part.end()

    def _follow(self, process: subprocess.Popen[bytes]) -> Answer:
        output, complaint = bytearray(), bytearray()
        deadline = time.monotonic() + self._command.timeout
        with selectors.DefaultSelector() as streams:
            assert process.stdout is not None
            assert process.stderr is not None
            streams.register(
                process.stdout, selectors.EVENT_READ, (output, self._command.max_output, not self._command.cut)
            )
            streams.register(process.stderr, selectors.EVENT_READ, (complaint, _LONGEST_COMPLAINT, False))
            while streams.get_map():
                self._look_after(deadline)
                for key, _ in streams.select(_TICK):
                    data = os.read(key.fd, MIB)
                    if not data:
                        streams.unregister(key.fileobj)
                        continue
                    kept, limit, strict = key.data
                    if strict and len(kept) + len(data) > limit:
                        raise TooMuch
                    kept += data[: limit - len(kept)]
        while process.poll() is None:  # it has closed its streams: that it ends is a matter of moments
            self._look_after(deadline)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_TICK)
        return Answer(process.returncode, output, complaint.decode("utf-8", "replace"))

    def _check_stopping(self) -> None:
        if self._stopping:
            raise GitUnavailable("git was stopped: gitsync is closing")

    def _look_after(self, deadline: float) -> None:
        self._check_stopping()
        if time.monotonic() > deadline:
            raise TooSlow
        if self._command.guard:
            self._command.guard()
        if self._part is not None:
            self._part.check()


def _no_memory(why: str) -> GitUnavailable:
    return GitUnavailable(
        f"{why} is no memory for all that is fetched at the moment",
        hint="name fewer or smaller repositories, or keep manifests in one of their own; it is tried again",
    )


def _start(command: Command, stdin: int | None) -> subprocess.Popen[bytes]:
    git = clean_git()("/")
    executable = shutil.which(str(git.GIT_PYTHON_GIT_EXECUTABLE))
    if executable is None:
        raise no_git()
    git.given = command.environment
    process = git.execute([executable, *command.args], istream=stdin, as_process=True)
    started = cast("subprocess.Popen[bytes]", process.proc)
    process.proc = None  # ours to end now: GitPython's wrapper would end the leader only
    return started


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of its process group behind, nor a pipe."""
    if process.returncode is None:
        # Not waited for yet, so the number is still its own. Killed outright: what it was writing is swept away before
        # the next fetch.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _bury_orphans(process.pid)
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def _bury_orphans(group: int) -> None:
    """As process 1 of a container we inherit what git had started, and nobody else would ever wait for it."""
    for _ in range(100):
        try:
            pid, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.01)
