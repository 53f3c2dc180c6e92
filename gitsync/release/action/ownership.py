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


#: Kinds that others need to exist, one after the other; kinds without which pods are not admitted, or would start as
#: they should not; and kinds that pods and users find in their own time. Every other kind comes last, by itself.
_FIRST = {"PriorityClass": 0, "Namespace": 1, "CustomResourceDefinition": 2}
_BEFORE_PODS = frozenset(
    {"NetworkPolicy", "ResourceQuota", "LimitRange", "ServiceAccount", "StorageClass"}
    | {"PersistentVolume", "PersistentVolumeClaim"}
)
_TOGETHER = frozenset(
    {
        "PodDisruptionBudget",
        "Secret",
        "ConfigMap",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
    }
    | {"DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler"}
    | {"StatefulSet", "Job", "CronJob"}
)


def waves(manifests: Iterable[Manifest]) -> list[list[Manifest]]:
    """Objects that are in Helm's install order, in waves: the members of a wave are applied at once, each wave after
    the one before. Where Helm goes kind by kind, what does not need each other goes together here.
    """
    found: dict[tuple[int, str], list[Manifest]] = {}
    for manifest in manifests:
        found.setdefault(_wave(str(manifest["kind"])), []).append(manifest)
    # Sorting is stable: the last kinds keep Helm's order among themselves.
    return [found[wave] for wave in sorted(found, key=lambda wave: wave[0])]


def _wave(kind: str) -> tuple[int, str]:
    if kind in _FIRST:
        return _FIRST[kind], kind
    if kind in _BEFORE_PODS:
        return 3, ""
    return (4, "") if kind in _TOGETHER else (5, kind)
