"""kstatus itself, by which Helm 4 and Flux wait: its own Go code, asked about one object after another."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

from gitsync.api.identity import Manifest
from gitsync.health import Status

#: By kstatus's status: what it means for waiting. Unknown is its status of an object that it cannot read.
_MEANS: Final[dict[str, Status]] = {
    "Current": "ready",
    "Failed": "failed",
    "InProgress": "progressing",
    "Terminating": "progressing",
    "Unknown": "progressing",
}


class Kstatus:
    """The program of tests/controlplane/go/kstatus, kept running: an answer takes a tenth of a millisecond."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        #: The message of its last answer.
        self.message = ""

    def judge(self, manifest: Manifest) -> Status:
        """The status that kstatus has for an object."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(manifest) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.message = answer["message"]
        return _MEANS[answer["status"]]

    def close(self) -> None:
        """End it; it ends by itself when it has nothing more to read."""
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0
