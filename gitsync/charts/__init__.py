"""Charts: loaded from archives and trees, their values, rendering by the Helm SDK, and kustomize for what is changed
after that. The only user of helm_python.

``Charts`` is what other rooms use. What it hands out (``Chart``, ``Rendered``) is shared and must not be changed.
Nothing here knows of releases or of where a chart came from.
"""

from gitsync.charts.chart import Chart
from gitsync.charts.charts import Charts
from gitsync.charts.defaults import over_defaults, with_values
from gitsync.charts.kustomize import KUSTOMIZATION, Kustomizer
from gitsync.charts.model import (
    Capabilities,
    Hook,
    ReleaseContext,
    Rendered,
)
from gitsync.charts.objects import install_order, parse_objects, uninstall_order
from gitsync.charts.reassemble import Sourced, parts, reassembled
from gitsync.charts.values import merge_values, read_values, set_value

__all__ = [
    "KUSTOMIZATION",
    "Capabilities",
    "Chart",
    "Charts",
    "Hook",
    "Kustomizer",
    "ReleaseContext",
    "Rendered",
    "Sourced",
    "install_order",
    "merge_values",
    "over_defaults",
    "parse_objects",
    "parts",
    "read_values",
    "reassembled",
    "set_value",
    "uninstall_order",
    "with_values",
]
