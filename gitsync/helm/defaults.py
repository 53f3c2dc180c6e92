"""Other default values for a chart, such as those of ``valuesFiles``, in the place of its values.yaml."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from gitsync.errors import ValuesError
from gitsync.helm import archive, native
from gitsync.helm.archive import ArchiveFile
from gitsync.helm.loaded import LoadedChart
from gitsync.helm.values import merge_values, read_values, values_yaml


def read_values_files(
    chart: LoadedChart, paths: Sequence[str], ignore_missing: bool, files: Mapping[str, bytes] | None
) -> dict[str, Any]:
    """The values in the files at ``paths``, later ones winning; see ``Charts.with_values_files``."""
    values: dict[str, Any] = {}
    for path in paths:
        data = chart.file(posixpath.normpath(path)) if files is None else files.get(path)
        if data is not None:
            values = merge_values(values, _read(chart, path, data))
        elif not ignore_missing:
            raise ValuesError(
                f"chart {chart.name} {chart.version} has no values file {path!r}",
                chart=chart.name,
                version=chart.version,
                hint="correct valuesFiles, or set ignoreMissingValuesFiles: true",
            )
    return values


def over_defaults(values: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` over a chart's default values, as Helm coalesces them for rendering (CoalesceValues): what a null is
    set for is gone. Raises: ValuesError.
    """
    stub = ArchiveFile("Chart.yaml", b"apiVersion: v2\nname: values\nversion: 1.0.0\n")
    handle = native.Handle(archive.build([stub, ArchiveFile("values.yaml", values_yaml(defaults))], "values"))
    try:
        return handle.over_defaults(values)
    finally:
        handle.close()


def _read(chart: LoadedChart, path: str, data: bytes) -> dict[str, Any]:
    try:
        return read_values(data.decode())
    except (UnicodeDecodeError, ValuesError):
        raise ValuesError(
            f"values file {path!r} of chart {chart.name} {chart.version} holds no YAML mapping",
            chart=chart.name,
            version=chart.version,
        ) from None
