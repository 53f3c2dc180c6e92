from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.comparing import APPLY, JSON_PATCH, MERGE, STRATEGIC, Json, Side, differences
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
        found = differences(*(side.told for side in sides))
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
