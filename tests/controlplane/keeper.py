"""Keeps a program running that may panic: `python keeper.py COMMAND...`, with the standard library alone.

kwok 0.8 prepares a stage when the first object comes that it may be for, and writes what it prepares into a map that
no lock guards (easycel's `typeValueMap`): two workers at once end it with "concurrent map writes", rarely. It has no
state of its own, so that one started again goes on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

PANICKED = 2  # what a program in Go ends with then
MOST_PANICS = 10


def keep(command: list[str]) -> int:
    """Runs the command, again after each panic, and returns the code that it ends with for good.

    SIGTERM is handed on to it, and it is not started again after that.
    """
    running: subprocess.Popen[bytes] | None = None
    asked_to_end = False

    def end(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        if running is not None:
            running.terminate()

    signal.signal(signal.SIGTERM, end)
    code = PANICKED
    for _ in range(MOST_PANICS):
        running = subprocess.Popen(command)
        if asked_to_end:  # while it was being started
            running.terminate()
        code = running.wait()
        if asked_to_end or code != PANICKED:
            break
    return code


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
