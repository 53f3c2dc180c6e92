"""What the process takes of memory beside what it needs: heaps of the C library, buffers of connections, and Python's
search for garbage."""

from __future__ import annotations

import ctypes
import gc
import sys
from asyncio.sslproto import SSLProtocol
from contextlib import suppress
from typing import Final

#: Of glibc's malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
#: What is larger, in bytes, goes back to the system as soon as it is free.
LARGE: Final = 1 << 20
#: Heaps that threads share.
HEAPS: Final = 2
#: For what is read of a TLS connection at a time: four of its records, the longest that there are.
READ_BUFFER: Final = 64 << 10
#: Seconds for which a thread that works may keep the interpreter's lock from others.
SWITCH: Final = 0.001


def give_back() -> None:
    """Have large blocks given back at once. By itself, glibc has a heap for each thread, and keeps blocks of up to 32
    MiB in all of them once it has seen such: half of what unpacked records and answers take would never come back. A
    C library that has no such settings stays as it is.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_ARENA_MAX, HEAPS)


def read_less_at_once() -> None:
    """Have asyncio read TLS connections in smaller parts. Each keeps a buffer of 256 KiB for as long as it is open, by
    default, and each watch has a connection of its own."""
    SSLProtocol.max_size = READ_BUFFER


def take_turns_sooner() -> None:
    """Have threads give up the interpreter's lock sooner to who wants it. Whenever the event loop has news, it may
    have to wait that long for a thread that reads YAML, 5 ms by default."""
    sys.setswitchinterval(SWITCH)


def collect_less() -> None:
    """Look for garbage in circles in what comes from now on only: called whenever an agent has started. All modules are
    loaded then, which are most of what Python would walk through each time, for a tenth of a second."""
    gc.unfreeze()  # what an agent with other settings has left
    gc.collect()
    gc.freeze()
