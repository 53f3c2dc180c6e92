"""The files of an archive (.tar.gz) of no chart: read in memory, within bounds, and put nowhere.

What is in one is anybody's, so this belongs into a worker process. It unpacks what ``flux push artifact`` makes, and
reads it as Flux does (fluxcd/pkg/tar): devices and paths that lead elsewhere are refused.
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
from gitsync.text import shorten

#: Of all files together, in bytes, and how many there may be.
MAX_UNPACKED: Final = 48 << 20
MAX_FILES: Final = 20_000
_HEADERS: Final = MAX_FILES * 2 * tarfile.BLOCKSIZE
_LONGEST_SHOWN: Final = 200


def untar(where: Any, blobs: list[bytes]) -> tuple[list[list[Any]], list[bytes]]:
    """The files of a layer: for each its path, its size in bytes and its sha256 (hex), and one text with the contents
    of all of them in this order. ``where`` is what messages call it. Links are passed over.

    Raises: ArtifactError for what is no archive, leads elsewhere, or is larger than the bounds.
    """
    what = "the layer is no archive of files (.tar.gz)"
    hint = "push it with `flux push artifact`, or choose another layer by layerSelector"
    return _unpacked(str(where), blobs[0], what, hint, skips_links=True)


def extract(where: Any, blobs: list[bytes]) -> tuple[list[list[Any]], list[bytes]]:
    """The same of a file in an artifact, which may hold no symbolic links (Flux's strategy Extract).

    Raises: ArtifactError, as above.
    """
    hint = "make it with `flux build artifact` or `helm package`"
    return _unpacked(str(where), blobs[0], "it is no archive of files (.tar.gz)", hint, skips_links=False)


def _unpacked(
    where: str, blob: bytes, what: str, hint: str, *, skips_links: bool
) -> tuple[list[list[Any]], list[bytes]]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(blob)) as stream:
            unpacked = stream.read(MAX_UNPACKED + _HEADERS + 1)
        if len(unpacked) > MAX_UNPACKED + _HEADERS:
            raise _too_large(where)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            files = dict(_members(tar, where, skips_links))
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise ArtifactError(
            f"{where}: {what}: {error}",
            hint=hint,
        ) from error
    listing = [[path, len(data), hashlib.sha256(data).hexdigest()] for path, data in sorted(files.items())]
    return listing, [b"".join(files[path] for path in sorted(files))]


def _members(tar: tarfile.TarFile, where: str, skips_links: bool) -> Iterator[tuple[str, bytes]]:
    total = 0
    for count, member in enumerate(tar):
        if count >= MAX_FILES:
            raise ArtifactError(f"{where}: the artifact has more than {MAX_FILES:,} files", hint="leave some out")
        path = _path(member.name, where)
        if member.isdir() or (skips_links and (member.issym() or member.islnk())):
            continue
        if not member.isreg() or member.issparse():
            what = "a link" if member.issym() or member.islnk() else "something else than a file"
            raise ArtifactError(f"{where}: the artifact has {what} at {_shown(path)}")
        total += member.size
        if total > MAX_UNPACKED:
            raise _too_large(where)
        stream = tar.extractfile(member)
        yield path, stream.read() if stream is not None else b""


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
