"""The files of an archive (.tar.gz) of no chart: read in memory, within bounds, and put nowhere.

What is in one is anybody's, so this belongs into a worker process. It unpacks what ``flux push artifact`` makes, and
reads it as Flux does (fluxcd/pkg/tar): devices and paths that lead elsewhere are refused; and hard links, of which Flux
makes empty files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any, Final

from gitsync.errors import ArtifactError
from gitsync.text import listed, shorten

#: Of all files together, in bytes, and how many entries there may be: files, directories and whatever else.
MAX_UNPACKED: Final = 48 << 20
MAX_FILES: Final = 20_000
#: What is no file's content: the headers of that many entries, each with one more for what does not fit into it.
HEADERS: Final = MAX_FILES * 2 * tarfile.BLOCKSIZE
_LONGEST_SHOWN: Final = 200
_MOST_SHOWN: Final = 3
_CHUNK: Final = 1 << 16
#: What reading an archive that is none, or is damaged, raises; also of headers that lead to headers without end.
UNREADABLE: Final = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError, RecursionError)


class Unzipped(io.RawIOBase):
    """What a .gz holds, as it is read, and no more of it than ``room``: then reading raises ``more``. It is never all
    in memory, so what there is too much of is found out on the way."""

    def __init__(self, data: bytes, room: int, more: Exception) -> None:
        self._stream = gzip.GzipFile(fileobj=io.BytesIO(data))
        self._left = room
        self._more = more

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(chunk)
        if self._left < 0:
            raise self._more
        return chunk


#: Files, each with its path, its size in bytes and its sha256 (hex), and the names of links that were passed over.
Listing = tuple[list[list[Any]], str]


def untar(where: Any, blobs: list[bytes]) -> tuple[Listing, list[bytes]]:
    """The files of a layer, and one text with the contents of all of them in this order. ``where`` is what messages
    call it. Symbolic links are passed over.

    Raises: ArtifactError for what is no archive, leads elsewhere, or is larger than the bounds.
    """
    what = "the layer is no archive of files (.tar.gz)"
    hint = "push it with `flux push artifact`, or choose another layer by layerSelector"
    return _unpacked(str(where), blobs[0], what, hint, skips_links=True)


def extract(where: Any, blobs: list[bytes]) -> tuple[Listing, list[bytes]]:
    """The same of a file in an artifact, which may hold no symbolic links (Flux's strategy Extract).

    Raises: ArtifactError, as above.
    """
    hint = "make it with `flux build artifact` or `helm package`"
    return _unpacked(str(where), blobs[0], "it is no archive of files (.tar.gz)", hint, skips_links=False)


def _unpacked(where: str, blob: bytes, what: str, hint: str, *, skips_links: bool) -> tuple[Listing, list[bytes]]:
    passed: list[str] | None = [] if skips_links else None
    try:
        stream = Unzipped(blob, MAX_UNPACKED + HEADERS, _too_large(where))
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            files = dict(_members(tar, where, passed))
        while stream.read(_CHUNK):  # what comes after the last file has its bounds, too, and its checksum
            pass
    except UNREADABLE as error:
        raise ArtifactError(
            f"{where}: {what}: {error}",
            hint=hint,
        ) from error
    listing = [[path, len(data), hashlib.sha256(data).hexdigest()] for path, data in sorted(files.items())]
    return (listing, listed(passed or (), _MOST_SHOWN)), [b"".join(files[path] for path in sorted(files))]


def _members(tar: tarfile.TarFile, where: str, passed: list[str] | None) -> Iterator[tuple[str, bytes]]:
    """``passed`` takes the names of symbolic links; without it there may be none."""
    total = 0
    for count, member in enumerate(tar):
        if count >= MAX_FILES:
            raise ArtifactError(
                f"{where}: the artifact has more than {MAX_FILES:,} files and directories", hint="leave some out"
            )
        path = _path(member.name, where)
        if member.isdir():
            continue
        if passed is not None and member.issym():
            passed.append(_shown(path))
            continue
        if not member.isreg() or member.issparse():
            raise ArtifactError(f"{where}: the artifact has {kind_of(member)} at {_shown(path)}")
        total += member.size
        if total > MAX_UNPACKED:
            raise _too_large(where)
        stream = tar.extractfile(member)
        yield path, stream.read() if stream is not None else b""


def kind_of(member: tarfile.TarInfo) -> str:
    """What messages call a member that is neither a file nor a directory."""
    kinds = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.FIFOTYPE: "a named pipe"}
    return kinds.get(member.type) or ("a device" if member.isdev() else "something else than a file")


def _path(name: str, where: str) -> str:
    path = posixpath.normpath(name)
    if name.startswith("/") or path.startswith("../") or path == ".." or "\\" in name or "\0" in name:
        raise ArtifactError(f"{where}: the artifact has a file that leads out of it: {_shown(name)}")
    return path


def _shown(name: str) -> str:
    return repr(shorten(name, _LONGEST_SHOWN))


def _too_large(where: Any) -> ArtifactError:
    return ArtifactError(
        f"{where}: the artifact is larger than {MAX_UNPACKED >> 20} MiB unpacked", hint="leave files out of it"
    )
