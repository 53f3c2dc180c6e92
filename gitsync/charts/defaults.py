"""A chart with other default values: ``valuesFiles`` in the place of its values.yaml. Blocks."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

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
                hint="mend valuesFiles, or set ignoreMissingValuesFiles: true",
            )
    text = json.dumps(values, ensure_ascii=False)
    text = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return chart.with_file("values.yaml", text.encode(), digest)


def _read(chart: Chart, path: str, data: bytes) -> dict[str, Any]:
    try:
        return read_values(data.decode())
    except (UnicodeDecodeError, ValuesError):
        raise ValuesError(
            f"values file {path!r} of chart {chart.name} {chart.version} holds no YAML mapping",
            chart=chart.name,
            version=chart.version,
        ) from None
