"""What gits take in memory together: each is bounded by its environment, and whoever may write GitRepositories may have
dozens at work at once, on packs of a few kilobytes that unfold."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

#: What all of them may have at a moment, in bytes; and what one namespace may have however much the others take.
TOGETHER: Final = 96 << 20
ALWAYS: Final = 16 << 20
#: What one that asks a server by https takes, more or less: how many are started at once goes by that.
USUAL: Final = 12 << 20

_NICE: Final = 10
#: Seconds from one look at them to the next: while one grows, and else.
_GROWING: Final = 0.02
_STILL: Final = 0.1

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
    """What those gits have that take part, as they were measured last. Safe to use from several threads.

    One thread looks after all of them while there are any: fifty times a second while one of them grows, for in a tenth
    of a second dozens of small packs unfold to half a gigabyte.
    """

    def __init__(self, together: int = TOGETHER, always: int = ALWAYS) -> None:
        self._together = together
        self._always = always
        self._lock = threading.Condition()
        self._admitted: set[Part] = set()
        self._sizes: dict[Part, int] = {}
        self._is_watched = False

    def part(self) -> Part:
        """For one git, of whoever runs it here."""
        return Part(self, _owner.get())

    def admit(self, part: Part, seconds: float) -> bool:
        """Whether there is room for another one, waiting so long for it; it is to leave, then. Nobody waits while the
        namespace has nothing at work, nor for those of a namespace that has more: these have to go."""
        with self._lock:
            is_free = self._lock.wait_for(lambda: not self._is_full(part.owner), seconds)
            if is_free:
                self._admitted.add(part)
            return is_free

    def _is_full(self, owner: str) -> bool:
        """With the lock."""
        owners: Counter[str] = Counter()
        for part in self._admitted:
            owners[part.owner] += max(self._sizes.get(part, 0), USUAL)
        mine = owners.pop(owner, 0)
        wanted, most = mine + USUAL, max(owners.values(), default=0)
        is_over = wanted + owners.total() > self._together
        return is_over and mine > 0 and wanted > self._always and wanted >= most

    def join(self, part: Part) -> None:
        """One has begun. Raises: OSError when there is no thread to be had."""
        with self._lock:
            self._sizes[part] = 0
            if not self._is_watched:
                try:
                    threading.Thread(target=self._watch, name="gitsync-git-memory", daemon=True).start()
                except RuntimeError as error:
                    raise OSError(errno.EAGAIN, str(error)) from error
                self._is_watched = True

    def leave(self, part: Part) -> None:
        """One has ended."""
        with self._lock:
            self._sizes.pop(part, None)
            self._admitted.discard(part)
            self._lock.notify_all()

    def _watch(self) -> None:
        while True:
            with self._lock:
                if not self._sizes:
                    self._is_watched = False
                    return
                parts = list(self._sizes)
            time.sleep(_GROWING if self._look(parts) else _STILL)

    def _look(self, parts: Collection[Part]) -> bool:
        """Measure these, and end those for which there is no room. Whether one has grown."""
        measured = {part: part.measured() for part in parts}
        with self._lock:
            grown = False
            for part in measured.keys() & self._sizes.keys():
                grown |= measured[part] > self._sizes[part]
                self._sizes[part] = measured[part]
            for part in too_large(self._sizes, self._together, self._always):
                part.stop(self._sizes[part])
        return grown


class Part:
    """What one git and those that it has started have."""

    def __init__(self, memory: GitMemory, owner: str) -> None:
        self.owner = owner
        self._memory = memory
        self._pid = 0
        self._stopped_at: int | None = None

    def admit(self, seconds: float) -> bool:
        """See GitMemory."""
        return self._memory.admit(self, seconds)

    def begin(self, pid: int) -> None:
        """It has been started, as the leader of a process group. It leaves the processors to whoever looks after it,
        when there are many. Raises: OSError when nobody can look after it."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)
        self._pid = pid
        self._memory.join(self)

    def check(self) -> None:
        """Raises: TooGreedy when it was ended for want of room."""
        if self._stopped_at is not None:
            raise TooGreedy(self._stopped_at)

    def measured(self) -> int:
        """What the process has in memory at the moment, in bytes."""
        return sum(map(_anonymous, _family(self._pid)))

    def stop(self, size: int) -> None:
        """End it at once. Whoever runs it learns that from ``check``."""
        if self._stopped_at is None:
            self._stopped_at = size
            # It may have ended, and been waited for, within this moment: numbers are not given again so soon.
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)

    def end(self) -> None:
        """The process has ended: give back what it was lent."""
        self._memory.leave(self)


def too_large(sizes: Mapping[Part, int], together: int, always: int) -> set[Part]:
    """Who has to go for the others to have room: the largest ones of whoever has most."""
    left = dict(sizes)
    owners: Counter[str] = Counter()
    for part, size in left.items():
        owners[part.owner] += size
    gone: set[Part] = set()
    while owners.total() > together:
        owner = max(owners, key=owners.__getitem__)
        if owners[owner] <= always:
            break
        part = max((part for part in left if part.owner == owner), key=left.__getitem__)
        owners[owner] -= left.pop(part)
        gone.add(part)
    return gone


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
