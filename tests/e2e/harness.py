"""What an end-to-end test is made of: a Git repository, and the agent as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forked import Forked, run
from tests.git.git_world import Repository

GITSYNC = Path(sys.executable).with_name("gitsync")


class Fleet:
    """A Git repository on this machine, as a team keeps it."""

    def __init__(self, path: Path) -> None:
        self._repository = Repository.make(path)

    @property
    def path(self) -> Path:
        return self._repository.path

    def commit(self, files: Mapping[str, str | None], subject: str, author: str = "Ada") -> str:
        """Write (None: delete) files and commit; the commit's id."""
        for name, text in files.items():
            file = self.path / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._repository.git("add", "--all")
        self._repository.git("commit", "--quiet", "-m", subject, f"--author={author} <{author.lower()}@git.example>")
        return self.head

    def edit(self, name: str, old: str, new: str, subject: str) -> str:
        """Replace some text of a file, which has to be there once, and commit."""
        text = (self.path / name).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        return self.commit({name: text.replace(old, new)}, subject)

    def revert(self) -> str:
        """Undo the last commit by another."""
        self._repository.git("revert", "--no-edit", "HEAD")
        return self.head

    @property
    def head(self) -> str:
        return self._repository.git("rev-parse", "HEAD")


@dataclass(frozen=True)
class Line:
    """One log line of the agent. ``at`` is when it arrived (time.monotonic), ``number`` its place in the log."""

    at: float
    number: int
    msg: str
    fields: Mapping[str, Any]

    def says(self, msg: str, **fields: str) -> bool:
        """Whether it has this message and these fields."""
        return self.msg == msg and all(self.fields.get(name) == value for name, value in fields.items())


@dataclass
class AgentProcess:
    """``gitsync run`` with JSON logs. It can be ended and started again; its lines go on in one list."""

    kubeconfig: Path
    directory: Path
    arguments: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    #: Everything that was written to standard output and error, for texts that must never appear.
    raw: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._news = threading.Condition()
        self._process: Forked | None = None
        self._reader: threading.Thread | None = None

    def start(self, *more: str) -> AgentProcess:
        """Start the process."""
        assert self._process is None
        arguments = ["run", *self._flags(), *self.arguments, *more]
        self._process = Forked(arguments, self._environment(), merged=True)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return self

    def _flags(self) -> list[str]:
        return [f"--kubeconfig={self.kubeconfig}", f"--state-dir={self.directory / 'state'}", "--log-format=json"]

    def _environment(self) -> dict[str, str]:
        """The environment without variables for a gitsync or kubectl of the developer's own."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITSYNC_", "KUBE"))}
        return {**ours, "HOME": str(self.directory)}

    def kill(self) -> None:
        """SIGKILL: it cannot put anything in order."""
        self._signal(signal.SIGKILL)
        self.wait()

    def stop(self, timeout: float = 120.0) -> int:
        """SIGTERM; the exit code."""
        self._signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 120.0) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        assert self._reader is not None
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the agent did not end within {timeout:g}s:\n{self.log}") from None
        finally:
            self._reader.join(60)
            self._process = None
        return code

    def told(self, *arguments: str) -> Any:
        """What another command of gitsync says of the same cluster, as JSON."""
        return json.loads(self.command(*arguments))

    def command(self, *arguments: str) -> str:
        """What another command of gitsync prints, which has to succeed on the same cluster."""
        code, output, errors = self.ended(*arguments)
        assert code == 0, errors
        return output

    def ended(self, *arguments: str) -> tuple[int, str, str]:
        """Run another command of gitsync: its exit code, standard output and standard error."""
        return run([*arguments, f"--kubeconfig={self.kubeconfig}"], self._environment())

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it has written."""
        with self._news:
            return "".join(self.raw)

    @property
    def count(self) -> int:
        """The number of its lines so far: pass it as ``after`` to look at later lines only."""
        with self._news:
            return len(self.lines)

    def wait_for(self, msg: str, *, after: int = 0, timeout: float = 120.0, **fields: str) -> Line:
        """The first line (from the ``after``-th on) with this message and these fields."""
        return self.until(lambda line: line.says(msg, **fields), f"{msg!r} {fields}", after=after, timeout=timeout)

    def until(self, wanted: Callable[[Line], bool], what: str = "", *, after: int = 0, timeout: float = 120.0) -> Line:
        """The first line (from the ``after``-th on) of which ``wanted`` is true."""
        deadline = time.monotonic() + timeout
        position = after
        with self._news:
            while True:
                for line in self.lines[position:]:
                    if wanted(line):
                        return line
                position = max(position, len(self.lines))
                ended = self._process is None or self._process.poll() is not None
                left = deadline - time.monotonic()
                if left <= 0 or (ended and not self._news.wait(0.2)):
                    why = "the agent has ended" if left > 0 else f"not within {timeout:g}s"
                    raise AssertionError(f"no line {what}: {why}")
                self._news.wait(min(left, 1.0))

    def said(self, msg: str, *, after: int = 0, **fields: str) -> list[Line]:
        """The lines with this message and these fields so far."""
        with self._news:
            return [line for line in self.lines[after:] if line.says(msg, **fields)]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _read(self, process: Forked) -> None:
        with process.stdout:
            for text in process.stdout:
                with self._news:
                    self.raw.append(text)
                    self._take(text)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _take(self, text: str) -> None:
        try:
            fields = json.loads(text)
        except ValueError:
            return
        if isinstance(fields, dict) and "msg" in fields:
            self.lines.append(Line(time.monotonic(), len(self.lines), fields["msg"], fields))
