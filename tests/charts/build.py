"""Small charts made in a test's own text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitsync.charts import Chart, Charts
from gitsync.charts.source import archive_from_files
from gitsync.helm import archive
from gitsync.helm.archive import ArchiveFile
from gitsync.spool import Body


def chart_files(name: str = "app", version: str = "1.0.0", metadata: str = "", **files: str) -> dict[str, bytes]:
    """A chart's files; ``templates__a_yaml="..."`` becomes templates/a.yaml, ``metadata`` is added to Chart.yaml."""
    chart = f"apiVersion: v2\nname: {name}\nversion: {version}\n{metadata}"
    written = {"Chart.yaml": chart.encode()}
    for key, text in files.items():
        folder, _, file = key.rpartition("__")
        stem, _, extension = file.rpartition("_")
        written["/".join([*folder.split("__"), f"{stem}.{extension}"]).lstrip("/")] = text.encode()
    return written


def packed(files: dict[str, bytes]) -> bytes:
    """The files as an archive, byte for byte as given."""
    return archive.build(ArchiveFile(name, data) for name, data in files.items())


async def from_files(charts: Charts, files: Mapping[str, bytes], digest: str) -> Chart:
    """The chart in a folder with these files."""

    async def pack() -> Body:
        return Body.of(archive_from_files(files))

    return await charts.from_tree(pack, digest)


def config_map(name: str = "{{ .Release.Name }}", **data: Any) -> str:
    """A template for a ConfigMap."""
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n" + (f"data:\n{lines}" if lines else "")
