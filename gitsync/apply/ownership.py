"""A release's objects as plain data: what is applied, what an upgrade deletes, what is kept. Pure."""

from __future__ import annotations

from gitsync.api.identity import Manifest

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


def kept(manifest: Manifest) -> bool:
    """``helm.sh/resource-policy: keep``: the object outlives its release."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(RESOURCE_POLICY, "")).strip().lower() == "keep"
