"""gitsync in a process of its own that need not import it: it is forked from one that has (``preloaded``). Imports are
nine tenths of what a short life costs. Tests that are about the start of the program run the program.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TextIO


class Forked:
    """One command line of gitsync, begun; the part of ``subprocess.Popen`` that tests use. ``stderr`` is None where it
    goes to ``stdout``."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], *, merged: bool = False) -> None:
        server = _server()
        out, to_out = server.Pipe(duplex=False)
        err, to_err = (None, to_out) if merged else server.Pipe(duplex=False)
        given = list(arguments), dict(environment), str(Path.cwd()), to_out, to_err
        # A daemon, so that the test run does not wait for processes that a test has left.
        self._process = server.Process(target=_gitsync, args=given, daemon=True)
        self._process.start()
        for end in {to_out, to_err}:
            end.close()
        self.stdout = _text(out)
        self.stderr = _text(err) if err is not None else None

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code. Raises: subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("gitsync", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(arguments: Sequence[str], environment: Mapping[str, str], timeout: float = 120.0) -> tuple[int, str, str]:
    """One command line to its end: exit code, standard output, standard error. One that takes too long is killed."""
    process = Forked(arguments, environment)
    assert process.stderr is not None
    too_long = threading.Timer(timeout, process.kill)
    too_long.start()
    try:
        with process.stdout as out, process.stderr as err, ThreadPoolExecutor(1) as reader:
            errors = reader.submit(err.read)
            output = out.read()
            return process.wait(), output, errors.result()
    finally:
        too_long.cancel()


@functools.cache
def _server() -> ForkServerContext:
    """The server, which begins with the first process and ends with the test run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    return context


def _text(end: Connection) -> TextIO:
    """The text that comes out of a pipe."""
    with end:
        return os.fdopen(os.dup(end.fileno()), encoding="utf-8")


def _gitsync(
    arguments: list[str], environment: dict[str, str], directory: str, out: Connection, err: Connection | None
) -> None:
    """The life of a forked process."""
    for number, end in ((1, out), (2, err or out)):
        os.dup2(end.fileno(), number)
    for end in filter(None, (out, err)):
        end.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["gitsync", *arguments]
    from gitsync.cli import main

    code = main(arguments)
    atexit._run_exitfuncs()  # which multiprocessing leaves out
    sys.exit(code)
