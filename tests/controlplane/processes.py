"""One process of the control plane: started with its log in a file, watched while it comes up, ended in good order."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

from tests.controlplane import keeper
from tests.controlplane.errors import StartError

# Runs the command as a process that is killed when its parent is: PR_SET_PDEATHSIG (1), SIGKILL (9). Not a preexec_fn,
# which Python warns of as soon as the parent has threads.
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
# For programs in Go, with several control planes on few cores: memory instead of time, much of which goes into garbage
# collection otherwise, and one core each, for to look for work on the others takes a fifth of an API server's time.
FRUGAL = {"GOGC": "200", "GOMEMLIMIT": "500MiB", "GOMAXPROCS": "1"}
# Below the range from which systems take the ports of outgoing connections, so that none of those is in the way.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class ProcessId:
    """A process as another program can find it again: process ids alone are used anew after a while."""

    pid: int
    created: float

    def find(self) -> psutil.Process | None:
        """The process, when it still runs."""
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None


class Process:
    """A child process with its log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        outlive_parent: bool,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                command if outlive_parent else _dying_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for the tests; they end the control plane in its own order
            )
        self.id = ProcessId(self._child.pid, psutil.Process(self._child.pid).create_time())

    def wait_until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Waits for `ready()` until `deadline` on the monotonic clock.

        Raises StartError with the end of the log when the process ends first or the time is up.
        """
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StartError(self.name, "was not ready in time", log_tail(self.log))
            time.sleep(0.02)

    def check(self) -> None:
        """Raises StartError when the process has ended."""
        code = self._child.poll()
        if code is not None:
            raise StartError(self.name, f"ended with {code}", log_tail(self.log))

    def stop(self, patience: float = 5) -> None:
        """Asks the process to end, and ends it after `patience` seconds."""
        self._child.terminate()
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def stop_found(identity: ProcessId, patience: float = 5) -> None:
    """Ends a process that another program started, when it still runs."""
    process = identity.find()
    if process is None:
        return
    try:
        process.terminate()
        process.wait(patience)
    except psutil.TimeoutExpired:
        process.kill()
    except psutil.NoSuchProcess:
        pass


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on. Chosen by chance: a port freed a moment ago is refused."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_PORTS)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, each cut to a bearable length."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(line[:400] for line in text.splitlines()[-lines:]) or "(empty)"


def kept(command: Sequence[str]) -> list[str]:
    """The command of a program that may panic, so that it is started again then; see `keeper`."""
    return [sys.executable, "-I", "-S", keeper.__file__, *_dying_with_parent(command)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _dying_with_parent(command: Sequence[str]) -> Sequence[str]:
    """The command, so started that a killed test run leaves nothing behind (on Linux; elsewhere as it is)."""
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, *command] if sys.platform == "linux" else command
