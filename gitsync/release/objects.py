"""A release's objects as plain data: what is applied, what an upgrade deletes, what is kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitsync.api.identity import Manifest, ObjectKey

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


@dataclass(frozen=True, slots=True)
class Delta:
    """What moving from one set of objects to another does, by key; ``removed`` holds what is to be deleted, in the
    order they were applied in, without what a keep policy protects (``kept``)."""

    created: tuple[ObjectKey, ...]
    changed: tuple[ObjectKey, ...]
    unchanged: tuple[ObjectKey, ...]
    removed: tuple[Manifest, ...]
    kept: tuple[ObjectKey, ...]


def delta(before: Sequence[Manifest], after: Sequence[Manifest]) -> Delta:
    """Compare a release's last manifest with its next one. Both have their namespaces filled in."""
    old = {ObjectKey.of(item): item for item in before}
    new = {ObjectKey.of(item): item for item in after}
    gone = [item for key, item in old.items() if key not in new]
    return Delta(
        created=tuple(key for key in new if key not in old),
        changed=tuple(key for key, item in new.items() if key in old and old[key] != item),
        unchanged=tuple(key for key, item in new.items() if key in old and old[key] == item),
        removed=tuple(item for item in gone if not kept(item)),
        kept=tuple(ObjectKey.of(item) for item in gone if kept(item)),
    )


#: Kinds that are applied together: none of them needs another one to be applied.
_TOGETHER = {
    **dict.fromkeys(
        (
            *("NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget", "ServiceAccount", "Secret"),
            *("ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "ClusterRole"),
            *("ClusterRoleBinding", "Role", "RoleBinding", "Service"),
        ),
        "configuration",
    ),
    **dict.fromkeys(
        (
            *("DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler"),
            *("StatefulSet", "Job", "CronJob"),
        ),
        "what makes pods",
    ),
}


def waves(manifests: Iterable[Manifest]) -> list[list[Manifest]]:
    """Objects that are in Helm's install order, in waves: the members of a wave are applied at once, each wave after
    the one before. Where Helm goes kind by kind, what does not need each other goes together here.
    """
    found: list[list[Manifest]] = []
    last = ""
    for manifest in manifests:
        kind = str(manifest["kind"])
        wave = _TOGETHER.get(kind, kind)
        if not found or wave != last:
            found.append([])
        found[-1].append(manifest)
        last = wave
    return found
