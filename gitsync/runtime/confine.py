"""What a child process does to itself before it looks at anything from outside."""

from __future__ import annotations

import ctypes
import resource
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have this process killed when the one that has started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def bound_memory(beyond: int) -> None:
    """At most so many bytes more than there are now. Of data alone (heap, private mappings): what is merely reserved,
    as Go's runtime does, costs nothing."""
    with suppress(OSError, ValueError):  # Linux has this file, and counts mappings as data
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  # pathlib would be one more import
            data = int(file.read().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (data + beyond, data + beyond))
