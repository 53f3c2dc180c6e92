"""Changes that only a new object can have: told so, or made by ``force``; and ``cleanupOnFail`` beside helm's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controlplane.errors import CommandError
from tests.parity.world import World

Manifest = dict[str, Any]
FORCE: Manifest = {"upgrade": {"force": True}}


def fixed(value: str, **metadata: Any) -> Manifest:
    """A ConfigMap that nobody may change."""
    return {**config(value, **metadata), "immutable": True}


def config(value: str = "", name: str = "config", **metadata: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"value": value}}


def deployment(selector: str, image: str = "registry.example/app", replicas: int = 0) -> Manifest:
    labels = {"app": selector}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": spec}


def service(**spec: Any) -> Manifest:
    spec = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "service"}, "spec": spec}


def claim(modes: list[str]) -> Manifest:
    spec = {"accessModes": modes, "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim"}, "spec": spec}


def binding(role: str) -> Manifest:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    api_version = "rbac.authorization.k8s.io/v1"
    return {"apiVersion": api_version, "kind": "RoleBinding", "metadata": {"name": "binding"}, "roleRef": reference}


def unready() -> Manifest:
    return deployment("x", "registry.example/app:nonexistent", replicas=1)


def uid(world: World, group: str, plural: str, name: str) -> str:
    found = world.object(group, plural, name)
    assert found is not None
    assert found["metadata"].get("deletionTimestamp") is None
    return str(found["metadata"]["uid"])


def message(status: dict[str, Any]) -> str:
    return next(str(item["message"]) for item in status["conditions"] if item["type"] == "Ready")


def test_a_refused_change_says_what_would_help_and_force_makes_it(world: World) -> None:
    def uids() -> list[str]:
        return [
            uid(world, "/apis/apps/v1", "deployments", "app"),
            uid(world, "/api/v1", "services", "service"),
            uid(world, "/apis/rbac.authorization.k8s.io/v1", "rolebindings", "binding"),
            uid(world, "/api/v1", "configmaps", "config"),
        ]

    before = [deployment("a"), service(), binding("a"), config("a")]
    world.deploy("raw", {"objects": before})
    world.install("raw", {"objects": before})
    world.ready()
    old = uids()

    changed = [deployment("b"), service(), binding("a"), config("b")]
    world.deploy("raw", {"objects": changed})
    with pytest.raises(CommandError, match="field is immutable"):
        world.upgrade("raw", {"objects": changed})
    said = message(world.condition("Stalled", "True"))
    assert f"cannot change Deployment/{world.ours}/app: spec.selector: field is immutable; " in said
    assert "set spec.upgrade.force: true to have it replaced (deleted and created anew), or rename it" in said
    assert uids() == old

    changed = [deployment("b"), service(clusterIP="None"), binding("b"), config("b")]
    world.deploy("raw", {"objects": changed}, **FORCE)
    world.ready()
    new = uids()
    assert [one == other for one, other in zip(old, new, strict=True)] == [False, False, False, True]
    lines = [
        line for line in world.serving.lines if line["event"] == "object is replaced" and world.ours in line["object"]
    ]
    assert {(line["object"].split("/")[0], line["why"]) for line in lines} == {
        ("Deployment", "spec.selector: field is immutable"),
        ("Service", "spec.clusterIPs[0]: may not change once set"),
        ("RoleBinding", "roleRef: cannot change roleRef"),
    }

    world.deploy("raw", {"objects": [*changed[:-1], config("c")]}, **FORCE)
    world.ready()
    assert uids() == new  # what is not refused is not replaced


@pytest.mark.parametrize("way", ["enabled", "disabled"])
def test_what_holds_data_is_never_replaced(way: str, world: World) -> None:
    keep = {"annotations": {"helm.sh/resource-policy": "keep"}}
    options: Manifest = {"upgrade": {"force": True, "serverSideApply": way}}
    first = [claim(["ReadWriteOnce"]), fixed("a", **keep)]
    world.deploy("raw", {"objects": first}, install={"disableWait": True})
    world.ready()
    old = uid(world, "/api/v1", "persistentvolumeclaims", "claim"), uid(world, "/api/v1", "configmaps", "config")

    world.deploy("raw", {"objects": [claim(["ReadWriteMany"]), first[1]]}, **options)
    said = message(world.condition("Ready", "False", "retries exhausted"))
    assert f"cannot change PersistentVolumeClaim/{world.ours}/claim: spec: spec is immutable" in said
    assert "deleting it would delete data, so it is never replaced: delete it yourself, or rename it" in said

    world.deploy("raw", {"objects": [first[0], fixed("b", **keep)]}, **options)
    world.condition("Ready", "False", "its resource policy is to keep it, so it is never replaced")
    assert old == (
        uid(world, "/api/v1", "persistentvolumeclaims", "claim"),
        uid(world, "/api/v1", "configmaps", "config"),
    )


def test_what_would_not_be_taken_anew_either_is_not_deleted(world: World) -> None:
    world.deploy("raw", {"objects": [service()]})
    world.ready()
    old = uid(world, "/api/v1", "services", "service")

    bad: dict[str, dict[str, Any]] = {
        "spec.sessionAffinity: Unsupported value": {"sessionAffinity": "Sometimes"},
        "spec.unknown: field not declared in schema": {"unknown": 1},
        'spec.ports: duplicate entries for key [port=80,protocol="TCP"]': {"ports": [{"port": 80}, {"port": 80}]},
    }
    for said, spec in bad.items():
        world.deploy("raw", {"objects": [service(clusterIP="None", **spec)]}, **FORCE)
        world.condition("Ready", "False", said)
        assert uid(world, "/api/v1", "services", "service") == old


def test_an_install_over_what_cannot_be_changed(world: World) -> None:
    """There is no ``install.force`` to point at."""
    world.cluster.request("POST", f"/api/v1/namespaces/{world.ours}/configmaps", fixed("theirs"))

    world.deploy("raw", {"objects": [fixed("ours")]})

    world.condition(
        "Ready", "False", "data: field is immutable when `immutable` is set; delete it yourself, or rename it"
    )


def test_a_secret_that_cannot_be_changed_is_told_of_without_its_values(world: World) -> None:
    def secret(value: str) -> list[Manifest]:
        metadata = {"name": "secret"}
        return [
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "immutable": True, "stringData": {"a": value}}
        ]

    world.deploy("raw", {"objects": secret("hidden-1")}, install={"serverSideApply": False})
    world.ready()
    for way in ("disabled", "enabled"):
        world.deploy("raw", {"objects": secret("hidden-2")}, upgrade={"serverSideApply": way})
        status = world.condition(
            "Ready", "False", f"cannot change Secret/{world.ours}/secret: data: field is immutable"
        )
        assert "hidden" not in str(status)

    world.deploy("raw", {"objects": secret("hidden-2")}, upgrade={"serverSideApply": "disabled", "force": True})
    world.ready()

    found = world.object("/api/v1", "secrets", "secret")
    assert found is not None
    assert found["data"] == {"a": "aGlkZGVuLTI="}


def test_a_rollback_replaces_only_when_it_is_to(world: World) -> None:
    remedy = {"retries": 0, "remediateLastFailure": True}
    upgrade = {"force": True, "timeout": "3s", "remediation": remedy}
    world.deploy("raw", {"objects": [fixed("a")]})
    world.ready()

    world.deploy("raw", {"objects": [fixed("b"), unready()]}, upgrade=upgrade)
    world.until(lambda: world.revisions()[-1] == (3, "failed"), "the rollback has failed")
    assert "set spec.rollback.force: true to have it replaced" in world.record(3)["info"]["description"]

    world.deploy("raw", {"objects": [fixed("c"), unready()]}, upgrade=upgrade, rollback={"force": True})
    world.until(lambda: world.revisions()[-1][1] == "deployed", "it is rolled back")

    found = world.object("/api/v1", "configmaps", "config")
    assert found is not None
    assert found["data"] == {"value": "a"}
    assert world.object("/apis/apps/v1", "deployments", "app") is None


def test_a_failed_upgrade_deletes_what_it_created_only_when_it_is_to(world: World) -> None:
    def fail(objects: list[Manifest], *flags: str, **upgrade: Any) -> None:
        world.deploy("raw", {"objects": objects}, upgrade={"timeout": "3s", **upgrade})
        with pytest.raises(CommandError):
            world.upgrade("raw", {"objects": objects}, *flags, "--timeout", "3s")
        revision = world.revisions(world.theirs)[-1][0]
        world.until(lambda: world.revisions()[-1] == (revision, "failed"), "gitsync has failed, too")
        world.condition("Stalled", "True")

    first = [config("1", "a")]
    world.deploy("raw", {"objects": first})
    world.install("raw", {"objects": first})
    world.ready()

    fail([config("2", "a"), config("1", "b"), unready()])
    world.same_objects()
    assert world.object("/api/v1", "configmaps", "b") is not None

    fail([config("3", "a"), config("2", "b"), config("1", "c"), unready()], "--cleanup-on-fail", cleanupOnFail=True)
    world.until(lambda: world.object("/api/v1", "configmaps", "c") is None, "what was created is gone")
    world.same_objects()
    assert world.object("/api/v1", "configmaps", "b") is not None
    (line,) = [
        line
        for line in world.serving.lines
        if line["event"] == "objects created by the failed action were deleted" and world.ours in line["release"]
    ]
    assert line["objects"] == f"ConfigMap/{world.ours}/c"


def test_a_name_that_was_uninstalled_is_used_again(world: World) -> None:
    """``install.replace`` and ``helm install --replace``; without it helm refuses, gitsync never does."""
    for namespace in (world.ours, world.theirs):
        world.install("raw", {"objects": [config("1")]}, namespace=namespace)
        world.helm("uninstall", world.name, "--keep-history", "--namespace", namespace)

    world.deploy("raw", {"objects": [config("2")]}, install={"replace": True})
    with pytest.raises(CommandError, match="cannot reuse a name"):
        world.install("raw", {"objects": [config("2")]})
    world.install("raw", {"objects": [config("2")]}, "--replace")
    world.ready()

    world.same_objects()
    assert world.revisions()[-1] == world.revisions(world.theirs)[-1] == (2, "deployed")
    world.same_records(2)
