"""The agent as users run it: a process of its own, whose log lines are read as they come."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.cases import FOLDER
from bench.errors import BenchError

_STOP_TIMEOUT = 20.0
_TAIL = 15


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the agent's log; ``at`` on the monotonic clock, ``fields`` empty for what is not JSON."""

    at: float
    text: str
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def event(self) -> str:
        return str(self.fields.get("msg", ""))


class Agent:
    """A running ``gitsync run``."""

    def __init__(self, process: asyncio.subprocess.Process, started_at: float) -> None:
        self._process = process
        self._facts = psutil.Process(process.pid)
        self._news = asyncio.Event()
        self.started_at = started_at
        self.lines: list[LogLine] = []

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        repository: Path | str,
        kubeconfig: Path,
        state: Path,
        *,
        interval: str = "1m",
        path: str = "",
        flags: Sequence[str] = (),
    ) -> AsyncIterator[Agent]:
        """Starts it, with more ``flags``, and stops it as Kubernetes would. ``path`` goes in front of PATH.

        Raises: BenchError when it does not stop in time.
        """
        command = [
            *(sys.executable, "-m", "gitsync.cli", "run", "--repo", str(repository), "--path", FOLDER),
            *("--kubeconfig", str(kubeconfig), "--state-dir", str(state)),
            *("--interval", interval, "--log-format", "json"),
            *flags,
        ]
        started_at = time.time()  # the clock that the audit log goes by
        process = await asyncio.create_subprocess_exec(
            *command,
            env=_environment(path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
        )
        agent = cls(process, started_at)
        reading = asyncio.create_task(agent._read())
        try:
            yield agent
        finally:
            await agent._stop()
            await reading

    async def line(self, wanted: Callable[[LogLine], bool], patience: float, what: str, start: int = 0) -> LogLine:
        """The first line from number ``start`` on that is ``wanted``.

        Raises: BenchError when it does not come within ``patience`` seconds or the agent ends first.
        """
        deadline = time.monotonic() + patience
        seen = start
        while True:
            for line in self.lines[seen:]:
                if wanted(line):
                    return line
            seen = len(self.lines)
            self._news.clear()
            left = deadline - time.monotonic()
            if left <= 0 or self._process.returncode is not None:
                raise self.failure(f"no line of {what}")
            try:
                await asyncio.wait_for(self._news.wait(), min(left, 0.5))
            except TimeoutError:
                continue

    def failure(self, message: str) -> BenchError:
        """An error with the end of the agent's log."""
        tail = "\n".join(line.text[:400] for line in self.lines[-_TAIL:]) or "(it said nothing)"
        code = self._process.returncode
        ended = "" if code is None else f" (it ended with {code})"
        return BenchError(f"the agent: {message}{ended}; its log ends:\n{tail}")

    def check(self) -> None:
        """Raises: BenchError when the agent has ended."""
        if self._process.returncode is not None:
            raise self.failure("it is not running")

    def cpu_seconds(self) -> float:
        """User and system time so far, that of children included: those that have ended (git), and those that are there
        (the worker processes for charts)."""
        times = self._facts.cpu_times()
        total = times.user + times.system
        total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        for child in self._facts.children():
            with suppress(psutil.Error):
                there = child.cpu_times()
                total += there.user + there.system
        return float(total)

    def memory(self) -> int:
        """The memory that it has, in bytes."""
        return int(self._facts.memory_info().rss)

    def peak_memory(self) -> int:
        """The most memory it ever had, in bytes; where the system does not say, what it has now."""
        status = Path(f"/proc/{self._process.pid}/status")
        if status.exists():
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return self.memory()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            now = time.monotonic()
            text = raw.decode(errors="replace").rstrip()
            self.lines.append(LogLine(now, text, _fields(text)))
            self._news.set()

    async def _stop(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise self.failure(f"did not stop within {_STOP_TIMEOUT:g} s") from None


def _environment(path: str) -> Mapping[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("GITSYNC_")}
    return {**mine, "PATH": f"{path}{os.pathsep}{mine['PATH']}"} if path else mine


def _fields(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
