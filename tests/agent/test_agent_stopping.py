"""A process that is told to stop comes to its end, whatever hangs in it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

#: Says "ready", waits to be told to stop, and ends well, but for
#: - a thread that never does; or it is busy for ever, or writes to somebody who reads no more,
#: - a system that starts no thread any more, or a main thread that comes back from nowhere,
#: - what is left of it when the interpreter has ended.
#: The room's own module, which brings all of the agent along, is not loaded: that takes ten times as long as the rest.
PROGRAM = """
import asyncio, ctypes, sys, threading, types
import gitsync

sys.modules["gitsync.agent"] = room = types.ModuleType("gitsync.agent")
room.__path__ = [f"{path}/agent" for path in gitsync.__path__]
from gitsync.agent.stopping import told_to_stop

class Left:
    def __del__(self):
        while True:
            pass

def no_more(self):
    raise RuntimeError("can't start new thread")

async def main(what):
    stop = asyncio.Event()
    with told_to_stop(stop, float(sys.argv[2])):
        if what == "thread":
            threading.Thread(target=threading.Event().wait).start()
        if what == "no threads":
            threading.Thread(target=threading.Event().wait).start()
            threading.Thread.start = no_more
        if what == "left":
            sys.modules["left"] = Left()
        print("ready", flush=True)
        while what == "loop":
            pass
        if what == "call":
            mutex = ctypes.create_string_buffer(128)
            for _ in range(2):  # the second time it waits for itself
                ctypes.CDLL(None).pthread_mutex_lock(mutex)
        while what == "words":
            sys.stderr.write("more words than anybody reads\\n")
        await stop.wait()

asyncio.run(main(sys.argv[1]))
"""


def told(what: str, number: int, seconds: int = 1) -> tuple[int, str]:
    """Exit code and standard error of the program that was told to stop, and is left so many seconds later."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        try:
            _, error = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_itself_when_it_can(number: int) -> None:
    assert told("nothing", number, 25) == (0, "")


@pytest.mark.parametrize("what", ["thread", "loop", "no threads", "call"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_left_when_something_hangs(what: str, number: int) -> None:
    code, error = told(what, number)
    assert code == 128 + number
    assert "gitsync has not come to its end within 1s of" in error


def test_the_kernel_ends_what_hangs_when_the_interpreter_is_ending() -> None:
    code, _ = told("left", signal.SIGTERM)
    assert code == -signal.SIGALRM


def test_it_is_left_when_nobody_reads_its_log() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "words", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 128 + signal.SIGTERM
        finally:
            process.kill()
