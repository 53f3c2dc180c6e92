"""The agent with the memory that config/ gives it at most, by the strongest means that this machine has.

- a control group of its own (cgroup v2): the kernel ends the agent when it and its children come to more;
- else whoever looks at the sum twenty times a second ends it instead, and the kernel says what the agent itself has had
  at most between two looks. (RLIMIT_DATA is no such means: it counts the stack of each thread in full.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from tests.docs.markdown import ROOT

_CGROUPS = Path("/sys/fs/cgroup")
#: Bytes that one kind of attack may take. It is less than config/ gives the agent, since several may come at once.
ATTACKED = 640 << 20
_LOOK = 0.05
_UNIT = "gitsync-test"


def memory_limit() -> int:
    """What config/ gives the agent's container, in bytes."""
    for document in YAML(typ="safe").load_all((ROOT / "config/deployment.yaml").read_text()):
        if document["kind"] == "Deployment":
            limit = document["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
            return int(limit.removesuffix("Mi")) << 20
    raise AssertionError("config/deployment.yaml has no Deployment")


@dataclass
class Memory:
    """The memory of a process and of those that it started, each shared page counted once. ``limit`` is the most
    that it may be."""

    limit: int
    peak: int = 0
    ended: bool = False
    #: In words, what each process had at the moment at which the sum was largest.
    largest: str = ""

    def check(self) -> None:
        """Fails when the limit was passed, or a process was ended for it."""
        print(f"at most {self.peak >> 20} of {self.limit >> 20} MiB: {self.largest}")
        assert not self.ended, f"ended at {self.peak >> 20} MiB: {self.largest}"
        assert 0 < self.peak < self.limit


@contextmanager
def limited(pid: int, most: int = ATTACKED) -> Iterator[Memory]:
    """While it lasts, a process and its children must not take more than ``most``, nor than config/ gives them: they
    are ended when they do. The process may run already."""
    memory, over = Memory(min(most, memory_limit())), threading.Event()
    group = _own_group(pid, memory.limit) or _systemd_group(pid, memory.limit)
    how = f"the control group {group}" if group else "looking at the sum"
    _forget_peak(pid)
    print(f"memory limited to {memory.limit >> 20} MiB by {how}")

    def look() -> None:
        while not over.wait(_LOOK):
            sizes = _sizes(pid)
            if (most := max(sum(size for _, size in sizes), _peak(pid))) > memory.peak:
                ranked = sorted(sizes, key=lambda item: -item[1])
                memory.peak, memory.largest = most, ", ".join(f"{name} {size >> 20}" for name, size in ranked)
            if group is None and memory.peak > memory.limit and not memory.ended:
                print(f"ended at {memory.peak >> 20} MiB: {memory.largest}")
                memory.ended = True
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()
        if group is not None:
            memory.ended = "oom_kill 0" not in (group / "memory.events").read_text()


def _sizes(pid: int) -> list[tuple[str, int]]:
    """A process and all below it: their names and proportional set sizes, as the kernel sums them up."""
    found: list[tuple[str, int]] = []
    with suppress(psutil.Error):
        agent = psutil.Process(pid)
        for process in [agent, *agent.children(recursive=True)]:
            with suppress(OSError, psutil.Error):
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                sizes = [int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:")]
                found.append((process.name(), sum(sizes)))
    return found


def _forget_peak(pid: int) -> None:
    """Have the kernel count anew what a process has at most (proc_pid_clear_refs(5))."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    """What a process alone has had in memory at most, shared pages counted in full."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def _own_group(pid: int, limit: int) -> Path | None:
    """A group made below the nearest one above us where that is allowed, with the process in it."""
    ours = _group_of(os.getpid())
    for above in [ours, *ours.parents] if ours is not None else []:
        group = above / f"{_UNIT}-{pid}"
        with suppress(OSError):
            if above.is_relative_to(_CGROUPS) and "memory" in (above / "cgroup.subtree_control").read_text().split():
                group.mkdir()
                (group / "memory.max").write_text(str(limit))
                (group / "cgroup.procs").write_text(str(pid))
                return _if_limited(pid, limit)
    return None


def _systemd_group(pid: int, limit: int) -> Path | None:
    """A scope that the user's own systemd makes around the process."""
    call = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    properties = ["2", "PIDs", "au", "1", str(pid), "MemoryMax", "t", str(limit)]
    start = ["StartTransientUnit", "ssa(sv)a(sa(sv))", f"{_UNIT}-{pid}.scope", "fail", *properties, "0"]
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["busctl", "--user", "call", *call, *start], check=True, capture_output=True, timeout=10)
        return _if_limited(pid, limit)
    return None


def _if_limited(pid: int, limit: int) -> Path | None:
    """The group that a process is in, if that has this limit."""
    group = _group_of(pid)
    with suppress(OSError):
        if group is not None and (group / "memory.max").read_text().strip() == str(limit):
            return group
    return None


def _group_of(pid: int) -> Path | None:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            if line.startswith("0::") and (_CGROUPS / "cgroup.controllers").exists():
                return _CGROUPS / line.removeprefix("0::/")
    return None
