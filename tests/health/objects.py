"""Objects as hypothesis makes them up: of every kind that has rules, mostly as their controllers leave them when all is
well, and in every field now and then with something else, or nothing.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from gitsync.api.identity import Manifest

Values = st.SearchStrategy[Any]
_MISSING: Final = object()


def usually(value: Any, *others: Any) -> Values:
    """``value``, seldom one of the others, or that the field is missing."""
    return st.sampled_from([*[value] * 12, *others, _MISSING])


def one_of(*values: Any) -> Values:
    """Any of the values, or that the field is missing."""
    return st.sampled_from([*values, *values, _MISSING])


def fields(**given: Values) -> st.SearchStrategy[dict[str, Any]]:
    """A map of these fields, without those that are missing."""
    return st.fixed_dictionaries(given).map(
        lambda found: {name: value for name, value in found.items() if value is not _MISSING}
    )


def conditions(**reasons: str) -> Values:
    """Status conditions by their types, of each the reasons to choose from, parted by blanks, the usual one first. Those
    that kstatus has defined may be there too. In any order.
    """
    usual = [st.one_of(*[_condition(kind, *reasons[kind].split())] * 9, st.just({})) for kind in reasons]
    others = ("Reconciling", "Progressing"), ("Stalled", "InvalidSpec")
    unusual = [st.one_of(*[st.just({})] * 9, _condition(*other)) for other in others]
    return st.tuples(*usual, *unusual).map(lambda found: [item for item in found if item]).flatmap(st.permutations)


def _condition(kind: str, usual: str, *others: str) -> Values:
    return fields(
        type=st.just(kind),
        status=usually("True", "False", "False", "Unknown"),
        reason=usually(usual, *others, *others),
        message=one_of("so it is"),
        observedGeneration=one_of(2, 2, 2, 2, 1),
    )


def objects(version: str, kind: str, spec: Values, status: Values) -> st.SearchStrategy[Manifest]:
    """``status`` is what the kind has there besides observedGeneration."""
    metadata = fields(
        name=st.just("x"),
        generation=usually(2, 2, 2, 2),
        deletionTimestamp=st.sampled_from([_MISSING] * 14 + ["2026-07-01T10:00:00Z"]),
    )
    seen = fields(observedGeneration=usually(2, 2, 2, 1, 3, -1))
    written = st.one_of(*[status] * 9, st.just({}))
    return st.tuples(metadata, spec, written, seen).map(
        lambda found: {
            "apiVersion": version,
            "kind": kind,
            "metadata": found[0],
            "spec": found[1],
            "status": found[2] | found[3],
        }
    )


def workload(kind: str, **spec: Values) -> st.SearchStrategy[Manifest]:
    """One of the kinds that count replicas."""
    status = fields(
        **{name: usually(2, 0, 1, 3) for name in _COUNTS},
        currentRevision=usually("x-2", "x-1"),
        updateRevision=usually("x-2", "x-1"),
        conditions=conditions(
            Progressing="NewReplicaSetAvailable ReplicaSetUpdated ProgressDeadlineExceeded",
            Available="MinimumReplicasAvailable",
        )
        if kind == "Deployment"
        else st.one_of(*[st.just([])] * 9, conditions(ReplicaFailure="FailedCreate")),
    )
    version = "v1" if kind == "ReplicationController" else "apps/v1"
    return objects(version, kind, fields(replicas=usually(2, 0, 1, 3), **spec), status)


_COUNTS: Final = (
    *("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "currentReplicas", "fullyLabeledReplicas"),
)
_nothing = fields()
_settled = conditions(Ready="Succeeded Pending", Available="MinimumReplicas")
_state = st.one_of(
    fields(waiting=fields(reason=one_of("CrashLoopBackOff", "ImagePullBackOff", "ContainerCreating"))),
    fields(running=_nothing),
    fields(terminated=fields(exitCode=one_of(0, 1))),
)
_rolling = fields(
    type=usually("RollingUpdate", "OnDelete", "OnDelete"),
    rollingUpdate=st.one_of(_nothing, fields(partition=usually(0, 1, 3))),
)


def _pod(*phases: str, **reasons: tuple[str, ...]) -> st.SearchStrategy[Manifest]:
    """A Pod in one of the phases, with a condition of each type that is false as often as not."""
    told = [
        fields(type=st.just(kind), status=one_of("True", "False"), reason=one_of(*reasons[kind])) for kind in reasons
    ]
    containers = st.lists(fields(name=usually("app"), state=_state), max_size=2)
    status = fields(phase=usually(*phases), conditions=st.tuples(*told).map(list), containerStatuses=containers)
    return objects("v1", "Pod", _nothing, status)


GENERATED: Final[dict[str, st.SearchStrategy[Manifest]]] = {
    "Deployment": workload("Deployment", paused=usually(False, True), progressDeadlineSeconds=usually(600, 2**31 - 1)),
    "StatefulSet": workload("StatefulSet", updateStrategy=_rolling),
    "ReplicaSet": workload("ReplicaSet"),
    "ReplicationController": workload("ReplicationController"),
    "DaemonSet": objects(
        "apps/v1",
        "DaemonSet",
        fields(updateStrategy=_rolling),
        fields(
            desiredNumberScheduled=usually(2, 0, 1, 3),
            currentNumberScheduled=usually(2, 0, 1, 3),
            updatedNumberScheduled=usually(2, 0, 1, 3),
            numberAvailable=usually(2, 0, 1, 3),
            numberReady=usually(2, 0, 1, 3),
        ),
    ),
    "Job": objects(
        "batch/v1",
        "Job",
        fields(completions=one_of(1, 2), parallelism=one_of(1, 2), suspend=one_of(True, False)),
        fields(
            startTime=usually("2026-07-01T10:00:00Z"),
            succeeded=one_of(0, 1, 2),
            failed=one_of(0, 1, 2),
            active=one_of(0, 1, 2),
            conditions=st.one_of(
                conditions(),
                conditions(Complete="CompletionsReached"),
                conditions(Failed="BackoffLimitExceeded"),
                conditions(Suspended="JobSuspended", Complete="CompletionsReached", Failed="BackoffLimitExceeded"),
            ),
        ),
    ),
    "Pod": st.one_of(
        _pod("Running", Ready=("ContainersNotReady",)),
        _pod("Pending", PodScheduled=("Unschedulable", "Unschedulable", "SchedulingGated")),
        _pod("Succeeded", "Failed", "Unknown", Ready=("PodCompleted",)),
    ),
    "PersistentVolumeClaim": objects(
        "v1", "PersistentVolumeClaim", _nothing, fields(phase=one_of("Bound", "Bound", "Pending", "Lost"))
    ),
    "Service": objects(
        "v1",
        "Service",
        fields(
            type=one_of("ClusterIP", "ExternalName", "LoadBalancer", "LoadBalancer"),
            clusterIP=one_of("", "10.0.0.7", "None"),
            externalIPs=one_of([], ["203.0.113.5"]),
        ),
        fields(loadBalancer=fields(ingress=one_of([], [{"ip": "203.0.113.5"}]))),
    ),
    "CustomResourceDefinition": objects(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        _nothing,
        fields(
            conditions=conditions(
                NamesAccepted="NoConflicts ListKindConflict", Established="InitialNamesAccepted Installing NotAccepted"
            )
        ),
    ),
    "PodDisruptionBudget": objects(
        "policy/v1",
        "PodDisruptionBudget",
        _nothing,
        fields(disruptionsAllowed=one_of(0, 1), conditions=conditions(DisruptionAllowed="SufficientPods")),
    ),
    "HorizontalPodAutoscaler": objects(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        _nothing,
        fields(conditions=conditions(AbleToScale="SucceededGetScale FailedGetScale", ScalingActive="ValidMetricFound")),
    ),
    "APIService": objects(
        "apiregistration.k8s.io/v1",
        "APIService",
        _nothing,
        fields(conditions=conditions(Available="Passed FailedDiscoveryCheck")),
    ),
    "Namespace": objects("v1", "Namespace", _nothing, fields(phase=one_of("Active", "Terminating"))),
    "Node": objects("v1", "Node", _nothing, fields(conditions=_settled)),
    "ServiceCIDR": objects("networking.k8s.io/v1", "ServiceCIDR", _nothing, fields(conditions=_settled)),
    "ValidatingAdmissionPolicy": objects(
        "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", _nothing, fields(conditions=_settled)
    ),
    "ConfigMap": objects("v1", "ConfigMap", _nothing, _nothing).map(
        lambda found: {name: found[name] for name in ("apiVersion", "kind", "metadata")}
    ),
    "HelmRelease": objects(
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        fields(suspend=one_of(True, False)),
        fields(conditions=conditions(Ready="UpgradeSucceeded DependencyNotReady", Released="UpgradeSucceeded")),
    ),
    "HelmRepository": objects(
        "source.toolkit.fluxcd.io/v1",
        "HelmRepository",
        fields(type=one_of("default", "oci"), suspend=one_of(True, False)),
        fields(conditions=conditions(Ready="Succeeded Failed")),
    ),
    "custom resource": objects("example.com/v1", "Widget", _nothing, fields(conditions=_settled)),
    "custom resource of odd shape": objects(
        "example.com/v1", "Widget", _nothing, fields(conditions=one_of({"Ready": True}, "Ready", 7, [], [3]))
    ),
}
