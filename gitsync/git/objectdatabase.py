"""The contents of files. A few are read by GitPython: its ``git cat-file`` stays, and is asked for one after the other.

GitPython bounds nothing itself, so that is done here: sizes are known before a file is asked for, what ends early is no
content, and whoever waits may end it all by ``stop``. git itself keeps to the limit of memory that its environment
sets.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gitsync.errors import GitRefused, GitUnavailable
from gitsync.git.environment import local_environment
from gitsync.git.failures import Damaged
from gitsync.git.library import clean_git, git_python

if TYPE_CHECKING:
    from git import GitCmdObjectDB

    from gitsync.git.wrapper import CleanGit


class ObjectDatabase:
    """The objects of the bare repository at ``path``. One reading at a time; ``stop`` and ``close`` from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._git: CleanGit | None = None

    def open(self) -> CleanGit:
        """The git that answers, ready to be started. Raises: GitRefused when this machine has none."""
        with self._guard:
            if self._git is None:
                self._git = clean_git()(self.path)
                self._git.given = local_environment(self.path)
            return self._git

    def stop(self) -> None:
        """End the reading under way, which raises Damaged; the next one begins anew."""
        with self._guard:
            if self._git is not None:
                self._git.kill()

    def close(self) -> None:
        """End git. The next reading starts another."""
        with self._guard:
            git, self._git = self._git, None
        if git is not None:
            git.kill()
            git.clear_cache()


class Reading:
    """Reads blobs by their ids, in a thread. ``sizes`` are those that are known: git is asked for the others.

    Raises: Damaged; GitRefused when they are more than ``limit`` bytes together; GitUnavailable when it was stopped.
    """

    def __init__(self, database: ObjectDatabase, blob_ids: Sequence[str], sizes: Mapping[str, int], limit: int) -> None:
        self._database = database
        self._blob_ids = blob_ids
        self._sizes = sizes
        self._limit = limit
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self._database.stop()

    def __call__(self) -> dict[str, bytes]:
        git = self._database.open()
        if self._stopping:
            git.kill()
        try:
            # GitPython's name for a database of objects that asks git. Not out of its Repo, which would let variables
            # such as GIT_COMMON_DIR say where it is.
            objects = git_python().GitCmdObjectDB(str(self._database.path / "objects"), git)
            sizes = {blob_id: self._size(objects, blob_id) for blob_id in self._blob_ids}
            if sum(sizes.values()) > self._limit:
                raise GitRefused(f"the files of this commit are larger than {self._limit >> 20} MiB")
            return {blob_id: self._content(objects, blob_id, size) for blob_id, size in sizes.items()}
        except BaseException:
            self._database.close()  # it may be in the middle of an answer
            if self._stopping:
                raise GitUnavailable("git was stopped: gitsync is closing") from None
            raise

    def _size(self, objects: GitCmdObjectDB, blob_id: str) -> int:
        size = self._sizes.get(blob_id)
        if size is None:
            with _asking_for(blob_id):
                size = int(objects.info(bytes.fromhex(blob_id)).size)
        return size

    def _content(self, objects: GitCmdObjectDB, blob_id: str, size: int) -> bytes:
        with _asking_for(blob_id):
            kind, data = self._answer(objects, blob_id, size)
        if kind != "blob":
            raise ValueError(f"object {blob_id} is a {kind}, not a file")
        if data is None or len(data) != size:  # GitPython takes the end of git for the end of the file
            raise Damaged(f"object {blob_id} is cut short")
        return data

    def _answer(self, objects: GitCmdObjectDB, blob_id: str, size: int) -> tuple[str, bytes | None]:
        # A method of its own: what GitPython's stream has not given by the time it goes, it reads then, in one piece.
        stream = objects.stream(bytes.fromhex(blob_id))
        kind = stream.type if isinstance(stream.type, str) else stream.type.decode()
        if kind == "blob" and stream.size == size:
            return kind, bytes(stream.read(size))
        self._database.stop()
        return kind, None


@contextmanager
def _asking_for(blob_id: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, git_python().exc.GitError, git_python().exc.ODBError) as error:
        raise Damaged(f"object {blob_id} cannot be read: {error}") from error


def parse_batch(wanted: Sequence[str], output: bytearray) -> dict[str, bytes]:
    """What ``git cat-file --batch`` answered about these blobs, by their ids. Raises: Damaged when one is not whole."""
    contents: dict[str, bytes] = {}
    with memoryview(output) as data:
        start = 0
        for blob_id in wanted:
            end = output.find(b"\n", start)
            head = bytes(data[start : max(end, start)]).split()
            if len(head) != 3 or head[0] != blob_id.encode():
                raise Damaged(f"object {blob_id} cannot be read")
            if head[1] != b"blob":
                raise ValueError(f"object {blob_id} is a {head[1].decode()}, not a file")
            start = end + 1 + int(head[2]) + 1
            if start > len(output):
                raise Damaged(f"object {blob_id} is cut short")
            contents[blob_id] = bytes(data[end + 1 : start - 1])
    return contents
