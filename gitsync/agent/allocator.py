"""How the C library keeps memory that Python has given back."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

#: Of glibc's malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
#: What is larger, in bytes, goes back to the system as soon as it is free.
LARGE: Final = 1 << 20
#: Heaps that threads share.
HEAPS: Final = 2


def give_back() -> None:
    """Have large blocks given back at once. By itself, glibc has a heap for each thread, and keeps blocks of up to 32
    MiB in all of them once it has seen such: half of what unpacked records and answers take would never come back. A
    C library that has no such settings stays as it is.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_ARENA_MAX, HEAPS)
