"""Upgrades, rollbacks and uninstalls leave what helm's leave; keep policies, CRDs and schemas are respected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from tests.controlplane.errors import ApiError, CommandError
from tests.parity import live
from tests.parity.ahead import NewWorld, ahead
from tests.parity.looking import CRDS, logged
from tests.parity.world import World

#: chart, values before, values after
UPGRADES: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "values": ("plain", {"text": "before", "nested": {"added": 1}}, {"text": "after", "replicas": 2}),
    "no values any more": ("plain", {"text": "before"}, {}),
    "a subchart that comes and one that goes": (
        "subcharts",
        {"sessions": {"enabled": True}},
        {"cache": {"enabled": False}, "tags": {"batch": True}},
    ),
    "an object that is dropped but kept": ("keep", {}, {"extra": False}),
    # Neither its Job nor its Pod may change (see the test after this one).
    "every workload": ("workloads", {}, {"unused": 1}),
    "a password that is kept": ("random", {}, {"unused": True}),
}


def upgrade(world: World, what: str) -> World:
    """Both sides install, then upgrade."""
    chart, before, after = UPGRADES[what]
    for helm, values in ((world.install, before), (world.upgrade, after)):
        world.deploy(chart, values)
        helm(chart, values, *(("--reset-values",) if helm == world.upgrade else ()))
        world.ready()
    return world


@pytest.fixture(scope="module")
def upgraded(new_world: NewWorld) -> Iterator[Mapping[str, Future[World]]]:
    with ahead(new_world, UPGRADES, upgrade) as worlds:
        yield worlds


@pytest.mark.parametrize("what", UPGRADES)
def test_an_upgrade_leaves_what_helm_s_leaves(what: str, upgraded: Mapping[str, Future[World]]) -> None:
    world = upgraded[what].result()

    if what == "a password that is kept":
        assert manifest_of(world, 1) == manifest_of(world, 2)
        assert manifest_of(world, 1, world.theirs) == manifest_of(world, 2, world.theirs)
        return  # the passwords themselves are random
    world.same_objects()
    world.same_records(1)
    world.same_records(2)


def manifest_of(world: World, revision: int, namespace: str = "") -> str:
    """What a revision holds."""
    text: str = world.record(revision, namespace)["manifest"]
    return text


def test_a_change_that_kubernetes_refuses_fails_as_with_helm(world: World) -> None:
    world.deploy("workloads")
    world.install("workloads")
    world.ready()

    world.deploy("workloads", {"image": "registry.example/app:1.1"})
    with pytest.raises(CommandError, match="immutable"):
        world.upgrade("workloads", {"image": "registry.example/app:1.1"})
    status = world.condition("Stalled", "True")

    assert "immutable" in next(item["message"] for item in status["conditions"] if item["type"] == "Ready")
    assert world.revisions() == world.revisions(world.theirs) == [(1, "deployed"), (2, "failed")]


def test_a_rolled_back_upgrade_is_what_helm_s_rollback_is(world: World) -> None:
    world.deploy("hooks")
    world.install("hooks")
    world.ready()

    world.deploy(
        "hooks",
        {"failing": "pre-upgrade"},
        upgrade={"remediation": {"retries": 0, "remediateLastFailure": True, "strategy": "rollback"}},
    )
    with pytest.raises(CommandError, match="pre-upgrade"):
        world.upgrade("hooks", {"failing": "pre-upgrade"})
    world.helm("rollback", "demo", "1", "--namespace", world.theirs, "--wait")
    world.until(lambda: len(world.revisions()) == 3, "gitsync has begun to roll back")
    world.until(lambda: world.revisions()[-1][1] == "deployed", "gitsync has rolled back")

    assert world.revisions() == world.revisions(world.theirs) == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    world.same_objects()
    world.same_records(3)


def test_an_uninstall_leaves_what_helm_s_leaves(world: World) -> None:
    world.deploy("keep")
    world.install("keep")
    world.ready()

    removal = world.remove()
    world.helm("uninstall", "demo", "--namespace", world.theirs, "--wait")
    removal()

    world.same_objects()
    assert world.object("/api/v1", "configmaps", "demo-kept") is not None
    assert world.object("/api/v1", "configmaps", "demo-goes") is None
    assert world.revisions() == world.revisions(world.theirs) == []


def test_a_kept_history_is_helm_s(world: World) -> None:
    world.deploy("plain", uninstall={"keepHistory": True})
    world.install("plain")
    world.ready()
    world.deploy("plain", {"text": "again"}, uninstall={"keepHistory": True})
    world.upgrade("plain", {"text": "again"})
    world.ready()

    removal = world.remove()
    world.helm("uninstall", "demo", "--keep-history", "--namespace", world.theirs, "--wait")
    removal()

    assert world.revisions() == world.revisions(world.theirs) == [(1, "superseded"), (2, "uninstalled")]
    world.same_records(2)
    world.same_objects()


def test_crds_are_created_and_never_deleted(world: World) -> None:
    world.deploy("crds")
    world.ready()
    before = world.cluster.request("GET", f"{CRDS}/widgets.charts.example")

    world.remove()()

    after = world.cluster.request("GET", f"{CRDS}/widgets.charts.example")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert world.object("/apis/charts.example/v1", "widgets", "demo") is None


def test_crds_are_changed_only_where_that_is_asked_for(world: World) -> None:
    def colour() -> bool:
        crd = world.cluster.request("GET", f"{CRDS}/widgets.charts.example")
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        return "colour" in schema["properties"]["spec"]["properties"]

    world.deploy("crds")
    world.ready()
    if colour():  # of an earlier run on the same cluster
        world.deploy("crds", upgrade={"crds": "CreateReplace"}, values={"size": 4})
        world.ready()
    world.deploy("crds", version="1.0.1", upgrade={"crds": "Create"})
    world.ready()
    assert not colour()

    world.deploy("crds", {"size": 5}, version="1.0.1", upgrade={"crds": "CreateReplace"})
    world.ready()
    assert colour()
    gadget = world.cluster.request("GET", f"{CRDS}/gadgets.charts.example")
    assert gadget["metadata"]["name"] == "gadgets.charts.example"


def test_a_template_that_fails_is_said_once_and_fixing_it_heals(world: World) -> None:
    world.deploy("raw", {"objects": [{"kind": "ConfigMap"}]}, interval="1s")
    world.condition("Stalled", "True", containing="raw/templates/objects.yaml: renders a document without apiVersion")
    before = world.helm_release()["metadata"]["resourceVersion"]
    looked_at = world.serving.passes(world.ours, world.name)
    world.until(lambda: world.serving.passes(world.ours, world.name) > looked_at + 1, "it is looked at twice more")
    assert world.helm_release()["metadata"]["resourceVersion"] == before, "there is nothing new to say"
    assert len(logged(world, "release failed")) == 1

    world.deploy("raw", {"objects": []})
    world.ready()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": "many"}, "replicas"),
        ({"replicas": -1}, "replicas"),
        ({"mode": "reckless"}, "mode"),
        ({"inner": {"level": "high"}}, "inner.level"),
    ],
)
def test_values_that_break_the_schema_stall_the_release(values: dict[str, Any], named: str, world: World) -> None:
    with pytest.raises(CommandError, match=named.rpartition(".")[2]):
        world.install("schema", values)

    world.deploy("schema", values)
    status = world.condition("Ready", "False", containing=named)

    conditions = {item["type"]: item for item in status["conditions"]}
    assert conditions["Ready"]["reason"] == "ValuesError"
    assert conditions["Stalled"]["status"] == "True"
    assert "Reconciling" not in conditions
    assert world.revisions() == []
    assert world.object("/api/v1", "configmaps", "demo") is None

    world.deploy("schema", {"replicas": 2})
    world.ready()
    assert world.revisions() == [(1, "deployed")]


def test_a_namespace_is_created_as_helm_creates_it(world: World) -> None:
    ours, theirs = f"{world.ours}-new", f"{world.theirs}-new"
    place: dict[str, Any] = {"targetNamespace": ours, "storageNamespace": ours, "releaseName": "demo"}
    world.deploy("plain", **place, install={"createNamespace": True})
    world.install("plain", None, "--create-namespace", namespace=theirs)
    world.ready()

    try:
        found = [world.cluster.request("GET", f"/api/v1/namespaces/{name}") for name in (ours, theirs)]
        labels = [json.dumps(item["metadata"]["labels"]).replace(item["metadata"]["name"], "NS") for item in found]
        assert labels[0] == labels[1]
        assert live.revisions(world.cluster, ours, "demo") == [(1, "deployed")]
    finally:
        world.remove()()
        for name in (ours, theirs):
            try:
                world.cluster.request("DELETE", f"/api/v1/namespaces/{name}")
            except ApiError as error:
                if error.status != 404:
                    raise
