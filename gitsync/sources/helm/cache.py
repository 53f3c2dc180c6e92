"""Files below the cache directory: chart archives by digest, and reduced indexes, so that a restart needs neither."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from gitsync.sources.helm.index import Index
from gitsync.sources.helm.model import IndexEntry

#: Total size of the kept archives, in bytes; the ones unused for longest go first.
MAX_ARCHIVES = 512 * 1024 * 1024


class Store:
    """Blocking reads and atomic writes; what cannot be read counts as absent, since all of it can be fetched again."""

    def __init__(self, directory: Path) -> None:
        self._archives = directory / "charts"
        self._indexes = directory / "indexes"

    def archive(self, digest: str) -> bytes | None:
        """The archive with this sha256 (hex); a damaged file is dropped. Other text than a sha256 names no file."""
        if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
            return None
        path = self._archives / f"{digest}.tgz"
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != digest:
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data

    def keep_archive(self, digest: str, data: bytes) -> None:
        """Writes it under its sha256 (hex)."""
        _write(self._archives / f"{digest}.tgz", data)
        self._make_room()

    def index(self, repository: str, url: str) -> Index | None:
        """What ``keep_index`` wrote for the repository (RepositorySpec.id), whose URL is never written down."""
        try:
            with (self._indexes / f"{repository}.jsonl").open("rb") as lines:
                head = json.loads(next(lines))
                charts = {}
                for line in lines:
                    name, entries = json.loads(line)
                    charts[name] = tuple(IndexEntry(v, d, tuple(u), c, a) for v, d, u, c, a in entries)
            return Index(url, head["revision"], charts, head["etag"], head["modified"])
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            return None

    def keep_index(self, repository: str, index: Index) -> None:
        """Writes the index: a line for what it is, then one for each chart."""
        # Line by line also because one call of json holds up all other threads until it is done.
        lines = [json.dumps({"revision": index.revision, "etag": index.etag, "modified": index.modified})]
        for name, entries in index.charts.items():
            listed = [(e.version, e.digest, e.urls, e.created, e.app_version) for e in entries]
            lines.append(json.dumps((name, listed), separators=(",", ":")))
        _write(self._indexes / f"{repository}.jsonl", "\n".join(lines).encode())

    def _make_room(self) -> None:
        found = []
        for path in self._archives.glob("*.tgz"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= MAX_ARCHIVES:
                return
            path.unlink(missing_ok=True)
            total -= size


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
