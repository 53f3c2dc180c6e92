"""A process that is told to stop comes to its end, whatever hangs in it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

#: Says "ready", waits to be told to stop, and ends well, but for a thread that never does; or is busy for ever, or
#: writes to somebody who reads no more.
PROGRAM = """
import asyncio, sys, threading
from gitsync.agent.stopping import told_to_stop

async def main():
    stop = asyncio.Event()
    with told_to_stop(stop, 1.0):
        if sys.argv[1] == "thread":
            threading.Thread(target=threading.Event().wait).start()
        print("ready", flush=True)
        while sys.argv[1] == "loop":
            pass
        while sys.argv[1] == "words":
            sys.stderr.write("more words than anybody reads\\n")
        await stop.wait()

asyncio.run(main())
"""


def told(what: str, number: int) -> tuple[int, str]:
    """Exit code and standard error of the program that was told to stop."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    return process.returncode, error


def test_it_ends_by_itself_when_it_can() -> None:
    assert told("nothing", signal.SIGTERM) == (0, "")


@pytest.mark.parametrize("what", ["thread", "loop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_left_when_something_hangs(what: str, number: int) -> None:
    code, error = told(what, number)
    assert code == 128 + number
    assert "gitsync has not come to its end within 1s of" in error


def test_it_is_left_when_nobody_reads_its_log() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "words"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 128 + signal.SIGTERM
        finally:
            process.kill()
