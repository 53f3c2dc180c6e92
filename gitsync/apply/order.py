"""In which order the objects of one set are applied. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gitsync.api.identity import Manifest

#: First the kinds that others need to exist, one after the other (_FIRST); then those without which pods are not
#: admitted, or would start wrongly (_BEFORE_PODS); then those that need not wait for each other (_TOGETHER), since
#: pods find what they need when it comes. Every other kind comes last, one after the other.
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
