"""Charts: loaded from archives and trees, their values, rendering, and kustomize for what is changed after that. All
that opens a chart is done by ``gitsync.helm`` in worker processes, which ``workers`` asks.

``Charts`` is what other rooms use. What it hands out (``Chart``, ``Rendered``) is shared and must not be changed.
Nothing here knows of releases or of where a chart came from.
"""

from gitsync.charts.chart import Chart
from gitsync.charts.charts import Charts
from gitsync.charts.reassemble import Sourced, parts, reassembled
from gitsync.helm.composing import Part, composed, not_shown, secrets_of
from gitsync.helm.manifest import install_order, parse_objects, uninstall_order
from gitsync.helm.rendered import (
    Capabilities,
    Hook,
    ReleaseContext,
    Rendered,
)
from gitsync.helm.values import merge_values, read_values, set_value

__all__ = [
    "Capabilities",
    "Chart",
    "Charts",
    "Hook",
    "Part",
    "ReleaseContext",
    "Rendered",
    "Sourced",
    "composed",
    "install_order",
    "merge_values",
    "not_shown",
    "parse_objects",
    "parts",
    "read_values",
    "reassembled",
    "secrets_of",
    "set_value",
    "uninstall_order",
]
