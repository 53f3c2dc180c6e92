"""What the agent's own objects say of themselves, as labels of metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gitsync.api.conditions import ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.text import shorten

#: What is longer than this is cut: whoever writes objects must not fill Prometheus.
MOST = 128
#: Where an object's status has what it is at, best first.
_REVISIONS = (("lastAppliedRevision",), ("artifact", "revision"), ("lastAttemptedRevision",))


class Resource(NamedTuple):
    """Of a HelmRelease, a Kustomization or a source: the labels of gotk_resource_info, by the names of Flux's
    monitoring example, and why it is not ready, as the reason of its condition Ready ("" when it is)."""

    key: ObjectKey
    version: str
    ready: str
    suspended: str
    revision: str
    source_name: str
    chart_name: str
    chart_version: str
    reason: str


#: The labels of gotk_resource_info, in the order of ``labels_of``.
LABELS = (
    "customresource_group",
    "customresource_version",
    "customresource_kind",
    "exported_namespace",
    "name",
    "ready",
    "suspended",
    "revision",
    "source_name",
    "chart_name",
    "chart_version",
)


def resource_of(key: ObjectKey, manifest: Manifest) -> Resource:
    """What one says of itself; whatever it does not say is ""."""
    ready = ready_of(manifest)
    status = str(ready.get("status", "Unknown"))
    history = _at(manifest, "status", "history")
    chart = history[0] if isinstance(history, list) and history and isinstance(history[0], dict) else {}
    source = _at(manifest, "spec", "sourceRef") or _at(manifest, "spec", "chartRef")
    source = source or _at(manifest, "spec", "chart", "spec", "sourceRef")
    return Resource(
        key,
        str(manifest.get("apiVersion", "")).rpartition("/")[2],
        status,
        "true" if _at(manifest, "spec", "suspend") is True else "false",
        next((found for path in _REVISIONS if (found := _text(_at(manifest, "status", *path)))), ""),
        _text(source.get("name")) if isinstance(source, Mapping) else "",
        _text(chart.get("chartName")),
        _text(chart.get("chartVersion")),
        "" if status == "True" else _text(ready.get("reason")) or "Unknown",
    )


def labels_of(resource: Resource) -> list[str]:
    """The values of LABELS."""
    key = resource.key
    return [key.group, resource.version, key.kind, key.namespace, key.name, *resource[2:8]]


def _at(manifest: Any, *path: str) -> Any:
    for name in path:
        manifest = manifest.get(name) if isinstance(manifest, Mapping) else None
    return manifest


def _text(value: object) -> str:
    return shorten(value, MOST) if isinstance(value, str) else ""
