from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from gitsync.git.memory import GitMemory, Part, TooGreedy, on_behalf_of

MIB = 1 << 20


def part(memory: GitMemory, owner: str) -> Part:
    with on_behalf_of(owner):
        return memory.part()


def test_the_largest_ones_of_whoever_has_most_have_to_go_and_nobody_else() -> None:
    memory = GitMemory(together=100 * MIB, always=10 * MIB)
    large, middle, small = (part(memory, "greedy") for _ in range(3))
    other = part(memory, "other")
    for one, size in ((small, 20), (other, 30), (middle, 25)):
        memory.note(one, size * MIB)
    with pytest.raises(TooGreedy):
        memory.note(large, 60 * MIB)
    memory.note(middle, 25 * MIB)  # with that one gone there is room again
    memory.note(other, 30 * MIB)
    memory.leave(large)
    memory.note(middle, 49 * MIB)
    with pytest.raises(TooGreedy):
        memory.note(middle, 51 * MIB)


def test_a_little_is_there_for_each_whatever_the_others_take() -> None:
    memory = GitMemory(together=50 * MIB, always=10 * MIB)
    others = [part(memory, f"other-{number}") for number in range(6)]
    for other in others:
        memory.note(other, 9 * MIB)
    with pytest.raises(TooGreedy):
        memory.note(others[0], 11 * MIB)


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
    memory.note(second, 25 * MIB)
    memory.leave(third)
    assert not first.admit(0), "what one really takes counts, when it is more"


def test_what_a_git_has_started_counts_as_its_own() -> None:
    """A process below a process below this one takes so much, and not what it has mapped of files."""
    inner = f"import sys; kept = bytearray({60 * MIB}); print('there', flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    memory = GitMemory(together=50 * MIB, always=0)
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        one = part(memory, "one")
        one.begin(process.pid)
        assert process.stdout.readline() == b"there\n"
        with pytest.raises(TooGreedy) as caught:
            one.look(process.pid)
        assert 60 * MIB < caught.value.size < 120 * MIB
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        process.stdin.close()
        process.wait(10)
    one.end()
    assert not memory._taken
