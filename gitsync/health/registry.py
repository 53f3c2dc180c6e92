"""Which rules apply to which kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gitsync.api.builtin import is_builtin
from gitsync.api.identity import group_of
from gitsync.health.customresourcedefinition import custom_resource_definition
from gitsync.health.daemonset import daemon_set
from gitsync.health.deployment import deployment
from gitsync.health.fields import text
from gitsync.health.generic import leaving, ready_condition, unsettled
from gitsync.health.helmrepository import is_mere_configuration
from gitsync.health.job import job
from gitsync.health.persistentvolumeclaim import persistent_volume_claim
from gitsync.health.pod import finished_pod, pod
from gitsync.health.replicaset import replica_set
from gitsync.health.service import service
from gitsync.health.statefulset import stateful_set
from gitsync.health.verdict import READY, Health

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

Rule = Callable[["Manifest", Sequence["Manifest"]], Health]

#: Kubernetes' own kinds whose status says how they are: by conditions, or by the generation that was seen. Those that
#: are not in here are ready as soon as they exist: nobody writes a status to them, or none that says whether they work
#: (an Ingress' address, a CronJob's last runs).
RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Namespace"): ready_condition,
    ("", "Node"): ready_condition,
    ("", "PersistentVolumeClaim"): persistent_volume_claim,
    ("", "Pod"): pod,
    ("", "ReplicationController"): replica_set,
    ("", "Service"): service,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): ready_condition,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): custom_resource_definition,
    ("apiregistration.k8s.io", "APIService"): ready_condition,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): ready_condition,
    ("batch", "Job"): job,
    ("networking.k8s.io", "ServiceCIDR"): ready_condition,
    ("policy", "PodDisruptionBudget"): ready_condition,
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
_FINISHING: Final[dict[tuple[str, str], Rule]] = {("", "Pod"): finished_pod, ("batch", "Job"): job}


def has_health(group: str, kind: str) -> bool:
    """Whether an object of this kind can be anything but ready: False for those of Kubernetes' own kinds that are ready
    as soon as they exist (ConfigMap, Secret, RBAC, Ingress, ...), so that nobody watches them. True for every custom
    resource.
    """
    return (group, kind) in RULES or not is_builtin(group)


def helm_waits_for(group: str, kind: str) -> bool:
    """As ``has_health``, to the legacy wait strategy: custom resources and the like are not waited for."""
    return (group, kind) in _HELM_3


def assess(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """How the live object ``manifest`` is. ``pods`` are its own (see ``pods_of``); with them the answer names the pod,
    the container and Kubernetes' reason. They never decide, they explain.
    """
    if is_mere_configuration(manifest):
        return leaving(manifest) or READY
    group, kind = group_of(text(manifest, "apiVersion")), text(manifest, "kind")
    rule = RULES.get((group, kind), _exists if is_builtin(group) else ready_condition)
    return unsettled(manifest) or rule(manifest, pods)


def finished(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """Whether a hook is done, as Helm waits for hooks (WatchUntilReady): a Job or Pod must have run to its end, every
    other kind is done once it exists.
    """
    rule = _FINISHING.get((group_of(text(manifest, "apiVersion")), text(manifest, "kind")))
    if rule is None:
        return READY
    return leaving(manifest) or rule(manifest, pods)


def _exists(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    return READY
