"""What a workload's pods say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.containers import Finding, examine
from gitsync.health.fields import maps, section, text
from gitsync.health.verdict import Health, failed, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def explain(pods: Sequence[Manifest]) -> tuple[str, str]:
    """The reason and text of the pod that tells most about why a workload is not ready: ("ImagePullBackOff", "pod
    redis-master-0: ImagePullBackOff: Back-off pulling image ..."); ("", "") when no pod tells anything.

    Pods that are being deleted say nothing, and those of an older revision only when the newest has nothing to say:
    what was broken before a fix does not explain how the fix fares. Others with the same reason are counted.
    """
    staying = [pod for pod in pods if not _is_leaving(pod)]
    found = _examined(_newest_revision(staying)) or _examined(staying)
    if not found:
        return "", ""
    # By name upwards, then (sorting is stable) by creation downwards, then by weight.
    found.sort(key=lambda pair: text(pair[0], "metadata", "name"))
    found.sort(key=lambda pair: _created(pair[0]), reverse=True)
    pod, finding = max(found, key=lambda pair: pair[1].weight)
    alike = sum(other.reason == finding.reason for _, other in found) - 1
    return finding.reason, describe(pod, finding, alike)


def _examined(pods: Sequence[Manifest]) -> list[tuple[Manifest, Finding]]:
    return [(pod, finding) for pod in pods if (finding := examine(pod))]


def _newest_revision(pods: Sequence[Manifest]) -> list[Manifest]:
    """The pods of the revision (of the pod template) to which the pod created last belongs; of the revisions, when pods
    of several were created within the same second, which is as fine as Kubernetes tells.
    """
    newest = max(map(_created, pods), default="")
    revisions = {_revision(pod) for pod in pods if _created(pod) == newest}
    return [pod for pod in pods if _revision(pod) in revisions]


def _revision(pod: Manifest) -> str:
    labels = section(pod, "metadata", "labels")
    return text(labels, "pod-template-hash") or text(labels, "controller-revision-hash")


def _created(pod: Manifest) -> str:
    return text(pod, "metadata", "creationTimestamp")


def describe(pod: Manifest, finding: Finding, alike: int = 0) -> str:
    """``pod web-5d4f-abcde (and 2 more) container app: CrashLoopBackOff: last exit code 1 (Error), 3 restarts``"""
    more = f" (and {alike} more)" if alike else ""
    return f"pod {text(pod, 'metadata', 'name')}{more}{_container(pod, finding)}: {finding.text}"


def describe_own(pod: Manifest, finding: Finding) -> str:
    """The same about a pod that is itself the object in question: its name is known already."""
    return f"{_container(pod, finding).lstrip()}: {finding.text}".lstrip(": ")


def waiting(reason: str, counts: str, pods: Sequence[Manifest]) -> Health:
    """Progressing, with what the pods say after the workload's own count."""
    pod_reason, pod_text = explain(pods)
    return progressing(pod_reason or reason, f"{counts}; {pod_text}" if pod_text else counts)


def broken(reason: str, message: str, pods: Sequence[Manifest]) -> Health:
    """Failed, with what the pods say after the workload's own words. The reason stays the workload's."""
    _, pod_text = explain(pods)
    return failed(reason, f"{message}; {pod_text}" if pod_text else message)


def _container(pod: Manifest, finding: Finding) -> str:
    """The container's name, where the pod has several."""
    if finding.init:
        return f" init container {finding.container}"
    several = len(maps(pod, "spec", "containers")) + len(maps(pod, "spec", "initContainers")) > 1
    return f" container {finding.container}" if finding.container and several else ""


def _is_leaving(pod: Manifest) -> bool:
    return bool(section(pod, "metadata").get("deletionTimestamp"))
