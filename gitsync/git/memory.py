"""What gits take in memory together: each is bounded by its environment, and whoever may write GitRepositories may have
dozens at work at once, on packs of a few kilobytes that unfold."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

#: What all of them may have at a moment, in bytes, looked at several times a second; and what one namespace may have
#: however much the others take.
TOGETHER: Final = 96 << 20
ALWAYS: Final = 16 << 20
#: What one that asks a server by https takes, more or less: how many are started at once goes by that.
USUAL: Final = 12 << 20

_NICE: Final = 10

_owner: ContextVar[str] = ContextVar("git_owner", default="")


@contextmanager
def on_behalf_of(owner: str) -> Iterator[None]:
    """Whoever runs git inside does it for ``owner``: a namespace."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


class TooGreedy(Exception):
    """There is no room for what a git needs; ``size`` is what it had, in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class GitMemory:
    """What those gits have that take part, as they were measured last. Safe to use from several threads."""

    def __init__(self, together: int = TOGETHER, always: int = ALWAYS) -> None:
        self._together = together
        self._always = always
        self._lock = threading.Condition()
        self._taken: dict[Part, int] = {}

    def part(self) -> Part:
        """For one git, of whoever runs it here."""
        return Part(self, _owner.get())

    def admit(self, part: Part, seconds: float) -> bool:
        """Whether there is room for another one, waiting so long for it; it is to leave, then. Nobody waits while the
        namespace has nothing at work, nor for those of a namespace that has more: these have to go."""
        with self._lock:
            is_free = self._lock.wait_for(lambda: not self._is_full(part.owner), seconds)
            if is_free:
                self._taken[part] = 0
            return is_free

    def _is_full(self, owner: str) -> bool:
        """With the lock."""
        owners: Counter[str] = Counter()
        for part, size in self._taken.items():
            owners[part.owner] += max(size, USUAL)
        mine = owners.pop(owner, 0)
        wanted, most = mine + USUAL, max(owners.values(), default=0)
        is_over = wanted + owners.total() > self._together
        return is_over and mine > 0 and wanted > self._always and wanted >= most

    def note(self, part: Part, size: int) -> None:
        """One has so many bytes now. Raises: TooGreedy when there is no room for all, and it has to go."""
        with self._lock:
            self._taken[part] = size
            if sum(self._taken.values()) > self._together and part in self._victims():
                raise TooGreedy(size)

    def _victims(self) -> set[Part]:
        """Who has to go for the others to have room: the largest ones of whoever has most. With the lock."""
        left = dict(self._taken)
        owners: Counter[str] = Counter()
        for part, size in left.items():
            owners[part.owner] += size
        gone: set[Part] = set()
        while owners.total() > self._together:
            owner = max(owners, key=owners.__getitem__)
            if owners[owner] <= self._always:
                break
            part = max((part for part in left if part.owner == owner), key=left.__getitem__)
            owners[owner] -= left.pop(part)
            gone.add(part)
        return gone

    def leave(self, part: Part) -> None:
        """One has ended."""
        with self._lock:
            self._taken.pop(part, None)
            self._lock.notify_all()


class Part:
    """What one git and those that it has started have."""

    def __init__(self, memory: GitMemory, owner: str) -> None:
        self.owner = owner
        self._memory = memory

    def admit(self, seconds: float) -> bool:
        """See GitMemory."""
        return self._memory.admit(self, seconds)

    def begin(self, pid: int) -> None:
        """It has been started. It leaves the processors to whoever looks after it, when there are many."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)

    def look(self, pid: int) -> None:
        """Measure it. Raises: TooGreedy."""
        self._memory.note(self, sum(map(_anonymous, _family(pid))))

    def end(self) -> None:
        """It has ended."""
        self._memory.leave(self)


def _family(pid: int) -> list[int]:
    """A process and all below it, as far as they are there (proc_pid_task(5))."""
    found = [pid]
    for process in found:
        with suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _anonymous(pid: int) -> int:
    """What a process has of its own in memory, in bytes: what it reads files by can be had again."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    return 0
