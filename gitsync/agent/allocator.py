"""What the process takes of memory beside what it needs: heaps of the C library, buffers of connections, and Python's
search for garbage."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from gitsync.defects import outliving

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
#: Seconds without a search of all that is new after which the moment is a calm one; and seconds after which all is
#: searched whatever goes on: until then, what is garbage by now takes memory.
CALM: Final = 60.0
AT_LAST: Final = 120.0
#: The generation of objects that have been there for longest, with which all others are searched.
_ALL: Final = 2


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


class GarbageSearch:
    """Python's search for garbage in circles, which stops everything else, in small parts: what a search of all
    objects has found in use is left out of later ones, until a calm moment. All modules are among these from the
    start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: When something was last left out that has yet to be searched with the rest; None when there is nothing.
        self._newest: float | None = None
        self._searched = clock()

    @asynccontextmanager
    async def in_parts(self) -> AsyncIterator[None]:
        """While entered."""
        gc.callbacks.append(self._on_search)
        try:
            self._search_all()
            async with outliving("search for garbage", self._keep_searching):
                yield
        finally:
            gc.callbacks.remove(self._on_search)
            gc.unfreeze()

    def look(self) -> None:
        """Search all that was left out, where that is called for: nothing new has come for a while, or things have come
        for long."""
        now = self._clock()
        if self._newest is not None and (now - self._newest >= CALM or now - self._searched >= AT_LAST):
            self._search_all()

    def _search_all(self) -> None:
        gc.unfreeze()
        gc.collect()
        self._newest, self._searched = None, self._clock()

    def _on_search(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop" and info["generation"] == _ALL:
            gc.freeze()
            self._newest = self._clock()

    async def _keep_searching(self) -> None:
        while True:
            await asyncio.sleep(CALM)
            self.look()
