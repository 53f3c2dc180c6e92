"""What is written on an object of whose it is: Helm's marks, and its policy to keep. Pure."""

from __future__ import annotations

from gitsync.api.identity import Manifest
from gitsync.api.names import OWNER_ANNOTATION

MANAGED_BY = "app.kubernetes.io/managed-by"
#: Selects what Helm (or gitsync in its stead) manages: Helm puts this label on every object since 3.2.
HELM_OBJECTS = f"{MANAGED_BY}=Helm"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
RESOURCE_POLICY = "helm.sh/resource-policy"


def owned(manifest: Manifest, release: str, namespace: str) -> Manifest:
    """The object with Helm's ownership label and annotations, as Helm sets them when it applies (action/validate.go).

    The record keeps the rendered text without them. The input is not changed.
    """
    metadata = dict(manifest.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY: "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        RELEASE_NAME: release,
        RELEASE_NAMESPACE: namespace,
    }
    return {**manifest, "metadata": metadata}


def belongs_to(live: Manifest, release: str, namespace: str) -> bool:
    """Whether a live object says that it is this release's. What does not is never deleted with it."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return annotations.get(RELEASE_NAME) == release and annotations.get(RELEASE_NAMESPACE) == namespace


def is_marked(live: Manifest) -> bool:
    """Whether a live object says that it is some sync's or some release's."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return OWNER_ANNOTATION in annotations or RELEASE_NAME in annotations


def kept(manifest: Manifest) -> bool:
    """``helm.sh/resource-policy: keep``: the object outlives its release."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(RESOURCE_POLICY, "")).strip().lower() == "keep"
