"""Which pods are a workload's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import group_of
from gitsync.health.fields import maps, section, text

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

_JOB_LABELS = ("batch.kubernetes.io/job-name", "job-name")

_Test = Callable[[dict[str, Any]], bool]


def pods_of(manifest: Manifest, pods: Iterable[Manifest]) -> list[Manifest]:
    """The pods that explain ``manifest``, out of all of a namespace or cluster; [] for kinds that have none.

    A workload's are those that its selector matches and that it controls (a Deployment through its ReplicaSets), so
    that a bare pod with the same labels, such as a chart's test, is not taken for one. A PersistentVolumeClaim's are
    those that mount it. Of the pods, metadata (with ownerReferences), spec and status must be there.
    """
    group, kind = group_of(text(manifest, "apiVersion")), text(manifest, "kind")
    namespace = text(manifest, "metadata", "namespace")
    near = [pod for pod in pods if section(pod, "metadata").get("namespace", "") == namespace]
    if (group, kind) == ("", "PersistentVolumeClaim"):
        return [pod for pod in near if _mounts(pod, text(manifest, "metadata", "name"))]
    matches = _selector(group, kind, manifest)
    if matches is None:
        return []
    return [pod for pod in near if matches(section(pod, "metadata", "labels")) and _controls(manifest, pod)]


def _selector(group: str, kind: str, manifest: Manifest) -> _Test | None:
    """The test that a workload puts to the labels of its pods; None for what has no pods."""
    if (group, kind) == ("batch", "Job"):
        name = text(manifest, "metadata", "name")
        return lambda labels: any(labels.get(label) == name for label in _JOB_LABELS)
    if (group, kind) == ("", "ReplicationController"):
        wanted, expressions = section(manifest, "spec", "selector"), []
    elif group in ("apps", "extensions"):
        wanted = section(manifest, "spec", "selector", "matchLabels")
        expressions = maps(manifest, "spec", "selector", "matchExpressions")
    else:
        return None
    if not wanted and not expressions:
        return None
    pairs = list(wanted.items())
    return lambda labels: (
        all(labels.get(name) == value for name, value in pairs)
        and all(_holds(expression, labels) for expression in expressions)
    )


def _holds(expression: dict[str, Any], labels: dict[str, Any]) -> bool:
    """One of a label selector's matchExpressions, as Kubernetes reads it."""
    name, operator = text(expression, "key"), text(expression, "operator")
    values = expression.get("values")
    listed = labels.get(name) in (values if isinstance(values, list) else ())
    if operator == "In":
        return name in labels and listed
    if operator == "NotIn":
        return not listed
    return (name in labels) is (operator == "Exists")


def _mounts(pod: Manifest, claim: str) -> bool:
    return any(text(volume, "persistentVolumeClaim", "claimName") == claim for volume in maps(pod, "spec", "volumes"))


def _controls(manifest: Manifest, pod: Manifest) -> bool:
    """Whether the pod's controller is this workload; for a Deployment one of its ReplicaSets, which bear its name."""
    owner = next((ref for ref in maps(pod, "metadata", "ownerReferences") if ref.get("controller") is True), {})
    kind, name = text(manifest, "kind"), text(manifest, "metadata", "name")
    if kind == "Deployment":
        return owner.get("kind") == "ReplicaSet" and text(owner, "name").rpartition("-")[0] == name
    if owner.get("kind") != kind or owner.get("name") != name:
        return False
    uid = text(manifest, "metadata", "uid")
    return not uid or owner.get("uid") == uid
