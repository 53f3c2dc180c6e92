"""What came from outside and waits for its turn: small things in memory, large ones in a file that has no name.

Thousands of bytes here are a download that waits for a worker process, and dozens may wait at once for each namespace.
A file without a name is gone with the process, however that ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitsync.errors import NoRoom

#: The most that stays in memory, in bytes: up to there a file is no quicker.
SMALL: Final = 256 << 10
#: What may wait in memory in all where no disk can be written, beside what is small.
IN_MEMORY: Final = 64 << 20
#: Bytes that are read at once.
PIECE: Final = 1 << 20


class Body:
    """Bytes that are all there, to be read as often as is wanted; freed with the last reference to it. ``sha256`` is in
    hex. ``data`` is None where they are on disk: reading blocks then."""

    __slots__ = ("__weakref__", "_file", "_size", "data", "sha256")

    def __init__(self, data: bytes | None, file: int, size: int, sha256: str) -> None:
        """``file`` is a descriptor that is the body's from now on, -1 for none."""
        self.data = data
        self.sha256 = sha256
        self._file = file
        self._size = size
        if file >= 0:
            weakref.finalize(self, os.close, file)

    @classmethod
    def of(cls, data: bytes) -> Body:
        """One in memory. Hashes it."""
        return cls(data, -1, len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def opened(cls, path: Path) -> Body:
        """What a file holds that nobody writes to any more, though it may be removed. Hashes it; blocks.

        Raises: OSError.
        """
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        size, made = os.fstat(file).st_size, hashlib.sha256()
        body = cls(None, file, size, "")
        for piece in body.pieces():
            made.update(piece)
        body.sha256 = made.hexdigest()
        # One that is small need not keep a file open.
        return cls(body.read(), -1, size, body.sha256) if size <= SMALL else body

    def __len__(self) -> int:
        return self._size

    def part(self, begin: int, size: int) -> bytes:
        """Some of it. Raises: OSError."""
        size = min(size, self._size - begin)
        found = self.data[begin : begin + size] if self.data is not None else os.pread(self._file, size, begin)
        if len(found) != size:
            raise OSError("a file has become shorter while it was read")
        return found

    def pieces(self) -> Iterator[bytes]:
        """All of it, in pieces of PIECE bytes at most. Blocks where it is on disk. Raises: OSError."""
        for begin in range(0, self._size, PIECE):
            yield self.part(begin, PIECE)

    def read(self) -> bytes:
        """All of it, which then is in memory. Blocks where it is on disk. Raises: OSError."""
        return self.data if self.data is not None else b"".join(self.pieces())


class Spool:
    """Where bodies wait: in ``directory``, which is made when it is needed, else where the system has temporary files,
    else in memory, as long as that is not much."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._held = 0
        self._lock = threading.Lock()

    def draft(self) -> Draft:
        """A body to be written."""
        return Draft(self)

    async def of(self, data: bytes) -> Body:
        """A body with this content: in memory up to SMALL bytes, beyond that on disk, written by a thread.

        Raises: NoRoom when no disk takes it, and IN_MEMORY is full.
        """
        draft = self.draft()
        await draft.take(data)
        return draft.body()

    def files(self) -> list[_File]:
        """Where one may be written, the best place first."""
        ours = [] if self._directory is None else [self._directory]
        return [_File(directory) for directory in (*ours, None)]

    def hold(self, size: int) -> None:
        """So many bytes are in memory from now on. Raises: NoRoom."""
        with self._lock:
            if self._held + size > IN_MEMORY:
                where = f"{self._directory} nor " if self._directory else ""
                raise NoRoom(
                    f"what was sent cannot be kept: neither {where}the directory for temporary files can be written, "
                    f"and {self._held >> 20} MiB wait in memory",
                    hint="make room on the volume of the state directory, or mount one that can be written",
                )
            self._held += size

    def let_go(self, size: int) -> None:
        """And no more."""
        with self._lock:
            self._held -= size


class Draft:
    """A body that is being written, by one at a time; ``size`` and ``sha256`` are those of what is there so far."""

    def __init__(self, spool: Spool) -> None:
        self.size = 0
        self._spool = spool
        self._hash = hashlib.sha256()
        #: What is in no file.
        self._data = bytearray()
        self._files = spool.files()
        self._held = _Held(spool)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def take(self, data: bytes) -> None:
        """``write``, which holds up nobody. Raises: NoRoom."""
        if self.size + len(data) <= SMALL:
            self.write(data)
        else:
            await asyncio.to_thread(self.write, data)

    def write(self, data: bytes) -> int:
        """More of it; what is large is written to disk, which blocks. Raises: NoRoom."""
        self._hash.update(data)
        self.size += len(data)
        self._data += data
        if self.size > SMALL:
            self._put_away()
        return len(data)

    def flush(self) -> None:
        """As files have it: there is nothing to do."""

    def body(self) -> Body:
        """All that was written. Nothing may be written any more."""
        if self._files and self._files[0].size:
            return Body(None, self._files[0].taken(), self.size, self.sha256)
        body = Body(bytes(self._data), -1, self.size, self.sha256)
        self._data.clear()
        weakref.finalize(body, self._held.let_go)
        self._held.kept = True
        return body

    def _put_away(self) -> None:
        """Into a file; where that cannot be written, into the next, and at last nowhere. Raises: NoRoom."""
        while self._files:
            try:
                self._files[0].write(self._data)
            except OSError:
                self._held.to(self.size)
                failed = self._files.pop(0)
                self._data = bytearray(failed.content()) + self._data
            else:
                self._data.clear()
                self._held.to(0)
                return
        self._held.to(self.size)


class _Held:
    """What a draft, and then its body, holds in memory because no disk takes it."""

    def __init__(self, spool: Spool) -> None:
        self.kept = False
        self._spool = spool
        self._size = 0

    def to(self, size: int) -> None:
        """It has ``size`` bytes in memory from now on, 0 for none. Raises: NoRoom; then it has what it had."""
        self._spool.hold(size - self._size) if size > self._size else self._spool.let_go(self._size - size)
        self._size = size

    def let_go(self) -> None:
        self.to(0)

    def __del__(self) -> None:
        if not self.kept:
            self.let_go()


class _File:
    """A file without a name, opened when it is written first. ``directory`` is None for that of temporary files."""

    def __init__(self, directory: Path | None) -> None:
        self.size = 0
        self._directory = directory
        self._file = -1

    def write(self, data: bytes | bytearray) -> None:
        """Raises: OSError; then it holds what it did before."""
        if self._file < 0:
            if self._directory is not None:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self._directory, buffering=0) as file:
                self._file = os.dup(file.fileno())
        done = 0
        while done < len(data):
            done += os.pwrite(self._file, memoryview(data)[done : done + PIECE], self.size + done)
        self.size += done

    def content(self) -> bytes:
        """Raises: OSError."""
        return os.pread(self._file, self.size, 0) if self.size else b""

    def taken(self) -> int:
        """The descriptor, which is somebody else's from now on."""
        file, self._file = self._file, -1
        return file

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)
