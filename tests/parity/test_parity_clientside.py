"""Client-side apply beside ``helm --server-side=false``: the same patches, records and owners, there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.controlplane.errors import ApiError, CommandError
from tests.parity import live, manifests
from tests.parity.world import World

Manifest = dict[str, Any]
PLURALS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Gizmo": "/apis/parity.example/v1/namespaces/{}/gizmos",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "PodTemplate": "/api/v1/namespaces/{}/podtemplates",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Service": "/api/v1/namespaces/{}/services",
}
CLIENT_SIDE: Manifest = {"install": {"serverSideApply": False}}


def change(world: World, namespace: str, kind: str, name: str, edit: Callable[[Manifest], Manifest]) -> None:
    """Somebody changes an object by hand."""
    path = f"{PLURALS[kind].format(namespace)}/{name}"
    for _ in range(20):
        try:
            world.cluster.request(
                "PUT", f"{path}?fieldManager=hand", edit({**world.cluster.request("GET", path), "kind": kind})
            )
        except ApiError as error:
            if error.status != 409:
                raise
        else:
            return
    raise AssertionError(f"{path} changes all the time")


def both(world: World, kind: str, name: str, edit: Callable[[Manifest], Manifest]) -> None:
    """The same on both sides."""
    for namespace in (world.ours, world.theirs):
        change(world, namespace, kind, name, edit)


def roll(world: World, verb: str, objects: list[Manifest], flag: str, **spec: Any) -> None:
    """Both sides install or upgrade; helm with ``--server-side=FLAG``."""
    values = {"objects": objects}
    world.deploy("raw", values, **spec)
    flags = (f"--server-side={flag}", *(("--force-conflicts",) if flag == "true" and verb == "upgrade" else ()))
    getattr(world, verb)("raw", values, *flags)
    world.ready()


@pytest.mark.parametrize("seed", [1])
def test_patches_are_helm_s(seed: int, world: World) -> None:
    before, after = manifests.generated(seed), manifests.generated(seed + 1000)
    roll(world, "install", before, "false", **CLIENT_SIDE)
    world.same_objects()
    world.same_records(1)

    for item in before:
        both(world, item["kind"], item["metadata"]["name"], lambda found: manifests.by_hand(found, seed))
    world.same_objects()
    roll(world, "upgrade", after, "auto", **CLIENT_SIDE)

    world.same_objects()
    world.same_records(2)


def config_map(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


HOOK: Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "hook", "annotations": {"helm.sh/hook": "pre-install,pre-upgrade"}},
}


def test_a_release_goes_from_client_side_to_server_side_and_back(world: World) -> None:
    """What the manifest no longer has goes, whichever way it came."""

    def data() -> dict[str, str]:
        found = world.object("/api/v1", "configmaps", "config")
        assert found is not None
        shown: dict[str, str] = found["data"]
        return shown

    def upgrade(flag: str, way: str, **wanted: str) -> None:
        roll(world, "upgrade", [HOOK, config_map("config", **wanted)], flag, upgrade={"serverSideApply": way})
        world.same_objects()

    roll(world, "install", [HOOK, config_map("config", a="1", b="1", c="1")], "false", **CLIENT_SIDE)
    both(world, "ConfigMap", "config", lambda found: {**found, "data": {**found["data"], "hand": "1"}})
    upgrade("true", "enabled", a="2", b="1")
    assert data() == {"a": "2", "b": "1", "hand": "1"}
    upgrade("auto", "auto", a="2")
    assert data() == {"a": "2", "hand": "1"}
    upgrade("false", "disabled", a="3", d="1")
    assert data() == {"a": "3", "d": "1", "hand": "1"}
    upgrade("auto", "auto", a="3")
    assert data() == {"a": "3", "hand": "1"}

    assert [world.record(revision)["apply_method"] for revision in range(1, 6)] == ["csa", "ssa", "ssa", "csa", "csa"]
    for revision in range(1, 6):
        world.same_records(revision)


def test_a_rollback_is_applied_as_the_revision_that_it_goes_back_to(world: World) -> None:
    first = [config_map("config", a="1", b="1")]
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:nonexistent"}]},
    }
    unready = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "unready"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template},
    }
    second = [config_map("config", a="2", c="1"), unready]
    roll(world, "install", first, "false", **CLIENT_SIDE)

    remedy = {"retries": 0, "remediateLastFailure": True}
    world.deploy(
        "raw", {"objects": second}, upgrade={"serverSideApply": "enabled", "timeout": "3s", "remediation": remedy}
    )
    with pytest.raises(CommandError):
        world.upgrade("raw", {"objects": second}, "--server-side=true", "--force-conflicts", "--timeout", "3s")
    world.helm("rollback", "demo", "1", "--namespace", world.theirs, "--wait")
    world.until(lambda: world.revisions()[-1] == (3, "deployed"), "gitsync has rolled back")

    world.same_objects()
    assert [world.record(revision)["apply_method"] for revision in (1, 2, 3)] == ["csa", "ssa", "csa"]
    world.same_records(3)


def test_auto_follows_what_helm_did_and_helm_follows_it(world: World) -> None:
    world.install("raw", {"objects": [config_map("config", a="1")]}, "--server-side=false", namespace=world.ours)
    world.deploy("raw", {"objects": [config_map("config", b="1")]})
    world.ready()
    assert world.record(2)["apply_method"] == "csa"
    world.patch_spec(suspend=True)  # it would take back what helm does

    world.upgrade("raw", {"objects": [config_map("config", c="1")]}, namespace=world.ours)

    assert world.record(3)["apply_method"] == "csa"
    found = world.object("/api/v1", "configmaps", "config")
    assert found is not None
    assert found["data"] == {"c": "1"}


def secret(**strings: str) -> list[Manifest]:
    return [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": strings}]


@pytest.mark.parametrize(("flag", "way"), [("false", CLIENT_SIDE), ("true", {})])
def test_a_key_of_string_data_goes_with_it(flag: str, way: Manifest, world: World) -> None:
    """With helm it stays for ever: it takes away from stringData, which no stored Secret has."""
    roll(world, "install", secret(a="1", b="1"), flag, **way)
    roll(world, "upgrade", secret(a="2"), flag, **way)

    ours, theirs = (world.object("/api/v1", "secrets", "secret", name) for name in (world.ours, world.theirs))
    assert ours is not None
    assert theirs is not None
    assert ours["data"] == {"a": "Mg=="}
    assert theirs["data"] == {"a": "Mg==", "b": "MQ=="}


def test_a_secret_outlives_a_change_between_gitsync_and_helm(world: World) -> None:
    """One applies it as stringData, the other as data, both with the same field manager."""

    def data() -> dict[str, str]:
        return dict((world.object("/api/v1", "secrets", "secret") or {}).get("data", {}))

    world.install("raw", {"objects": secret(a="1")}, namespace=world.ours)
    world.deploy("raw", {"objects": secret(a="1", b="2")})
    world.ready()
    assert data() == {"a": "MQ==", "b": "Mg=="}
    world.patch_spec(suspend=True)  # it would take back what helm does

    world.upgrade("raw", {"objects": secret(a="1", b="3")}, namespace=world.ours)
    assert data() == {"a": "MQ==", "b": "Mw=="}

    world.patch_spec(suspend=False)
    world.condition("Ready", "True", "demo.v4")
    assert data() == {"a": "MQ==", "b": "Mg=="}


def test_custom_resources_are_patched_as_by_helm(world: World) -> None:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"kind": "Gizmo", "plural": "gizmos", "singular": "gizmo"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gizmos.parity.example"},
        "spec": {"group": "parity.example", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    world.cluster.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    path = PLURALS["Gizmo"]

    def served() -> bool:
        try:
            world.cluster.request("GET", path.format(world.ours))
        except ApiError as error:
            if error.status not in (404, 429):  # 429: its storage is still being made
                raise
            return False
        return True

    def gizmo(**spec: Any) -> list[Manifest]:
        return [{"apiVersion": "parity.example/v1", "kind": "Gizmo", "metadata": {"name": "gizmo"}, "spec": spec}]

    def edit(found: Manifest) -> Manifest:
        return {**found, "spec": {**found["spec"], "size": 5, "colour": "blue", "hand": 1}}

    world.until(served, "the kind is served")
    roll(world, "install", gizmo(size=1, colour="red", gone=1, items=[{"name": "a"}]), "false", **CLIENT_SIDE)
    both(world, "Gizmo", "gizmo", edit)
    roll(world, "upgrade", gizmo(size=1, colour="green", items=[{"name": "b"}]), "false", **CLIENT_SIDE)

    ours, theirs = (
        live.normal(world.cluster.request("GET", f"{path.format(name)}/gizmo"), name)
        for name in (world.ours, world.theirs)
    )
    assert not live.differences(ours, theirs)
    assert ours["spec"] == {"size": 5, "colour": "green", "hand": 1, "items": [{"name": "b"}]}


def test_a_patch_that_is_refused_fails_the_release(world: World) -> None:
    def service(port: int) -> list[Manifest]:
        spec = {"ports": [{"port": port}]}
        return [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "service"}, "spec": spec}]

    roll(world, "install", service(80), "false", **CLIENT_SIDE)
    world.deploy("raw", {"objects": service(99999)})
    with pytest.raises(CommandError, match=r"spec\.ports\[0\]\.port"):
        world.upgrade("raw", {"objects": service(99999)})

    world.condition("Ready", "False", f"cannot patch Service/{world.ours}/service: spec.ports[0].port: Invalid value")
    assert world.revisions() == world.revisions(world.theirs) == [(1, "deployed"), (2, "failed")]


def test_a_field_that_no_schema_has(world: World) -> None:
    """Server-side apply refuses it, client-side apply drops it with a warning, as with helm; disableOpenAPIValidation
    and ``--disable-openapi-validation`` have no say in either."""
    values = {"objects": [{**config_map("config"), "unknownField": 1}]}
    off: Manifest = {"install": {"disableOpenAPIValidation": True}}
    sides: list[tuple[Manifest, list[str]]] = [({}, []), (off, ["--disable-openapi-validation"])]
    for spec, flags in sides:
        world.deploy("raw", values, **spec)
        world.condition("Ready", "False", f"ConfigMap/{world.ours}/config: unknownField: field not declared")
        with pytest.raises(CommandError, match="unknownField: field not declared in schema"):
            world.install("raw", values, *flags, "--replace")
    world.remove()()

    world.deploy("raw", values, install={"serverSideApply": False})
    world.ready()

    (line,) = [line for line in world.serving.lines if line["event"] == "field is dropped by the API server"]
    assert line["object"] == f"ConfigMap/{world.ours}/config"
    assert line["why"] == 'unknown field "unknownField"'
