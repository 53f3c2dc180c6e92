"""Chart archives (.tgz) in memory: read as Helm reads them, with its bounds, and built so that equal files give equal
bytes. Nothing here touches the disk. What is read is anybody's: that belongs into a worker process.
"""

from __future__ import annotations

import gzip
import io
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from gitsync.errors import ChartError
from gitsync.text import shorten
from gitsync.untar import HEADERS, UNREADABLE, Unzipped, kind_of

#: Helm's bounds (pkg/chart/loader/archive): of everything in an archive, and of one file, in bytes.
MAX_UNPACKED = 100 * 1024 * 1024
MAX_FILE = 5 * 1024 * 1024
#: Helm has no bound on the number of files; a tar of empty files would otherwise cost gigabytes of Python objects.
MAX_FILES = 20_000

_BOM = b"\xef\xbb\xbf"
_DRIVE = re.compile(r"[a-zA-Z]:/")
_LONGEST_SHOWN = 200


class Sink(Protocol):
    """Takes what is written."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file of a chart: its path below the chart's root, its bytes, and the tar header's time (RFC 3339, UTC)."""

    name: str
    data: bytes
    modified: str = "1970-01-01T00:00:00Z"


def read(data: bytes, chart: str = "", spent: int = 0) -> list[ArchiveFile]:
    """The files of a chart archive in their order; ``chart`` is only for messages. ``spent`` is what of the room
    for all its files is taken already, in bytes.

    Raises: ChartError for what is no archive, leaves its root, is larger than Helm takes, or has a link, a device or a
    pipe in it: Helm has an empty file in the place of such a one, without a word, and so another chart.
    """
    try:
        room = MAX_UNPACKED - spent
        stream = Unzipped(data, room + HEADERS, _too_large(chart))
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            files = list(_members(tar, chart, room))
    except UNREADABLE as error:
        raise ChartError(f"chart archive cannot be read: {error}", chart=chart) from error
    if not files:
        raise ChartError("chart archive holds no files", chart=chart)
    return files


def _members(tar: tarfile.TarFile, chart: str, room: int) -> Iterator[ArchiveFile]:
    total = 0
    for count, member in enumerate(tar):
        if count >= MAX_FILES:
            raise _too_many(chart)
        if member.isdir():
            continue
        name = _name(member.name, chart)
        stream = tar.extractfile(member) if member.isreg() else None
        if stream is None:
            raise ChartError(
                f"chart archive has {kind_of(member)} at {_shown(member.name)}, of which Helm makes an empty file",
                chart=chart,
                hint="pack it by `helm package`, which puts what a link leads to in its place",
            )
        if member.size > MAX_FILE:
            raise ChartError(f"chart file {name!r} is larger than {MAX_FILE // 2**20} MiB", chart=chart)
        content = stream.read()
        total += len(content)
        if total > room:
            raise _too_large(chart)
        yield ArchiveFile(name, content.removeprefix(_BOM), _rfc3339(member.mtime))


def _name(name: str, chart: str) -> str:
    """The path below the root, after Helm's checks (Windows archives have backslashes), and of a root that is a
    directory here: Helm takes `/etc/x` and `../x` for files of the chart, without a word."""
    top, _, below = name.replace("\\", "/").partition("/")
    path = posixpath.normpath(below) if below else "."
    leads_out = path == "." or path.startswith(("..", "/")) or _DRIVE.match(path)
    if top in ("", "..", "Chart.yaml") or leads_out:
        raise ChartError(f"chart archive has a file outside the chart's directory: {_shown(name)}", chart=chart)
    return path


def _shown(name: str) -> str:
    return repr(shorten(name, _LONGEST_SHOWN))


def _too_large(chart: str) -> ChartError:
    return ChartError(f"chart archive is larger than {MAX_UNPACKED // 2**20} MiB unpacked", chart=chart)


def _too_many(chart: str) -> ChartError:
    return ChartError(f"chart archive has more than {MAX_FILES:,} files and directories", chart=chart)


def _rfc3339(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond:06d}".rstrip("0").rstrip(".") + "Z" if moment.microsecond else text + "Z"


class Builder:
    """Writes a .tgz of files below ``root``, as they come; equal input gives equal bytes. ``close`` ends it."""

    def __init__(self, into: Sink, root: str = "chart") -> None:
        self._zipped = gzip.GzipFile(fileobj=into, mode="wb", compresslevel=1, mtime=0)
        self._tar = tarfile.open(fileobj=self._zipped, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # close does
        self._root = root

    def add(self, file: ArchiveFile) -> None:
        info = tarfile.TarInfo(f"{self._root}/{file.name}")
        info.size = len(file.data)
        info.mtime = int(datetime.fromisoformat(file.modified).timestamp())
        self._tar.addfile(info, io.BytesIO(file.data))

    def close(self) -> None:
        self._tar.close()
        self._zipped.close()


def build(files: Iterable[ArchiveFile], root: str = "chart") -> bytes:
    """An archive of files that are all in memory."""
    packed = io.BytesIO()
    builder = Builder(packed, root)
    for file in files:
        builder.add(file)
    builder.close()
    return packed.getvalue()


def with_file(data: bytes, name: str, content: bytes) -> bytes:
    """The archive with one file replaced or added. Raises: ChartError."""
    return build([*(file for file in read(data) if file.name != name), ArchiveFile(name, content)])


def unnested(files: Iterable[ArchiveFile], chart: str = "") -> list[ArchiveFile]:
    """The same chart with the archives in ``charts/`` unpacked beside it, as Helm loads both alike.

    Raises: ChartError when they are nested more than eight deep, cannot be read, or are together more than one archive
    may be.
    """
    return _unnested(list(files), chart, 0, _Sum())


class _Sum:
    """What all archives of a chart come to, those inside of each other too: Helm bounds each by itself."""

    def __init__(self) -> None:
        self.size = self.files = 0

    def add(self, files: Sequence[ArchiveFile], chart: str) -> None:
        self.size += sum(len(file.data) for file in files)
        self.files += len(files)
        if self.files > MAX_FILES:
            raise _too_many(chart)


def _unnested(files: Sequence[ArchiveFile], chart: str, depth: int, total: _Sum) -> list[ArchiveFile]:
    total.add(files, chart)
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
        try:
            inner = _unnested(read(file.data, chart, total.size), chart, depth + 1, total)
        except ChartError as error:
            raise ChartError(f"{file.name}: {error.message}", chart=chart, hint=error.hint) from error
        result += [replace(each, name=f"{below}/{each.name}") for each in inner]
    return result
