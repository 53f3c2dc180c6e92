"""Objects as hypothesis makes them up: of every kind that has rules, as its controller leaves one when all is well, but
for a few fields that are otherwise or missing.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from gitsync.api.identity import Manifest

MISSING: Final = object()
#: The value of a field of a healthy object, and its other values. Every field may be missing, too.
Values = tuple[Any, ...]
#: A field by its path, with dots. A status condition goes by its type.
Fields = dict[str, Values]

_EVERY_KIND: Final[Fields] = {
    "status": ({},),
    "metadata.generation": (2,),
    "metadata.deletionTimestamp": (MISSING, "2026-07-01T10:00:00Z"),
    "status.observedGeneration": (2, 1, 3, -1, "2"),
    "status.conditions.Reconciling.status": (MISSING, "True", "False"),
    "status.conditions.Stalled.status": (MISSING, "True", "False"),
    "conditions reversed": (MISSING, True),
}


@dataclass(frozen=True)
class Kind:
    """A kind with the fields that matter."""

    version: str
    name: str
    fields: Fields

    @property
    def changes(self) -> list[tuple[str, Any]]:
        """Everything that may be otherwise in an object."""
        return [
            (path, value)
            for path, values in (_EVERY_KIND | self.fields).items()
            for value in (*values[1:], MISSING)
            if value is not values[0]
        ]

    def objects(self, most: int = 4) -> st.SearchStrategy[Manifest]:
        """Objects in which up to ``most`` fields differ from those of a healthy object."""
        return st.lists(st.sampled_from(self.changes), max_size=most).map(self._changed)

    def _changed(self, changes: list[tuple[str, Any]]) -> Manifest:
        found: Manifest = {"apiVersion": self.version, "kind": self.name, "metadata": {"name": "x"}}
        well = [(path, values[0]) for path, values in (_EVERY_KIND | self.fields).items()]
        for path, value in well + changes:
            _set(found, path, value)
        is_reversed = found.pop("conditions reversed", False)
        by_type = found.get("status", {}).get("conditions")
        if isinstance(by_type, dict):
            told = [{"type": kind, **said} for kind, said in by_type.items() if said]
            found["status"]["conditions"] = told[::-1] if is_reversed else told
        return found


def _set(manifest: Manifest, path: str, value: Any) -> None:
    *above, last = path.split(".")
    at: Any = manifest
    for name in above:
        at = at.setdefault(name, {})
        if not isinstance(at, dict):
            return
    if value is MISSING:
        at.pop(last, None)
    else:
        at[last] = copy.deepcopy(value)


def _condition(kind: str, *reasons: str) -> Fields:
    """A condition that is True when all is well."""
    path = f"status.conditions.{kind}"
    return {
        path: ({},),
        f"{path}.status": ("True", "False", "Unknown"),
        f"{path}.reason": reasons or ("AsExpected",),
        f"{path}.observedGeneration": (2, 1),
        f"{path}.message": ("so it is",),
    }


_COUNT: Final = (2, 0, 1, 3)
_WORKLOAD: Final[Fields] = {
    "spec.replicas": _COUNT,
    "status.replicas": _COUNT,
    "status.readyReplicas": _COUNT,
    "status.availableReplicas": _COUNT,
    "status.updatedReplicas": _COUNT,
    "status.currentReplicas": _COUNT,
    "status.fullyLabeledReplicas": _COUNT,
    "status.conditions.ReplicaFailure.status": (MISSING, "True", "False"),
}
_NODES: Final[Fields] = {
    f"status.{name}": _COUNT
    for name in (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberReady",
    )
}
_ON_DELETE: Final[Fields] = {"spec.updateStrategy.type": ("RollingUpdate", "OnDelete")}
_READY: Final = _condition("Ready", "Succeeded", "DependencyNotReady") | _condition("Available")


def _container(**state: Any) -> list[Manifest]:
    return [{"name": "app", "state": {"running": {}}}, {"name": "sidecar", "state": state}]


_POD: Final[Fields] = {
    "status.phase": ("Running", "Pending", "Succeeded", "Failed", "Unknown"),
    **_condition("Ready", "ContainersNotReady"),
    **_condition("PodScheduled", "Unschedulable", "SchedulingGated"),
    "status.containerStatuses": (
        _container(running={}),
        _container(waiting={"reason": "CrashLoopBackOff"}),
        _container(waiting={"reason": "ImagePullBackOff"}),
        _container(terminated={"exitCode": 1}),
    ),
}
GENERATED: Final = (
    Kind(
        "apps/v1",
        "Deployment",
        _WORKLOAD
        | {"spec.paused": (False, True), "spec.progressDeadlineSeconds": (600, 2**31 - 1)}
        | _condition("Progressing", "NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded")
        | _condition("Available", "MinimumReplicasAvailable"),
    ),
    Kind(
        "apps/v1",
        "StatefulSet",
        _WORKLOAD
        | _ON_DELETE
        | {"spec.updateStrategy.rollingUpdate.partition": (0, 1, 3)}
        | {"status.currentRevision": ("x-2", "x-1"), "status.updateRevision": ("x-2", "x-1")},
    ),
    Kind("apps/v1", "ReplicaSet", _WORKLOAD),
    Kind("v1", "ReplicationController", _WORKLOAD),
    Kind("apps/v1", "DaemonSet", _NODES | _ON_DELETE),
    Kind(
        "batch/v1",
        "Job",
        {"spec.completions": (1, 2), "spec.suspend": (False, True), "status.startTime": ("2026-07-01T10:00:00Z",)}
        | {f"status.{name}": (0, 1, 2) for name in ("succeeded", "failed", "active")}
        | _condition("Complete", "CompletionsReached")
        | {f"status.conditions.{kind}.status": (MISSING, "True", "False") for kind in ("Failed", "Suspended")},
    ),
    Kind("v1", "Pod", _POD),
    Kind("v1", "PersistentVolumeClaim", {"status.phase": ("Bound", "Pending", "Lost")}),
    Kind(
        "v1",
        "Service",
        {
            "spec.type": ("LoadBalancer", "ClusterIP", "ExternalName"),
            "spec.clusterIP": ("10.0.0.7", "", "None"),
            "spec.externalIPs": (MISSING, ["203.0.113.5"]),
            "status.loadBalancer": ({"ingress": [{"ip": "203.0.113.5"}]}, {}),
        },
    ),
    Kind(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        _condition("NamesAccepted", "NoConflicts", "ListKindConflict")
        | _condition("Established", "InitialNamesAccepted", "Installing", "NotAccepted"),
    ),
    Kind("policy/v1", "PodDisruptionBudget", _condition("DisruptionAllowed", "SufficientPods", "InsufficientPods")),
    Kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        _condition("AbleToScale", "SucceededGetScale", "FailedGetScale") | _condition("ScalingActive"),
    ),
    Kind("apiregistration.k8s.io/v1", "APIService", _condition("Available", "Passed", "FailedDiscoveryCheck")),
    Kind("v1", "Namespace", {"status.phase": ("Active", "Terminating")}),
    Kind("v1", "Node", _READY),
    Kind("networking.k8s.io/v1", "ServiceCIDR", _READY),
    Kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", _READY),
    Kind("helm.toolkit.fluxcd.io/v2", "HelmRelease", {"spec.suspend": (False, True)} | _READY),
    Kind("source.toolkit.fluxcd.io/v1", "HelmRepository", {"spec.type": ("default", "oci")} | _READY),
    Kind("example.com/v1", "Widget", _READY),
    Kind("example.com/v1", "OddlyMadeWidget", {"status.conditions": ({}, "Ready", 7, [3])}),
)
