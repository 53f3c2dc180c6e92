"""A chart with other default values, such as those of ``valuesFiles``, in the place of its values.yaml. Blocks."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gitsync.charts import archive, native
from gitsync.charts.archive import ArchiveFile
from gitsync.charts.chart import Chart
from gitsync.charts.values import merge_values, read_values
from gitsync.errors import ValuesError

#: What YAML takes in no string as it is, and JSON does.
_UNPRINTABLE = re.compile("[\x7f-\x9f\ufeff\ufffe\uffff]")


def with_values_files(
    chart: Chart, paths: Sequence[str], digest: str, ignore_missing: bool, files: Mapping[str, bytes] | None
) -> Chart:
    """See ``Charts.with_values_files``."""
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
    return with_values(chart, values, digest)


def with_values(chart: Chart, values: Mapping[str, Any], digest: str) -> Chart:
    """The chart with these default values and no others of its own, known as ``digest``. Raises: ChartError."""
    return chart.with_file("values.yaml", _yaml(values), digest)


def over_defaults(values: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` over a chart's default values, as Helm coalesces them for rendering (CoalesceValues): what a null is
    set for is gone. Raises: ValuesError.
    """
    stub = ArchiveFile("Chart.yaml", b"apiVersion: v2\nname: values\nversion: 1.0.0\n")
    handle = native.Handle(archive.build([stub, ArchiveFile("values.yaml", _yaml(defaults))], "values"))
    try:
        return handle.over_defaults(values)
    finally:
        handle.close()


def _yaml(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _read(chart: Chart, path: str, data: bytes) -> dict[str, Any]:
    try:
        return read_values(data.decode())
    except (UnicodeDecodeError, ValuesError):
        raise ValuesError(
            f"values file {path!r} of chart {chart.name} {chart.version} holds no YAML mapping",
            chart=chart.name,
            version=chart.version,
        ) from None
