"""Chart archives (.tgz) in memory: read as Helm reads them, with its bounds, and built so that equal files give equal
bytes. Nothing here touches the disk.
"""

from __future__ import annotations

import gzip
import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gitsync.errors import ChartError

#: Helm's bounds (pkg/chart/loader/archive): of everything in an archive, and of one file, in bytes.
MAX_UNPACKED = 100 * 1024 * 1024
MAX_FILE = 5 * 1024 * 1024
#: Helm has no bound on the number of files; a tar of empty files would otherwise cost gigabytes of Python objects.
MAX_FILES = 20_000

_BOM = b"\xef\xbb\xbf"
_DRIVE = re.compile(r"[a-zA-Z]:/")


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file of a chart: its path below the chart's root, its bytes, and the tar header's time (RFC 3339, UTC)."""

    name: str
    data: bytes
    modified: str = "1970-01-01T00:00:00Z"


def read(data: bytes, chart: str = "") -> list[ArchiveFile]:
    """The files of a chart archive in their order; ``chart`` is only for messages.

    Raises: ChartError for what is no archive, leaves its root, or is larger than Helm takes.
    """
    try:
        with tarfile.open(fileobj=_Bounded(gzip.GzipFile(fileobj=io.BytesIO(data)), chart), mode="r|") as tar:
            files = list(_members(tar, chart))
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise ChartError(f"chart archive cannot be read: {error}", chart=chart) from error
    if not files:
        raise ChartError("chart archive holds no files", chart=chart)
    return files


class _Bounded(io.RawIOBase):
    """Stops a decompression bomb: at most MAX_UNPACKED and some headers come out."""

    def __init__(self, stream: gzip.GzipFile, chart: str) -> None:
        self._stream = stream
        self._chart = chart
        self._left = MAX_UNPACKED + MAX_FILES * 2 * tarfile.BLOCKSIZE

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(chunk)
        if self._left < 0:
            raise ChartError(f"chart archive is larger than {MAX_UNPACKED // 2**20} MiB unpacked", chart=self._chart)
        return chunk


def _members(tar: tarfile.TarFile, chart: str) -> Iterator[ArchiveFile]:
    total = 0
    for count, member in enumerate(tar):
        if count >= MAX_FILES:
            raise ChartError(f"chart archive has more than {MAX_FILES} files", chart=chart)
        if member.isdir():
            continue
        name = _name(member.name, chart)
        # Helm takes a link as an empty file; whatever it points to is never followed.
        stream = tar.extractfile(member) if member.isreg() else None
        if member.size > MAX_FILE and stream is not None:
            raise ChartError(f"chart file {name!r} is larger than {MAX_FILE // 2**20} MiB", chart=chart)
        content = stream.read() if stream is not None else b""
        total += len(content)
        if total > MAX_UNPACKED:
            raise ChartError(f"chart archive is larger than {MAX_UNPACKED // 2**20} MiB unpacked", chart=chart)
        yield ArchiveFile(name, content.removeprefix(_BOM), _rfc3339(member.mtime))


def _name(name: str, chart: str) -> str:
    """The path below the root, after Helm's checks (Windows archives have backslashes)."""
    top, _, below = name.replace("\\", "/").partition("/")
    path = posixpath.normpath(below) if below else "."
    if top == "Chart.yaml" or path == "." or path.startswith(("..", "/")) or _DRIVE.match(path):
        raise ChartError(f"chart archive has a file outside the chart's directory: {name[:200]!r}", chart=chart)
    return path


def _rfc3339(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond:06d}".rstrip("0").rstrip(".") + "Z" if moment.microsecond else text + "Z"


def build(files: Iterable[ArchiveFile], root: str = "chart") -> bytes:
    """A .tgz of the files below ``root``; equal input gives equal bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in files:
            info = tarfile.TarInfo(f"{root}/{file.name}")
            info.size = len(file.data)
            info.mtime = int(datetime.fromisoformat(file.modified).timestamp())
            tar.addfile(info, io.BytesIO(file.data))
    return packed.getvalue()


def unnested(files: Iterable[ArchiveFile], chart: str = "", depth: int = 0) -> list[ArchiveFile]:
    """The same chart with the archives in ``charts/`` unpacked beside it, as Helm loads both alike.

    Raises: ChartError when they are nested more than eight deep or cannot be read.
    """
    result: list[ArchiveFile] = []
    for file in files:
        folder, name = posixpath.split(file.name)
        nested = folder == "charts" or folder.endswith("/charts")
        if not nested or not name.endswith(".tgz") or name.startswith(("_", ".")):
            result.append(file)
            continue
        if depth >= 8:
            raise ChartError("chart archives are nested more than 8 deep", chart=chart)
        below = f"{folder}/{name.removesuffix('.tgz')}"
        for inner in unnested(read(file.data, chart), chart, depth + 1):
            result.append(replace(inner, name=f"{below}/{inner.name}"))
            if len(result) > MAX_FILES:
                raise ChartError(f"chart archive has more than {MAX_FILES} files", chart=chart)
    return result
