"""GitPython as gitsync uses it: every git in our environment, in a process group that can be ended.

It imports ``git``, so only library.py may import it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import git

#: The GIT_ variables of this machine that git keeps: where its own programs are, and whom it trusts.
_KEPT = frozenset({"GIT_EXEC_PATH", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_SSL_CAINFO"})


class CleanGit(git.Git):
    """Runs git with the variables of ``given`` and none of this machine's that could mean anything to git.

    Each git leads a process group of its own. ``kill`` ends those that still run, and all that are started later.
    """

    def __init__(self, working_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(working_dir)
        self.given: Mapping[str, str] = {}
        self._guard = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._killed = False

    def execute(self, command: Sequence[str], **options: Any) -> Any:  # type: ignore[override]
        """As GitPython's, which starts all it starts by this."""
        # GitPython adds to the environment but cannot take away, and variables such as GIT_SSL_NO_VERIFY or
        # GIT_TRACE_CURL act by being there at all.
        named = {*os.environ, *self.environment()}
        unwanted = sorted(
            name for name in named if name.startswith("GIT_") and name not in self.given and name not in _KEPT
        )
        prefix = ["env", *(word for name in unwanted for word in ("-u", name))] if unwanted else []
        started = super().execute([*prefix, *command], env=dict(self.given), start_new_session=True, **options)
        if options.get("as_process"):
            with self._guard:
                self._processes.append(started.proc)
                if self._killed:
                    _kill(started.proc)
        return started

    def kill(self) -> None:
        """May be called from any thread. Whoever reads from such a git finds its answer ended."""
        with self._guard:
            self._killed = True
            for process in self._processes:
                _kill(process)

    def _parse_object_header(self, header_line: str) -> tuple[str, str, int]:
        """As GitPython's, which refuses ids of SHA-256 (``tests/git`` would notice if this were not asked any more)."""
        found = header_line.split()
        if len(found) == 3 and len(found[0]) == 64:
            return found[0], found[1], int(found[2])
        return super()._parse_object_header(header_line)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # not waited for yet, so the number is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
