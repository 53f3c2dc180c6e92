from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.comparing import JSON_PATCH, METADATA, METADATA_LIST, STRATEGIC, TABLE, Json, Side, differences
from tests.controlplane.cluster import Cluster
from tests.controlplane.world import has_service_account


def settings(name: str = "settings", **data: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "web", image: str = "web:1", **spec: Any) -> Json:
    container = {"name": "web", "image": image, "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "paused": True, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


Tell = Callable[[Callable[[Side], None]], None]


@pytest.fixture
def tell(sandbox: Cluster, real: Cluster) -> Iterator[Tell]:
    sides = [Side(each, f"test-{uuid.uuid4().hex[:8]}") for each in (sandbox, real)]
    for side in sides:
        side.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": side.namespace}})
    for side in sides:
        while not has_service_account(side.cluster, side.namespace):
            time.sleep(0.02)

    def told(story: Callable[[Side], None]) -> None:
        for side in sides:
            story(side)
        found = differences(sides[0].told, sides[1].told)
        assert not found, "\n".join(found)

    yield told
    for side in sides:
        side.cluster.request("DELETE", f"/api/v1/namespaces/{side.namespace}")


def test_apply(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.apply(settings(a="1", b="2"))
        side.apply(settings(a="1", b="2"))
        side.apply(settings(a="1"))
        side.apply(settings(a="2"), "contract-b")
        side.apply(settings(a="2"), "contract-b", force="true")
        side.apply(settings(a="2", c="3"), "contract-c")
        side.apply(settings(), "contract-b")
        side.get(settings())
        side.apply(settings(), "contract-c")
        side.apply(settings(a="1"), "contract-b", force="true")
        side.apply({**settings(), "metadata": {"name": "settings", "labels": {"a": "b"}, "annotations": {"c": "d"}}})
        side.apply({**settings(), "metadata": {"name": "settings"}}, force="true")
        side.apply(settings(a="1"), dryRun="All")
        side.get(settings())
        side.apply({**settings(a="1"), "metadata": {"name": "settings", "resourceVersion": "1"}})
        side.apply(settings(a="1"), "")
        side.apply({**settings(), "dota": {}})
        side.apply(settings(a=1))

    tell(story)


def test_apply_lists(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.apply(deployment())
        changed = deployment(image="web:2")
        spec = changed["spec"]["template"]["spec"]
        spec["containers"][0]["env"] = [{"name": "B", "value": "2"}]
        spec["containers"].append({"name": "side", "image": "side:1", "args": ["a", "b"]})
        side.apply(changed)
        del spec["containers"][1]
        del changed["spec"]["replicas"]
        side.apply(changed)
        side.apply(deployment(image="web:3"), "contract-b")
        side.patch(
            deployment(),
            {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:4"}]}}}},
            STRATEGIC,
        )
        side.apply(changed)
        side.apply(changed, force="true")
        side.apply({**changed, "status": {"replicas": 1}}, force="true")
        bad = deployment()
        bad["spec"]["replcias"] = 1
        side.apply(bad)
        bad = deployment()
        bad["spec"]["template"]["spec"]["containers"][0].pop("name")
        side.apply(bad)

    tell(story)


def test_objects(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.create(settings(a="1"))
        side.create(settings(a="1"))
        side.create({**settings(), "metadata": {"name": "Bad_Name"}})
        side.create({**settings(), "metadata": {}})
        side.create({**settings("x"), "kind": "Secret"})
        side.create({**settings("y"), "metadata": {"name": "y", "labels": {"a": "b c"}}})
        side.send("POST", "api/v1/namespaces/nowhere/configmaps", settings())
        found = side.get(settings())
        side.put({**found, "data": {"b": "2"}})
        side.put({**found, "data": {"c": "2"}})
        side.put({**settings("other"), "data": {"b": "2"}})
        side.send("PUT", side.path(settings()), settings("other"))
        side.send(
            "POST", side.collection(settings()), {**settings("o"), "metadata": {"name": "o", "namespace": "elsewhere"}}
        )
        side.put(settings(d="4"))
        side.delete(settings(), preconditions={"uid": "nobody"})
        side.delete(settings("none"))
        side.delete(settings())
        side.get(settings())
        held = {**settings("held"), "metadata": {"name": "held", "finalizers": ["test.example/hold"]}}
        side.create(held)
        side.delete(held)
        side.delete(held)
        side.patch(held, {"metadata": {"finalizers": ["test.example/hold", "test.example/more"]}})
        side.patch(held, {"metadata": {"finalizers": None}})
        side.get(held)
        side.send("GET", "apis/nothing.example/v1/things")
        side.send("GET", "api/v1/nothings")

    tell(story)


def test_generations(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.create({**deployment(), "status": {"replicas": 7}})
        side.patch(deployment(), {"metadata": {"labels": {"a": "b"}}})
        side.patch(deployment(), {"spec": {"paused": True}, "status": {"replicas": 7}})
        side.patch(deployment(), {"spec": {"paused": False}, "status": {"collisionCount": 7}}, subresource="status")
        side.create(deployment("odd", replcias=1))
        side.create(deployment("odd", replcias=1), fieldValidation="Strict")
        side.create(deployment("even", replcias=1), fieldValidation="Ignore")
        side.create(deployment("wrong", replicas="three"))
        side.create(deployment("negative", replicas=-1))
        strange = deployment("strange")
        strange["spec"]["template"]["spec"]["dnsPolicy"] = "Sideways"
        side.create(strange)
        side.create(deployment("unselected", selector={"matchLabels": {"app": "other"}}))
        side.patch(deployment(), {"spec": {"selector": {"matchLabels": {"app": "other"}}}})
        side.send("PUT", side.path(deployment(), "scales"), deployment())

    tell(story)


def test_patches(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.create(deployment())
        web = deployment()
        side.patch(web, {"metadata": {"annotations": {"a": "1"}}})
        side.patch(web, {"metadata": {"annotations": {"a": None}}})
        side.patch(
            web,
            [
                {"op": "test", "path": "/spec/replicas", "value": 0},
                {"op": "replace", "path": "/spec/replicas", "value": 0},
            ],
            JSON_PATCH,
        )
        side.patch(web, [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}], JSON_PATCH)
        side.patch(web, [{"op": "test", "path": "/spec/replicas", "value": 9}], JSON_PATCH)
        side.patch(web, [{"op": "remove", "path": "/spec/nothing"}], JSON_PATCH)
        containers = [{"name": "side", "image": "side:1"}]
        side.patch(web, {"spec": {"template": {"spec": {"containers": containers}}}}, STRATEGIC)
        side.patch(
            web, {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}, STRATEGIC
        )
        order = {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "web"}],
            "containers": [{"name": "b", "image": "b:1"}],
        }
        side.patch(web, {"spec": {"template": {"spec": order}}}, STRATEGIC)
        side.patch(web, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, STRATEGIC)
        side.patch(web, {"metadata": {"finalizers": ["a.example/x"]}}, STRATEGIC)
        side.patch(web, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example/x"]}}, STRATEGIC)
        side.patch(web, {}, "application/x-other")
        side.patch(web, {"metadata": {"resourceVersion": "1"}})
        side.patch(settings("none"), {})

    tell(story)


SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "port": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "string", "nullable": True},
                "deep": {
                    "type": "object",
                    "default": {},
                    "properties": {"on": {"type": "boolean", "default": True}, "more": {"type": "string"}},
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "plain": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
            },
        },
        "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
    },
}


def definition(group: str, *, status: bool = True) -> Json:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
            {"name": "Part", "type": "string", "jsonPath": '.spec.parts[?(@.name=="a")].count'},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        **({"subresources": {"status": {}}} if status else {}),
    }
    older = {**version, "name": "v1beta1", "storage": False}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [older, version]},
    }


def widget(group: str, called: str = "w", version: str = "v1", **spec: Any) -> Json:
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "Widget",
        "metadata": {"name": called},
        "spec": {"size": 1, **spec},
    }


def is_established(answer: Json) -> bool:
    return {"Established"} <= {
        each["type"] for each in (answer.get("status", {}).get("conditions") or ()) if each["status"] == "True"
    }


def test_custom(tell: Tell) -> None:
    group = f"{uuid.uuid4().hex[:6]}.example"

    def story(side: Side) -> None:
        crd = definition(group)
        side.create(crd)
        side.until(lambda: side.get(crd), is_established, "established")
        side.send("GET", f"apis/{group}")
        side.send("GET", f"apis/{group}/v1")
        side.until(lambda: side.list_all(widget(group)), lambda answer: "items" in answer, "served")
        side.create(widget(group))
        side.create(widget(group, "nulls", maybe=None, colour=None, name=None))
        side.create(widget(group, "odd", what=1, deep={"what": 2, "more": "x"}, free={"a": {"b": None}}))
        side.create(widget(group, "odd2", what=1), fieldValidation="Strict")
        side.create(widget(group, "bad", size="x", colour="blue", name="A", plain=["a", "b", "c"]))
        for bad in (
            {"size": 0},
            {"size": 10},
            {"size": "x"},
            {"size": None},
            {"colour": "blue"},
            {"name": "A"},
            {"port": True},
            {"labels": {"a": 1}},
            {"plain": ["a", "b", "c"]},
            {"parts": [{"name": "a"}, {"name": "a"}]},
            {"parts": [{"count": 1}]},
            {"name": "abcdef"},
            {"tags": ["a", "a"]},
        ):
            side.create(widget(group, "bad", **bad))
        side.create({**widget(group, "statused"), "status": {"seen": 1}})
        found = side.get(widget(group))
        side.put({**found, "spec": {"size": 2}, "status": {"seen": 1}})
        side.put(widget(group))
        side.patch(
            widget(group),
            {"status": {"seen": 2}, "spec": {"size": 3}, "metadata": {"labels": {"a": "b"}}},
            subresource="status",
        )
        side.patch(widget(group), {"metadata": {"labels": {"a": "b"}}})
        side.patch(widget(group), {"spec": {"parts": []}}, STRATEGIC)
        side.get(widget(group, version="v1beta1"))
        side.list_all(widget(group, version="v1beta1"))
        side.list_all(widget(group), TABLE)
        side.delete(crd)
        side.until(lambda: side.get(crd), lambda answer: answer.get("code") == 404, "gone")
        side.send("GET", f"apis/{group}/v1/widgets")

    tell(story)


def test_custom_apply(tell: Tell) -> None:
    group = f"{uuid.uuid4().hex[:6]}.example"

    def story(side: Side) -> None:
        crd = definition(group)
        side.create(crd)
        side.until(lambda: side.get(crd), is_established, "established")
        side.until(lambda: side.list_all(widget(group)), lambda answer: "items" in answer, "served")
        side.apply(
            widget(
                group,
                parts=[{"name": "a"}, {"name": "b", "count": 2}],
                tags=["x", "y"],
                plain=["p"],
                free={"a": [1], "b": {"c": 1}},
                deep={"more": "x"},
            )
        )
        side.apply(widget(group, parts=[{"name": "c"}], tags=["z"]), "contract-b")
        side.apply(widget(group, parts=[{"name": "b", "count": 3}], tags=["x"], plain=["p", "q"], free={"b": {"d": 1}}))
        side.apply(widget(group, size=5), "contract-b")
        side.apply(widget(group, size=5), "contract-b", force="true")
        side.apply(widget(group, what=1))
        side.apply(widget(group, size="x"))
        side.apply(widget(group, size=77), force="true")
        side.apply(widget(group, parts=[{"count": 1}]))
        side.apply({**widget(group), "status": {"seen": 1}}, "contract-s", "status")
        side.apply({**widget(group), "status": {"seen": 2}}, "contract-t", "status")
        side.apply(widget(group, deep={}), force="true")
        side.apply({"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}}, "contract-b")
        side.get(widget(group))
        side.delete(crd)

    tell(story)


def test_lists(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.words = False
        for name, labels in (("a", {"x": "1"}), ("b", {"x": "2", "y": "1"}), ("c", {"y": "1"}), ("d", {})):
            side.create({**settings(name), "metadata": {"name": name, "labels": {**labels, "story": "yes"}}})
        for selector in ("x=1", "x!=1", "x in (1,2)", "x notin (1)", "x", "!x", "x,y=1", "story==yes,!y", "x in", "=1"):
            side.list_all(settings(), labelSelector=f"story,{selector}")
        for selector in (
            "metadata.name=a",
            "metadata.name!=a",
            "metadata.name=a,metadata.namespace=" + side.namespace,
            "data.a=1",
            "nonsense",
        ):
            side.list_all(settings(), labelSelector="story", fieldSelector=selector)
        first = side.list_all(settings(), labelSelector="story", limit="3")
        side.create({**settings("e"), "metadata": {"name": "e", "labels": {"story": "yes"}}})
        side.list_all(settings(), labelSelector="story", limit="3", **{"continue": first["metadata"]["continue"]})
        side.list_all(settings(), **{"continue": "nonsense"})
        side.list_all(settings(), METADATA_LIST, labelSelector="story,x=1")
        side.get(settings("a"), accept=METADATA)
        side.get(settings("a"), accept="application/xml")
        side.list_all(settings(), TABLE, labelSelector="story")
        side.create({**settings(), "kind": "Secret", "metadata": {"name": "s"}, "type": "example/x", "data": {}})
        side.list_all({**settings(), "kind": "Secret"}, fieldSelector="type=example/x")
        side.send("DELETE", side.collection(settings()), labelSelector="x")
        side.list_all(settings(), labelSelector="story")

    tell(story)


def test_watch(tell: Tell) -> None:
    def story(side: Side) -> None:
        side.words = False
        labelled = {**settings("b"), "metadata": {"name": "b", "labels": {"story": "yes"}}}
        side.create({**settings("a"), "metadata": {"name": "a", "labels": {"story": "yes"}}})
        version = side.list_all(settings(), labelSelector="story")["metadata"]["resourceVersion"]
        side.create(labelled)
        side.patch(settings("b"), {"data": {"x": "1"}})
        side.patch(settings("b"), {"metadata": {"labels": None}})
        side.patch(settings("b"), {"metadata": {"labels": {"story": "yes"}}})
        side.delete(settings("b"))
        side.watch(settings(), 5, resourceVersion=version, fieldSelector="metadata.name=b")
        side.watch(settings(), 5, resourceVersion=version, labelSelector="story")
        side.watch(settings(), 5, METADATA, resourceVersion=version, labelSelector="story")
        side.watch(settings(), 2, TABLE, resourceVersion=version, labelSelector="story")
        side.watch(settings(), 1, labelSelector="story")
        side.watch(settings(), 1, resourceVersion="0", labelSelector="story")
        initial = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        side.watch(settings(), 2, labelSelector="story", **initial)

    tell(story)


def native(api_version: str, kind: str, called: str, **fields: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": called}, **fields}


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


@pytest.mark.parametrize("manifest", NATIVES, ids=[f"{each['kind']} {each['metadata']['name']}" for each in NATIVES])
def test_defaults(tell: Tell, manifest: Json) -> None:
    def story(side: Side) -> None:
        side.owners = False
        side.create(manifest)
        side.apply(manifest, "contract-b")
        side.patch(manifest, {"metadata": {"labels": {"a": "b"}}})

    tell(story)
