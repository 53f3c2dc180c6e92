from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from gitsync.git.memory import GitMemory, Part, TooGreedy, on_behalf_of, too_large
from tests.until import ask_until

MIB = 1 << 20


def part(memory: GitMemory, owner: str) -> Part:
    with on_behalf_of(owner):
        return memory.part()


def test_the_largest_ones_of_whoever_has_most_have_to_go_and_nobody_else() -> None:
    memory = GitMemory()
    large, middle, small = (part(memory, "greedy") for _ in range(3))
    sizes = {small: 20 * MIB, part(memory, "other"): 30 * MIB, middle: 25 * MIB}
    assert too_large(sizes, 100 * MIB, 10 * MIB) == set()
    assert too_large(sizes | {large: 60 * MIB}, 100 * MIB, 10 * MIB) == {large}
    assert too_large(sizes | {middle: 51 * MIB}, 100 * MIB, 10 * MIB) == {middle}
    assert too_large(sizes | {large: 90 * MIB, middle: 80 * MIB}, 100 * MIB, 10 * MIB) == {large, middle}


def test_a_little_is_there_for_each_whatever_the_others_take() -> None:
    memory = GitMemory()
    sizes = {part(memory, f"other-{number}"): 9 * MIB for number in range(6)}
    assert too_large(sizes, 50 * MIB, 10 * MIB) == set()
    more = next(iter(sizes))
    assert too_large(sizes | {more: 11 * MIB}, 50 * MIB, 10 * MIB) == {more}


def test_another_one_of_a_namespace_waits_until_there_is_room() -> None:
    memory = GitMemory(together=30 * MIB, always=10 * MIB)
    first, second, third, other = (part(memory, owner) for owner in ("one", "one", "one", "other"))
    assert first.admit(0)
    assert second.admit(0)
    assert not third.admit(0)
    assert other.admit(0), "a namespace that has less waits for nobody"
    assert not part(memory, "other").admit(0)
    memory.leave(other)
    done = threading.Timer(0.1, memory.leave, (first,))
    done.start()
    assert third.admit(10)
    done.join()
    memory._sizes[second] = 25 * MIB
    memory.leave(third)
    assert not first.admit(0), "what one really takes counts, when it is more"


def test_what_a_git_has_started_counts_as_its_own() -> None:
    """A process below a process below this one takes so much, and not what it has mapped of files."""
    inner = f"import sys; kept = bytearray({60 * MIB}); print('there', flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    memory = GitMemory(together=50 * MIB, always=0)
    command = [sys.executable, "-c", outer]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        one = part(memory, "one")
        one.begin(process.pid)
        one.check()
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        assert process.wait(60) == -signal.SIGKILL
    with pytest.raises(TooGreedy) as caught:
        one.check()
    assert 50 * MIB < caught.value.size < 120 * MIB
    one.end()
    assert not memory._sizes
    ask_until(lambda: memory._is_watched, lambda it: not it, "nobody looks on")
