"""The directories of mirrors on the disk: their names, who may change one, who needs one, and their end."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from gitsync.errors import GitUnavailable, StateUnwritable
from gitsync.git.failures import MAKE_ROOM

#: Of the file that those lock who change a mirror, and of the one that those have open who need it.
_LOCK, _USE = ".lock", ".use"


class MirrorLock:
    """Who changes the mirror at ``path``: one of this process' tasks, and of all processes that share its directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ours = asyncio.Lock()

    @asynccontextmanager
    async def held(self, patience: float) -> AsyncIterator[None]:
        """Alone in changing the mirror: of this process' tasks, and of all processes that share the directory."""
        async with self._ours:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = self._path.with_suffix(_LOCK).open("w")
            except OSError as error:
                raise StateUnwritable(
                    f"the state directory {self._path.parent} cannot be written to: {error.strerror}", hint=MAKE_ROOM
                ) from error
            with file:
                await self._take(file, patience)
                try:
                    yield
                except OSError as error:  # a full disk, a careless hand
                    raise StateUnwritable(
                        f"the mirror {self._path} cannot be changed: {error.strerror or error}", hint=MAKE_ROOM
                    ) from error

    async def _take(self, file: IO[str], patience: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if loop.time() >= deadline:
                    raise GitUnavailable(
                        f"another gitsync holds the mirror {self._path}", hint="give each its own state directory"
                    ) from None
            await asyncio.sleep(0.05)  # there is no other way to hear of another process' lock

    def touch(self) -> None:
        """Say that the mirror is in use, to whoever looks for what is not."""
        with suppress(OSError):
            os.utime(self._path.with_suffix(_LOCK))


def size_on_disk(directory: Path) -> int:
    """Of all mirrors below ``directory``, in bytes."""
    size = 0
    for file in directory.glob("*/objects/pack/*"):
        with suppress(OSError):  # gone in between
            size += file.stat().st_size
    return size


def claim_mirror(path: Path) -> IO[str] | None:
    """Say, to other processes too, that the mirror at ``path`` is needed until the file is closed; None when that
    cannot be written down."""
    use = path.with_suffix(_USE)
    try:
        use.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = use.open("a")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # an unwritable disk, or somebody removes it just now: then it is made anew
        return None
    return file


def remove_mirror(path: Path, unused_for: float = 0.0) -> bool:
    """Remove the mirror at ``path`` from the disk, if nobody has claimed it, nor used it for so many seconds. Returns
    whether it is gone; one that somebody changes at this moment stays."""
    lock, use = path.with_suffix(_LOCK), path.with_suffix(_USE)
    try:
        if unused_for and time.time() - lock.stat().st_mtime < unused_for:
            return False
        with use.open("a") as claim, lock.open("a") as file:
            for held in (claim, file):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_paths(path, path.with_suffix(".new"), path.with_suffix(".old"), lock, use)
    except OSError:
        return False
    return True


def mirror_name(url: str) -> str:
    """A directory name that people recognise and that no other URL has."""
    words = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(url.rstrip("/").removesuffix(".git").split("/")[-2:]))
    return f"{words[-40:].strip('-.') or 'git'}-{hashlib.sha256(url.encode()).hexdigest()[:12]}.git"


def remove_paths(*paths: Path) -> None:
    """Whatever is there of these files and directories."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
