"""Charts out of a Git tree."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from gitsync.charts import archive
from gitsync.charts.archive import ArchiveFile
from gitsync.charts.chart import Chart
from gitsync.charts.ignore import HelmIgnore
from gitsync.errors import ChartError

_BOM = b"\xef\xbb\xbf"


def archive_from_files(files: Mapping[str, bytes]) -> bytes:
    """The archive that ``helm package`` would make of a folder, but the same bytes for the same files.

    Raises: ChartError.
    """
    if "Chart.yaml" not in files:
        raise ChartError(
            "no chart here: Chart.yaml is missing", hint="`chart` must name the folder that holds Chart.yaml"
        )
    for name in files:
        if posixpath.normpath(name) != name or name.startswith(("/", "..")):
            raise ChartError(f"chart file {name[:200]!r} lies outside the chart")
    rules = HelmIgnore(files.get(".helmignore", b"").decode("utf-8", "replace"))
    return archive.build(ArchiveFile(name, files[name].removeprefix(_BOM)) for name in rules.kept(sorted(files)))


def chart_from_files(files: Mapping[str, bytes], digest: str) -> Chart:
    """Blocks. Raises: ChartError."""
    return Chart(archive_from_files(files), digest)
