"""``valuesFiles``: a chart that was found, with other files in place of its values.yaml."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from gitsync.api.parts.chart import ChartChoice
from gitsync.charts import Chart, Charts
from gitsync.sources.charts.chart import ChartArtifact
from gitsync.spool import Body


def with_values_files(
    charts: Charts,
    artifact: ChartArtifact,
    spec: ChartChoice,
    owner: str,
    content: Sequence[str] = (),
    read: Callable[[], Awaitable[dict[str, Body]]] | None = None,
    found: Sequence[str] | None = None,
) -> ChartArtifact:
    """``artifact`` with the default values that ``spec`` asks for; the same when it asks for none.

    The files are the chart's own, unless ``read`` gives them by path; then ``content`` identifies them. ``found`` are
    the files that exist, None for all that ``spec`` names. ``owner`` is for whom it is done.
    """
    paths, ignore_missing = spec.all_values_files(), spec.ignore_missing_values_files
    if not paths:
        return artifact
    asked = json.dumps([artifact.digest, paths, ignore_missing, list(content)])
    digest = f"sha256:{hashlib.sha256(asked.encode()).hexdigest()}"

    async def load() -> Chart:
        chart = await artifact.load()
        files = await read() if read is not None else None
        return await charts.with_values_files(
            chart, paths, digest, ignore_missing=ignore_missing, files=files, owner=owner
        )

    return replace(artifact, digest=digest, load=load, values_files=tuple(paths if found is None else found))
