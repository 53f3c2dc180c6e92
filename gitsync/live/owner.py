"""The object one step above one that is not of our kinds: the workload that has made it, its release or its
Kustomization. Pure."""

from __future__ import annotations

from typing import Final

from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.names import (
    KUSTOMIZATION,
    KUSTOMIZE_GROUP,
    KUSTOMIZE_NAME_LABEL,
    KUSTOMIZE_NAMESPACE_LABEL,
)
from gitsync.apply.ownership import RELEASE_NAME, RELEASE_NAMESPACE
from gitsync.live.known import Known

#: API groups of controllers that make objects in their own namespace.
_WORKLOADS: Final = ("apps", "batch")


def owner_of(manifest: Manifest, known: Known) -> ObjectKey | None:
    """The object one step above; None when the object does not say."""
    metadata = manifest["metadata"]
    for reference in metadata.get("ownerReferences") or ():
        group = group_of(reference["apiVersion"])
        if reference.get("controller") and group in _WORKLOADS:
            return ObjectKey(group, reference["kind"], metadata.get("namespace", ""), reference["name"])
    notes, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    if name := notes.get(RELEASE_NAME):
        return known.release_of(notes.get(RELEASE_NAMESPACE, ""), name)
    namespace, name = labels.get(KUSTOMIZE_NAMESPACE_LABEL, ""), labels.get(KUSTOMIZE_NAME_LABEL, "")
    above = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, namespace, name)
    return above if known.find(above) is not None else None
