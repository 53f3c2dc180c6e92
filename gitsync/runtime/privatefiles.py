"""Files that nobody else may read, for a while: on a disk, or in memory where a disk must not see them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Where memory is mostly mounted as a directory that anybody may write to.
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108  # every directory in it is made with a name of its own, for this user only
#: Seconds for which a directory is left alone; an older one is removed if the process that made it is gone.
_YOUNG: Final = 60.0
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


class NoMemoryDirectory(Exception):
    """There is no directory on memory to write to."""


@asynccontextmanager
async def private_directory(
    prefix: str, files: Mapping[str, str | bytes], *, in_memory: bool = False
) -> AsyncIterator[Path]:
    """A directory that nobody else may read, with these files by their paths, removed at the end. ``in_memory``: none
    of it may be on a disk.

    Raises: OSError; NoMemoryDirectory.
    """
    made = _Directory()
    try:
        await _finished(made.make, prefix, files, in_memory=in_memory)
        yield made.path
    finally:
        await _finished(made.remove)


class _Directory:
    """A private directory, made and removed by threads."""

    def __init__(self) -> None:
        self.path = Path()
        self._held = -1

    def make(self, prefix: str, files: Mapping[str, str | bytes], *, in_memory: bool) -> None:
        """Make it, with these files by their paths. Blocks. ``remove`` it in any case.

        Raises: OSError; NoMemoryDirectory.
        """
        place = _swept(prefix) if in_memory else None
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        self._held = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_EX)  # for as long as somebody needs it, so that _swept lets it be
        _write(self.path, files)

    def remove(self) -> None:
        """Remove whatever of it has been made. Blocks."""
        if self._held >= 0:
            os.close(self._held)
        if self.path != Path():
            shutil.rmtree(self.path, ignore_errors=True)


def _swept(prefix: str) -> Path:
    """A directory in memory, without what processes have left there that were killed. Raises: NoMemoryDirectory."""
    place = memory_directory()
    for directory in place.glob(f"{prefix}*"):
        with suppress(OSError):  # somebody else's, or gone
            if time.time() - directory.stat().st_mtime < _YOUNG:
                continue
            held = os.open(directory, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(held)
    return place


def memory_directory() -> Path:
    """A directory that is kept in memory: the temporary one where it is, else /dev/shm. Blocks.

    Raises: NoMemoryDirectory.
    """
    kinds = _mounted()
    for place in (Path(tempfile.gettempdir()), Path(_SHARED_MEMORY)):
        if place.is_dir() and _kind(place.resolve(), kinds) in _IN_MEMORY:
            return place
    raise NoMemoryDirectory(f"neither {_SHARED_MEMORY} nor the temporary directory is in memory")


def _mounted() -> dict[Path, str]:
    """The types of file systems by the directories that they are mounted on; none where that cannot be told."""
    kinds: dict[Path, str] = {}
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return kinds
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, (kind, *_) = before.split(), after.split()
        kinds[Path(fields[4].encode().decode("unicode_escape"))] = kind
    return kinds


def _kind(path: Path, kinds: Mapping[Path, str]) -> str:
    return next((kinds[part] for part in (path, *path.parents) if part in kinds), "")


def _write(directory: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content.encode() if isinstance(content, str) else content)


async def _finished(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``work`` in a thread, waited for also when the caller is cancelled: it must not outlive the directory."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
