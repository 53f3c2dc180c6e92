"""Files below the cache directory: archives by digest, and what is known of sources, for a restart without network."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from gitsync.logs import Once
from gitsync.spool import Body

log = structlog.get_logger(__name__)

#: Total size of the kept archives, and of the files of those that were unpacked, in bytes; the ones unused for longest
#: go first.
MAX_ARCHIVES = 512 * 1024 * 1024
MAX_UNPACKED = 256 * 1024 * 1024

#: Seconds after which a temporary file is taken for what a write that broke off has left.
LONGEST_WRITE = 3600.0
_UNDER_WAY = ".new-"

#: Files of ``keep_data`` in one folder.
MAX_NOTES = 8192


class Store:
    """Blocking reads and atomic writes. What cannot be read counts as absent, since all of it can be fetched again.
    What cannot be written (a full disk, a read-only volume) is said once, and missed only after a restart.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._once = Once()
        self._archives = directory / "charts"
        self._unpacked = directory / "unpacked"

    def archive(self, digest: str) -> Body | None:
        """The archive with this sha256 (hex); a damaged file is dropped. None for text that is no sha256."""
        if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
            return None
        path = self._archives / f"{digest}.tgz"
        try:
            body = Body.opened(path)
        except OSError:
            return None
        if body.sha256 != digest:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return body

    def keep_archive(self, body: Body) -> None:
        """Writes it under its sha256."""
        with self._writing():
            _write(self._archives / f"{body.sha256}.tgz", body.pieces())
            _make_room(self._archives, MAX_ARCHIVES)

    def keep_unpacked(self, digest: str, contents: Iterable[bytes]) -> None:
        """Writes the contents of files, one after the other; ``digest`` (hex) is that of the archive, or of a list of
        the files."""
        with self._writing():
            _write(self._unpacked / digest, contents)
            _make_room(self._unpacked, MAX_UNPACKED)

    def unpacked(self, digest: str, places: Iterable[tuple[int, int]]) -> list[bytes] | None:
        """Parts of the file that ``keep_unpacked`` wrote, by their offsets and sizes in bytes; None when it is gone
        or shorter. The caller checks their digests."""
        try:
            with (self._unpacked / digest).open("rb") as file:
                os.utime(file.fileno())
                return [os.pread(file.fileno(), size, begin) for begin, size in places]
        except OSError:
            return None

    def text(self, folder: str, name: str) -> Body | None:
        """The text that ``keep_text`` wrote."""
        try:
            return Body.opened(self._directory / folder / name)
        except OSError:
            return None

    def keep_text(self, folder: str, name: str, text: Iterable[bytes]) -> None:
        """Writes a text, in pieces. ``name`` is the file's name, which gitsync makes of a digest."""
        with self._writing():
            _write(self._directory / folder / name, text)

    def data(self, folder: str, name: str) -> Any:
        """The value that ``keep_data`` wrote; None when it cannot be read."""
        try:
            kept = self.text(folder, f"{name}.json")
            return json.loads(kept.read()) if kept is not None else None
        except (OSError, ValueError):
            return None

    def keep_data(self, folder: str, name: str, data: Any) -> None:
        """Writes a value as JSON; see ``keep_text``."""
        self.keep_text(folder, f"{name}.json", [json.dumps(data).encode()])
        with self._writing():
            _drop_oldest(self._directory / folder, MAX_NOTES)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around a write: a failure is logged once, and again only after a write has succeeded."""
        try:
            yield
        except OSError as error:
            if self._once.is_news(self._directory):
                log.warning(
                    "charts cannot be kept on disk, going on without",
                    directory=str(self._directory),
                    why=error.strerror or str(error),
                    hint="make room there, or mount a writable volume; until then a restart fetches all charts again",
                )
        else:
            if self._once.over(self._directory):
                log.info("charts can be kept on disk again", directory=str(self._directory))


def _make_room(folder: Path, most: int) -> None:
    """Removes what was unused for longest, until no more than ``most`` bytes are left."""
    _sweep(folder)
    found = []
    for path in folder.iterdir():
        if not path.name.startswith(_UNDER_WAY):
            with contextlib.suppress(OSError):  # another process may have removed it
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size


def _sweep(folder: Path) -> None:
    """Removes the temporary files of writes that broke off."""
    long_ago = time.time() - LONGEST_WRITE
    for path in folder.glob(f"{_UNDER_WAY}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < long_ago:
                path.unlink()


def _drop_oldest(folder: Path, most: int) -> None:
    """Removes the files that were written longest ago. Names change with credentials, and these are rotated: old
    files would stay for ever."""
    _sweep(folder)
    paths, found = list(folder.glob("*.json")), []
    if len(paths) <= most:
        return
    for path in paths:
        with contextlib.suppress(OSError):  # another process may have removed it
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found)[: max(0, len(found) - most)]:
        path.unlink(missing_ok=True)


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNDER_WAY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
