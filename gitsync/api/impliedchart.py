"""The HelmCharts that HelmReleases with ``spec.chart`` imply, named and labelled as Flux's helm-controller does.

Tools and dashboards look for them. Pure.
"""

from __future__ import annotations

from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_CHART, HELM_GROUP, HELM_RELEASE, SOURCE_API_VERSION, SOURCE_GROUP, sync_of
from gitsync.api.sources import HelmChart
from gitsync.errors import FieldErrors

_NAME = f"{HELM_GROUP}/name"
_NAMESPACE = f"{HELM_GROUP}/namespace"
#: A selector of the others: those made by hand.
NOT_IMPLIED = f"!{_NAME}"
#: On what Helm has installed: helm-controller labels that with its release, too.
_OF_HELM = "meta.helm.sh/release-name"
_COPIED = ("chart", "version", "reconcileStrategy", "ignoreMissingValuesFiles", "verify")


def implied_key(manifest: Manifest) -> ObjectKey | None:
    """The HelmChart of a HelmRelease, whatever else is wrong with that; None for one that implies none."""
    metadata, spec = manifest["metadata"], manifest.get("spec")
    reference = spec
    for field in ("chart", "spec", "sourceRef"):
        reference = reference.get(field) if isinstance(reference, dict) else None
    if not isinstance(reference, dict):
        return None
    namespace = reference.get("namespace") or metadata["namespace"]
    return ObjectKey(SOURCE_GROUP, HELM_CHART, str(namespace), implied_name(ObjectKey.of(manifest)))


def implied_name(release: ObjectKey) -> str:
    """The name of a HelmRelease's HelmChart, in whatever namespace."""
    return f"{release.namespace}-{release.name}"


def implied_chart(release: HelmRelease) -> Manifest | None:
    """The HelmChart that a HelmRelease implies; None for one with a chartRef."""
    key, template = implied_key(release.manifest), release.spec.chart
    if key is None or template is None:
        return None
    asked: dict[str, Any] = release.manifest["spec"]["chart"]["spec"]
    spec = {name: asked[name] for name in _COPIED if asked.get(name) is not None}
    spec |= {
        "version": template.spec.version,
        "interval": asked.get("interval") or release.manifest["spec"]["interval"],
    }
    spec["sourceRef"] = {"kind": template.spec.source_ref.kind, "name": template.spec.source_ref.name}
    if files := template.spec.all_values_files():
        spec["valuesFiles"] = list(files)
    labels = dict(template.metadata.labels) if template.metadata else {}
    metadata: dict[str, Any] = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": {**labels, _NAME: release.key.name, _NAMESPACE: release.key.namespace},
    }
    if template.metadata and template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    return {"apiVersion": SOURCE_API_VERSION, "kind": HELM_CHART, "metadata": metadata, "spec": spec}


def implied_by(chart: Manifest) -> ObjectKey | None:
    """The HelmRelease that a HelmChart was made for, by gitsync or Flux; None for one that somebody wants by himself,
    in Git, in another chart or by hand."""
    metadata = chart["metadata"]
    labels = metadata.get("labels") or {}
    release = ObjectKey(HELM_GROUP, HELM_RELEASE, labels.get(_NAMESPACE, ""), labels.get(_NAME, ""))
    is_wanted = bool(sync_of(labels)) or _OF_HELM in (metadata.get("annotations") or {})
    return release if metadata["name"] == implied_name(release) and not is_wanted else None


def holds(live: Manifest, wanted: Manifest) -> bool:
    """Whether a HelmChart is what is wanted, however its fields are written. Who has suspended it has his way."""
    try:
        there, asked = HelmChart.parse(live).spec, HelmChart.parse(wanted).spec
    except FieldErrors:
        return False
    same = there.choice == asked.choice and (there.interval, there.source_ref.kind, there.source_ref.name) == (
        asked.interval,
        asked.source_ref.kind,
        asked.source_ref.name,
    )
    has, own = live["metadata"], wanted["metadata"]
    return same and all(own.get(it, {}).items() <= (has.get(it) or {}).items() for it in ("labels", "annotations"))
