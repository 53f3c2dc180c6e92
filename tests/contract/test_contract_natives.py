"""Kubernetes' own kinds: what the sandbox stores is what a real API server stores."""

from __future__ import annotations

import pytest

from tests.contract.comparing import Json, Side
from tests.contract.conftest import Tell
from tests.contract.stories import native

POD: Json = {
    "initContainers": [
        {
            "name": "first",
            "image": "first",
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }
    ],
    "containers": [
        {
            "name": "main",
            "image": "main:latest",
            "ports": [{"containerPort": 80, "name": "http"}],
            "livenessProbe": {"httpGet": {"port": "http"}},
            "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 3},
            "startupProbe": {"grpc": {"port": 80}},
            "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
            "resources": {"limits": {"cpu": "100m"}},
            "volumeMounts": [{"name": "one", "mountPath": "/one"}],
            "command": [],
            "securityContext": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
        },
        {"name": "digest", "image": "x@sha256:" + "0" * 64},
    ],
    "volumes": [
        {"name": "one"},
        {"name": "two", "secret": {"secretName": "s"}},
        {"name": "three", "configMap": {"name": "c", "items": [{"key": "a", "path": "b"}]}},
        {"name": "four", "hostPath": {"path": "/x"}},
        {"name": "five", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "six", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "seven", "emptyDir": {}},
    ],
    "serviceAccountName": "other",
    "nodeSelector": {},
    "tolerations": [],
    "affinity": {},
    "securityContext": {"fsGroup": 1},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
}


LABELLED: Json = {"metadata": {"labels": {"app": "x"}, "annotations": {}}, "spec": POD}


SELECTED: Json = {"selector": {"matchLabels": {"app": "x"}}, "template": LABELLED}


CLAIM: Json = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
    "storageClassName": "none",
}


PEER: Json = {"from": [{"podSelector": {}}], "ports": [{"port": 80}]}


NATIVES: list[Json] = [
    native("apps/v1", "Deployment", "d", spec={**SELECTED, "replicas": 0}),
    native("apps/v1", "Deployment", "r", spec={**SELECTED, "replicas": 0, "strategy": {"type": "Recreate"}}),
    native(
        "apps/v1",
        "StatefulSet",
        "s",
        spec={
            **SELECTED,
            "replicas": 0,
            "serviceName": "s",
            "volumeClaimTemplates": [native("v1", "PersistentVolumeClaim", "data", spec=CLAIM)],
        },
    ),
    native(
        "apps/v1",
        "DaemonSet",
        "d",
        spec={**SELECTED, "template": {**LABELLED, "spec": {**POD, "nodeSelector": {"no": "where"}}}},
    ),
    native("apps/v1", "ReplicaSet", "r", spec={**SELECTED, "replicas": 0}),
    native(
        "batch/v1",
        "CronJob",
        "c",
        spec={
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}},
        },
    ),
    native("batch/v1", "Job", "j", spec={"suspend": True, "template": {"spec": {**POD, "restartPolicy": "Never"}}}),
    native(
        "v1",
        "Service",
        "s",
        spec={
            "selector": {"app": "x"},
            "ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "b", "targetPort": "http"}],
        },
    ),
    native("v1", "Service", "h", spec={"clusterIP": "None", "ports": [{"port": 80}]}),
    native("v1", "Service", "n", spec={"type": "NodePort", "ports": [{"port": 80}]}),
    native("v1", "Service", "l", spec={"type": "ExternalName", "externalName": "x.example"}),
    native("v1", "Secret", "s", stringData={"a": "b"}, data={"c": "ZA=="}),
    native("v1", "ConfigMap", "c", data={"a": "b"}, binaryData={"c": "ZA=="}),
    native("v1", "PersistentVolumeClaim", "p", spec=CLAIM),
    native("v1", "ServiceAccount", "a", automountServiceAccountToken=False),
    native("networking.k8s.io/v1", "NetworkPolicy", "n", spec={"podSelector": {}, "ingress": [PEER]}),
    native(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "e",
        spec={"podSelector": {}, "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]},
    ),
    native(
        "networking.k8s.io/v1",
        "Ingress",
        "i",
        spec={
            "rules": [
                {
                    "host": "x.example",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "s", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ]
        },
    ),
    native(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "h",
        spec={"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}},
    ),
    native(
        "policy/v1",
        "PodDisruptionBudget",
        "p",
        spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "nothing"}}},
    ),
    native(
        "rbac.authorization.k8s.io/v1",
        "Role",
        "a:b",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    ),
    native(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "b",
        roleRef={"kind": "Role", "name": "a:b"},
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "x", "namespace": "y"}],
    ),
    native("coordination.k8s.io/v1", "Lease", "l", spec={"holderIdentity": "me", "leaseDurationSeconds": 15}),
]
#: Objects that break a rule.
BAD: list[Json] = [
    native("v1", "Pod", "bare", spec={"containers": [{"name": "a"}]}),
    native("v1", "Service", "bad", spec={"ports": [{"port": 80, "protocol": "X"}]}),
    native("v1", "Service", "Bad", spec={"ports": [{"port": 80}]}),
    native(
        "batch/v1",
        "Job",
        "always",
        spec={"template": {"spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "a"}]}}},
    ),
    native("v1", "Secret", "tls", type="kubernetes.io/tls", data={}),
]


#: To apply, some lists and maps are one value. Where the API server has put defaults into one, the same manifest of
#: somebody else is a conflict.
CONFLICTING = {
    "CronJob c",
    "DaemonSet d",
    "Deployment d",
    "Deployment r",
    "Job j",
    "NetworkPolicy n",
    "ReplicaSet r",
    "RoleBinding b",
    "StatefulSet s",
}


def title(manifest: Json) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", [*NATIVES, *BAD], ids=title)
def test_a_native_object_is_stored_as_there(tell: Tell, manifest: Json) -> None:
    def story(side: Side) -> None:
        side.owners = False
        side.create(manifest)
        side.apply(manifest, "contract-b")
        side.patch(manifest, {"metadata": {"labels": {"a": "b"}}})

    applied = 409 if title(manifest) in CONFLICTING else 200
    tell(story, "422 422 404" if manifest in BAD else f"201 {applied} 200")


#: Objects, and a change that is refused.
FIXED: list[tuple[Json, Json]] = [
    (native("apps/v1", "StatefulSet", "s", spec={**SELECTED, "replicas": 0, "serviceName": "s"}), {"serviceName": "t"}),
    (native("apps/v1", "DaemonSet", "d", spec=SELECTED), {"selector": {"matchLabels": {"app": "y"}}}),
    (native("v1", "Service", "s", spec={"selector": {"a": "b"}, "ports": [{"port": 80}]}), {"clusterIP": "10.96.3.4"}),
    (native("v1", "PersistentVolumeClaim", "p", spec=CLAIM), {"accessModes": ["ReadWriteMany"]}),
]
FIXED_WHOLE: list[tuple[Json, Json]] = [
    (native("v1", "Secret", "s", data={"a": "Yg=="}), {"type": "example/other"}),
    (native("v1", "ConfigMap", "c", data={"a": "b"}, immutable=True), {"data": {"a": "c"}}),
    (
        native("rbac.authorization.k8s.io/v1", "RoleBinding", "b", roleRef={"kind": "Role", "name": "a"}, subjects=[]),
        {"roleRef": {"kind": "Role", "name": "b"}},
    ),
]
REFUSED = [*((manifest, {"spec": change}) for manifest, change in FIXED), *FIXED_WHOLE]


@pytest.mark.parametrize(("manifest", "change"), REFUSED, ids=[each["kind"] for each, _ in REFUSED])
def test_what_cannot_change_does_not(tell: Tell, manifest: Json, change: Json) -> None:
    def story(side: Side) -> None:
        side.owners = side.words = False  # they quote Go's own notation
        side.create(manifest)
        side.patch(manifest, change)

    tell(story, "201 422")
