"""Settings of the C library, asyncio and Python that keep the process small and the event loop responsive: heaps,
buffers of connections, the interpreter's lock, and the garbage collector."""

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
#: Seconds without a full collection of new objects after which the process counts as calm, and all objects are
#: searched; and seconds after which they are searched anyway, since garbage among them takes memory until then.
CALM: Final = 60.0
AT_LAST: Final = 120.0
#: The oldest generation: collecting it searches the others, too.
_ALL: Final = 2


def give_back() -> None:
    """Have glibc give large blocks back to the system as soon as they are free, and keep few heaps. By itself it has a
    heap for each thread, and keeps blocks of up to 32 MiB in all of them once it has seen such: half of the memory of
    unpacked records and answers would never come back. Does nothing with another C library.
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
    """Have threads give up the interpreter's lock sooner. Whenever the event loop has something to do, it may have to
    wait that long for a thread that reads YAML: by default, 5 ms."""
    sys.setswitchinterval(SWITCH)


class GarbageSearch:
    """Python's garbage collector, whose full collections stop everything else, in smaller parts: objects that a full
    collection has found in use are left out of the next ones (``gc.freeze``), all modules from the start. When nothing
    much goes on, they are searched, too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: When a full collection last left objects out; None when that was before the last search of all.
        self._newest: float | None = None
        self._searched = clock()

    @asynccontextmanager
    async def in_parts(self) -> AsyncIterator[None]:
        """Collect in that way while entered."""
        gc.callbacks.append(self._on_search)
        try:
            self._search_all()
            async with outliving("search for garbage", self._keep_searching):
                yield
        finally:
            gc.callbacks.remove(self._on_search)
            gc.unfreeze()

    def look(self) -> None:
        """Search all objects, also those left out, if it is time: CALM seconds after the last full collection, or
        AT_LAST seconds after the last search of all."""
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
