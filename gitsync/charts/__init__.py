"""Charts: repositories over HTTP and charts out of Git trees, choice of versions, values, rendering by the Helm SDK,
and kustomize for what is changed after that.

``Charts`` is the door. What it hands out (``Chart``, ``Rendered``) is shared and must not be changed. Nothing here
knows of releases: what becomes of a rendering is the release room's business.
"""

from gitsync.charts.chart import Chart
from gitsync.charts.charts import MAX_CHART, Charts
from gitsync.charts.defaults import over_defaults, with_values
from gitsync.charts.kustomize import KUSTOMIZATION, Kustomizer
from gitsync.charts.model import (
    Capabilities,
    Hook,
    IndexEntry,
    IndexInfo,
    ReleaseContext,
    Rendered,
    RepositorySpec,
)
from gitsync.charts.objects import install_order, parse_objects, uninstall_order
from gitsync.charts.reassemble import Sourced, parts, reassembled
from gitsync.charts.values import merge_values, read_values, set_value
from gitsync.sources.helm.index import MAX_INDEX

__all__ = [
    "KUSTOMIZATION",
    "MAX_CHART",
    "MAX_INDEX",
    "Capabilities",
    "Chart",
    "Charts",
    "Hook",
    "IndexEntry",
    "IndexInfo",
    "Kustomizer",
    "ReleaseContext",
    "Rendered",
    "RepositorySpec",
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
