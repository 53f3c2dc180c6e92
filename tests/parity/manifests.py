"""Manifests for the chart ``raw``: made up at random, and changed at random as people do by hand."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

Manifest = dict[str, Any]


def generated(seed: int) -> list[Manifest]:
    """Objects with every kind of list and map that patches merge; the same names whatever the seed."""
    random = Random(seed)
    pods = [_pod_template(random, f"pods-{number}") for number in range(16)]
    services = [_service(random, f"service-{number}") for number in range(3)]
    deployments = [_deployment(random, f"deployment-{number}") for number in range(3)]
    return [*pods, *services, *deployments, _budget(random), _secret(random), _config_map(random), _account(random)]


def by_hand(live: Manifest, seed: int) -> Manifest:
    """A live object after changes by hand; the same changes for the same seed and object."""
    random = Random(f"{seed} {live['kind']} {live['metadata']['name']}")
    changed = copy.deepcopy(live)
    metadata = changed["metadata"]
    if random.random() < 0.5:
        metadata.setdefault("labels", {})[random.choice(["tier", "by-hand"])] = "hand"
    if random.random() < 0.3:
        metadata.get("annotations", {}).pop("note", None)
    if changed["kind"] == "PodTemplate":
        _pod_by_hand(random, changed["template"])
    if changed["kind"] == "Service" and random.random() < 0.5:
        changed["spec"]["ports"].append({"name": "hand", "port": 9999, "targetPort": 9999})
    if changed["kind"] == "ServiceAccount":
        changed["imagePullSecrets"] = [{"name": "hand"}, *changed.get("imagePullSecrets", [])]
    if changed["kind"] == "ConfigMap":
        changed["data"] = {**changed.get("data", {}), "a": "hand", "hand": "1"}
    return changed


def _pod_by_hand(random: Random, template: Manifest) -> None:
    containers = template["spec"]["containers"]
    for container in containers:
        if random.random() < 0.4:
            container.setdefault("env", []).insert(0, {"name": "HAND", "value": "1"})
        if random.random() < 0.3:
            for item in container.get("env", []):
                item |= {} if "valueFrom" in item else {"value": "hand"}
        if random.random() < 0.3:
            container["image"] = "registry.example/hand"
        if random.random() < 0.2:
            container.pop("ports", None)
    if random.random() < 0.3:
        containers.insert(0, {"name": "sidecar", "image": "registry.example/sidecar"})
    if random.random() < 0.2:
        containers.reverse()
    if random.random() < 0.3:
        template["spec"]["tolerations"] = [{"key": "hand", "operator": "Exists"}]


def _some(random: Random, items: list[Any]) -> list[Any]:
    chosen = [item for item in items if random.random() < 0.6]
    random.shuffle(chosen)
    return chosen


def _maybe(random: Random, field: str, *values: Any) -> Manifest:
    """A field, no field, or a null."""
    chance = random.random()
    if chance < 0.35:
        return {}
    return {field: None if chance < 0.4 else copy.deepcopy(random.choice(values))}


def _metadata(random: Random, name: str) -> Manifest:
    labels = {label: random.choice("xyz") for label in _some(random, ["tier", "team", "zone"])}
    return {
        "name": name,
        "labels": labels,
        **_maybe(random, "annotations", {}, {"note": "1"}, {"note": "2", "more": ""}),
    }


def _pod_template(random: Random, name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": _metadata(random, name),
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": _pod(random)},
    }


def _pod(random: Random) -> Manifest:
    volumes = [
        random.choice([{"name": name, "emptyDir": {}}, {"name": name, "configMap": {"name": "x"}}])
        for name in _some(random, ["one", "two", "three"])
    ]
    names = [volume["name"] for volume in volumes]
    spreads = [
        {"topologyKey": key, "maxSkew": random.randint(1, 2), "whenUnsatisfiable": "ScheduleAnyway"}
        for key in _some(random, ["zone", "host"])
    ]
    return {
        "containers": [_container(random, name, names) for name in _some(random, ["a", "b"]) or ["c"]],
        **({"volumes": volumes} if volumes or random.random() < 0.5 else {}),
        **_maybe(random, "initContainers", [], [{**_container(random, "init", names), "readinessProbe": None}]),
        **_maybe(random, "tolerations", [{"key": "k", "operator": "Exists"}], [{"key": "l", "operator": "Exists"}]),
        **_maybe(
            random, "hostAliases", [{"ip": "1.1.1.1", "hostnames": ["a"]}], [{"ip": "1.1.1.1", "hostnames": ["b"]}]
        ),
        **_maybe(random, "imagePullSecrets", [{"name": "p"}], [{"name": "q"}, {"name": "p"}]),
        **_maybe(random, "nodeSelector", {"disk": "ssd"}, {"disk": "hdd", "zone": "a"}),
        **_maybe(random, "securityContext", {"runAsUser": 1}, {"runAsGroup": 2, "supplementalGroups": [1, 2]}),
        **_maybe(random, "terminationGracePeriodSeconds", 1, 30),
        "topologySpreadConstraints": spreads,
    }


def _container(random: Random, name: str, volumes: list[str]) -> Manifest:
    env = [
        random.choice(
            [
                {"name": name, "value": random.choice(["1", "2", ""])},
                {"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ]
        )
        for name in _some(random, ["A", "B", "C", "D"])
    ]
    ports = [
        {"containerPort": port, **_maybe(random, "name", f"port-{port}"), **_maybe(random, "protocol", "TCP", "UDP")}
        for port in _some(random, [80, 443, 8080])
    ]
    return {
        "name": name,
        "image": f"registry.example/app:{random.randint(1, 2)}",
        "env": env,
        "ports": ports,
        "volumeMounts": [{"name": volume, "mountPath": f"/{volume}"} for volume in _some(random, volumes)],
        **_maybe(random, "args", ["--x"], ["--x", "--y"], []),
        **_maybe(random, "resources", {}, {"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "500m", "memory": "1Gi"}}),
        **_maybe(
            random, "readinessProbe", {"exec": {"command": ["a"]}}, {"exec": {"command": ["b"]}, "periodSeconds": 3}
        ),
    }


def _service(random: Random, name: str) -> Manifest:
    ports = [
        {"name": f"port-{port}", "port": port, **_maybe(random, "targetPort", 80, "http")}
        for port in _some(random, [80, 443, 8080]) or [1]
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(random, name),
        "spec": {
            "selector": {"app": random.choice("xy")},
            "ports": ports,
            **_maybe(random, "sessionAffinity", "None", "ClientIP"),
        },
    }


def _deployment(random: Random, name: str) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(random, name),
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [_container(random, "a", [])]}},
            **_maybe(
                random,
                "strategy",
                {"type": "Recreate"},
                {"type": "RollingUpdate"},
                {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3}},
            ),
            **_maybe(random, "minReadySeconds", 0, 1),
        },
    }


def _budget(random: Random) -> Manifest:
    labels = dict.fromkeys(_some(random, ["a", "b", "c"]), "1")
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(random, "budget"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }


def _secret(random: Random) -> Manifest:
    data = {key: random.choice(["YQ==", "Yg=="]) for key in _some(random, ["a", "b", "c"])}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(random, "secret"), "data": data}


def _account(random: Random) -> Manifest:
    secrets = [{"name": name} for name in _some(random, ["a", "b", "c"])]
    metadata = _metadata(random, "account")
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "imagePullSecrets": secrets}


def _config_map(random: Random) -> Manifest:
    data = {key: random.choice(["1", "2"]) for key in _some(random, ["a", "b", "c"])}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(random, "config"), "data": data}
