"""A StatefulSet that a fix cannot reach.

Kubernetes' documentation of StatefulSets ("Forced rollback"): with the OrderedReady policy the controller waits for a
broken pod to become ready before it replaces it, even when the template has been mended since; somebody has to delete
the pod. Here is which pod that is, so that a fixing commit heals the release without anybody's help.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitsync.api.identity import Manifest
from gitsync.text import whole_number

_HOPELESS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "CrashLoopBackOff",
        "RunContainerError",
    }
)


def stuck_pods(stateful_set: Manifest, pods: Sequence[Manifest]) -> list[tuple[Manifest, str]]:
    """The pods that hold up a rolling update for good, each with its waiting reason.

    Such a pod is of another revision than the update's, is not ready, and a container of it waits for something that
    only a new template brings. Pods below the update's partition are to stay what they are, and would only come again.
    """
    spec, status = stateful_set.get("spec") or {}, stateful_set.get("status") or {}
    if stateful_set.get("kind") != "StatefulSet" or spec.get("podManagementPolicy", "OrderedReady") != "OrderedReady":
        return []
    if (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") != "RollingUpdate":
        return []
    if status.get("observedGeneration", 0) < stateful_set["metadata"].get("generation", 0):
        return []  # updateRevision may be of the template before
    revision = status.get("updateRevision")
    stuck = []
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        reason = _hopeless(pod)
        updates = _ordinal(pod) >= ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
        if updates and revision and reason and labels.get("controller-revision-hash") not in (None, revision):
            stuck.append((pod, reason))
    return stuck


def _ordinal(pod: Manifest) -> int:
    """The number at the end of the pod's name, by which the partition goes."""
    return whole_number(str(pod["metadata"]["name"]).rpartition("-")[2]) or 0


def _hopeless(pod: Manifest) -> str:
    status = pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"]:
        return ""
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
        if reason in _HOPELESS:
            return str(reason)
    return ""
