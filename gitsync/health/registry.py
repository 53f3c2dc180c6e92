"""Which rules apply to which kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gitsync.api.builtin import is_builtin
from gitsync.api.identity import group_of
from gitsync.api.names import (
    BUCKET,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_GROUP,
    HELM_RELEASE,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    SOURCE_GROUP,
)
from gitsync.health.apiservice import api_service
from gitsync.health.customresourcedefinition import custom_resource_definition
from gitsync.health.daemonset import daemon_set
from gitsync.health.deployment import deployment
from gitsync.health.fields import section, text
from gitsync.health.generic import flux, generic
from gitsync.health.horizontalpodautoscaler import horizontal_pod_autoscaler
from gitsync.health.job import finished_job, job
from gitsync.health.model import READY, Health, progressing
from gitsync.health.namespace import namespace, what_remains
from gitsync.health.persistentvolumeclaim import persistent_volume_claim
from gitsync.health.pod import finished_pod, pod
from gitsync.health.poddisruptionbudget import pod_disruption_budget
from gitsync.health.replicaset import replica_set
from gitsync.health.service import service
from gitsync.health.statefulset import stateful_set

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

Rule = Callable[["Manifest", Sequence["Manifest"]], Health]

#: Kubernetes' own kinds that are not in here are ready as soon as they exist: nobody writes a status to them, or none
#: that says whether they work. Ingress is among those: an address appears in its status only with some controllers, so
#: kstatus and Helm take it as it is (Argo CD waits for the address, and for ever where none is ever written). CronJob
#: too (kstatus): its runs come later.
RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Namespace"): namespace,
    ("", "PersistentVolumeClaim"): persistent_volume_claim,
    ("", "Pod"): pod,
    ("", "ReplicationController"): replica_set,
    ("", "Service"): service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): custom_resource_definition,
    ("apiregistration.k8s.io", "APIService"): api_service,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): horizontal_pod_autoscaler,
    ("batch", "Job"): job,
    ("policy", "PodDisruptionBudget"): pod_disruption_budget,
    (HELM_GROUP, HELM_RELEASE): flux,
    (SOURCE_GROUP, BUCKET): flux,
    (SOURCE_GROUP, GIT_REPOSITORY): flux,
    (SOURCE_GROUP, HELM_CHART): flux,
    (SOURCE_GROUP, HELM_REPOSITORY): flux,
    (SOURCE_GROUP, OCI_REPOSITORY): flux,
}
#: What Helm 3 waits for (pkg/kube/ready.go); to it every other object is ready as soon as it exists.
_HELM_3: Final = frozenset(
    {
        ("", "PersistentVolumeClaim"),
        ("", "Pod"),
        ("", "ReplicationController"),
        ("", "Service"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("batch", "Job"),
    }
)
_FINISHING: Final[dict[tuple[str, str], Rule]] = {("", "Pod"): finished_pod, ("batch", "Job"): finished_job}


def has_health(group: str, kind: str) -> bool:
    """Whether an object of this kind can be anything but ready: False for those of Kubernetes' own kinds that are ready
    as soon as they exist (ConfigMap, Secret, RBAC, Ingress, ...), so that nobody watches them. True for every custom
    resource.
    """
    return (group, kind) in RULES or not is_builtin(group)


def helm_waits_for(group: str, kind: str) -> bool:
    """As ``has_health``, to the legacy wait strategy: custom resources, HorizontalPodAutoscalers and the like are not
    waited for.
    """
    return (group, kind) in _HELM_3


def assess(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """How the live object ``manifest`` is. ``pods`` are its own (see ``pods_of``); with them the answer names the pod,
    the container and Kubernetes' reason. They never decide, they explain.
    """
    gone = leaving(manifest)
    if gone:
        return gone
    group, kind = group_of(text(manifest, "apiVersion")), text(manifest, "kind")
    rule = RULES.get((group, kind))
    if rule:
        return rule(manifest, pods)
    return READY if is_builtin(group) else generic(manifest)


def finished(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """Whether a hook is done, as Helm waits for hooks (WatchUntilReady): a Job or Pod must have run to its end, every
    other kind is done once it exists.
    """
    rule = _FINISHING.get((group_of(text(manifest, "apiVersion")), text(manifest, "kind")))
    if rule is None:
        return READY
    return leaving(manifest) or rule(manifest, pods)


def leaving(manifest: Manifest) -> Health | None:
    """An object with a deletionTimestamp is progressing, whatever else it says; with what still holds it."""
    metadata = section(manifest, "metadata")
    if not metadata.get("deletionTimestamp"):
        return None
    holding = metadata.get("finalizers")
    held = f"; finalizers: {', '.join(map(str, holding))}" if isinstance(holding, list) and holding else ""
    remains = what_remains(manifest) if text(manifest, "kind") == "Namespace" else ""
    return progressing("Terminating", f"is being deleted{held}" + (f"; {remains}" if remains else ""))
