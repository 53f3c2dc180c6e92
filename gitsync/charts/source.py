"""Charts out of a Git tree."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping

from gitsync.charts.ignore import HelmIgnore
from gitsync.errors import ChartError
from gitsync.helm import archive
from gitsync.helm.archive import ArchiveFile

_BOM = b"\xef\xbb\xbf"


def archive_from_files(files: Mapping[str, bytes]) -> bytes:
    """The archive that ``helm package`` would make of a folder, but the same bytes for the same files.

    Raises: ChartError.
    """
    names = packed_names(files, files.get(".helmignore", b""))
    return archive.build(packed_file(name, files[name]) for name in names)


def packed_names(names: Collection[str], ignore: bytes) -> list[str]:
    """The files of a folder that go into its archive, in their order; ``ignore`` is the text of ``.helmignore``.

    Raises: ChartError.
    """
    if "Chart.yaml" not in names:
        raise ChartError(
            "no chart here: Chart.yaml is missing", hint="`chart` must name the folder that holds Chart.yaml"
        )
    for name in names:
        if posixpath.normpath(name) != name or name.startswith(("/", "..")):
            raise ChartError(f"chart file {name[:200]!r} lies outside the chart")
    return HelmIgnore(ignore.decode("utf-8", "replace")).kept(sorted(names))


def packed_file(name: str, data: bytes) -> ArchiveFile:
    """A file as it is in the archive."""
    return ArchiveFile(name, data.removeprefix(_BOM))
