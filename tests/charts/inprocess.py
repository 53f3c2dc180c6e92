"""Rendering in the test's own process, for tests that are about what comes after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gitsync.charts import ReleaseContext, Rendered
from gitsync.helm.loaded import LoadedChart
from gitsync.helm.rendering import Request, render
from gitsync.helm.uses import Uses


def request(values: Mapping[str, Any] | None = None) -> Request:
    """A request to render with values, without a cluster."""
    context = ReleaseContext("demo", "default")
    return Request(json.dumps(values or {}), context, "", (), Uses(False, False, False), None, True)


def rendered_here(archive: bytes, values: Mapping[str, Any] | None = None) -> Rendered:
    """The objects that a chart's archive is rendered to."""
    chart = LoadedChart(archive, "x")
    found = render(chart, request(values))
    crds = chart.crds if found.crds is None else found.crds
    record = chart.record() | ({"metadata": found.metadata, "values": found.values} if found.metadata else {})
    return Rendered(found.manifest, found.objects, found.hooks, found.notes, crds, record)
