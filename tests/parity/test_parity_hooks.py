"""Hooks run in helm's order and are cleaned up by helm's rules; one that fails, fails the release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from tests.controlplane.errors import CommandError
from tests.parity.ahead import NewWorld, ahead
from tests.parity.world import World

JOBS = "/apis/batch/v1"
EVENTS = ("post-install", "pre-upgrade", "post-upgrade")


def ran(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The hooks of a record that ran, in the order they did, and how they ended."""
    hooks = [hook for hook in record["hooks"] if hook["last_run"].get("started_at")]
    hooks.sort(key=lambda hook: hook["last_run"]["started_at"])
    return [(hook["name"].removeprefix("demo-"), hook["last_run"]["phase"]) for hook in hooks]


def left(world: World, namespace: str) -> set[str]:
    """The objects of chart ``weights``' hooks that are there, by name."""
    names = {"first", "last", "a-none", "b-none"}
    found = {name for name in names if world.object("/api/v1", "configmaps", f"demo-{name}", namespace)}
    return found | {name for name in names if world.object(JOBS, "jobs", f"demo-{name}", namespace)}


def test_hooks_run_by_weight_then_name(world: World) -> None:
    world.deploy("weights")
    world.install("weights")
    world.ready()

    order = [("first", "Succeeded"), ("a-none", "Succeeded"), ("b-none", "Succeeded"), ("last", "Succeeded")]
    assert ran(world.record(1)) == order
    assert ran(world.record(1, world.theirs)) == order


def test_each_delete_policy_leaves_what_helm_leaves(world: World) -> None:
    policies = {"first": "hook-succeeded", "a-none": "hook-failed", "last": "before-hook-creation,hook-succeeded"}
    for helm, values in ((world.install, {"policies": policies}), (world.upgrade, {"policies": policies, "x": 1})):
        world.deploy("weights", values)
        helm("weights", values)
        world.ready()

        assert left(world, world.ours) == left(world, world.theirs) == {"a-none", "b-none"}
        world.same_objects()
    world.same_records(2)


def test_a_failing_hook_fails_the_release_and_names_its_pod(world: World) -> None:
    policies = {"first": "hook-succeeded", "a-none": "before-hook-creation,hook-failed"}
    values = {"policies": policies, "failing": True}
    world.deploy("weights", values)
    with pytest.raises(CommandError, match="a-none"):
        world.install("weights", values)
    status = world.condition("Stalled", "True")

    message = next(item["message"] for item in status["conditions"] if item["type"] == "Ready")
    assert message.startswith("install retries exhausted: pre-install hook weights/templates/hooks.yaml failed: ")
    assert "pod demo-a-none-" in message
    assert "exit code 1" in message
    assert world.object("/api/v1", "configmaps", "demo") is None, "nothing is applied after a failed pre-install hook"
    assert left(world, world.ours) == left(world, world.theirs) == set()
    assert ran(world.record(1)) == [("first", "Succeeded"), ("a-none", "Failed")]
    assert ran(world.record(1)) == ran(world.record(1, world.theirs))
    assert message.removeprefix("install retries exhausted: ") in world.record(1)["info"]["description"]
    assert "failed" in world.helm("status", "demo", "--namespace", world.ours)


def test_every_event_of_a_release_s_life_runs_its_hooks(world: World) -> None:
    world.deploy("hooks")
    world.install("hooks")
    world.ready()
    world.deploy("hooks", {"image": "registry.example/hook:1.1"})
    world.upgrade("hooks", {"image": "registry.example/hook:1.1"})
    world.ready()
    world.same_objects()
    world.same_records(1)
    world.same_records(2)
    assert [name for name, _ in ran(world.record(2))] == ["hooks", "pre-upgrade", "post-upgrade"]

    removal = world.remove()
    world.helm("uninstall", "demo", "--namespace", world.theirs, "--wait")
    removal()
    # helm leaves the objects of hooks behind whose policy does not take them
    world.same_objects()
    assert world.object(JOBS, "jobs", "demo-post-upgrade") is not None


def fail(world: World, event: str) -> World:
    """A hook fails on both sides."""
    act = world.install
    if event.endswith("upgrade"):
        world.deploy("hooks")
        world.install("hooks")
        world.ready()
        act = world.upgrade
    world.deploy("hooks", {"failing": event})
    with pytest.raises(CommandError, match=event):
        act("hooks", {"failing": event})
    world.condition("Stalled", "True")
    return world


@pytest.fixture(scope="module")
def failed(new_world: NewWorld) -> Iterator[Mapping[str, Future[World]]]:
    with ahead(new_world, EVENTS, fail) as results:
        yield results


@pytest.mark.parametrize("event", EVENTS)
def test_a_failure_of_any_event_leaves_what_helm_leaves(event: str, failed: Mapping[str, Future[World]]) -> None:
    world = failed[event].result()

    assert world.revisions() == world.revisions(world.theirs)
    revision, status = world.revisions()[-1]
    assert (revision, status) == (2 if event.endswith("upgrade") else 1, "failed")
    assert ran(world.record(revision)) == ran(world.record(revision, world.theirs))
    assert ran(world.record(revision))[-1] == (event, "Failed")
    world.same_objects()


def test_a_failing_pre_delete_hook_keeps_the_release(world: World) -> None:
    world.deploy("hooks", {"failing": "pre-delete"})
    world.ready()

    world.cluster.request("DELETE", f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{world.ours}/helmreleases/demo")
    status = world.condition("Ready", "False", containing="pre-delete hook hooks/templates/jobs.yaml failed")

    found = {item["type"]: item for item in status["conditions"]}
    assert "exit code 1" in found["Ready"]["message"]
    assert found["Ready"]["reason"] == found["Released"]["reason"] == "UninstallFailed"
    assert world.object("/api/v1", "configmaps", "demo") is not None
    assert world.revisions() == [(1, "uninstalling")]
    world.patch_spec(uninstall={"disableHooks": True})
    world.until(lambda: world.revisions() == [], "it is uninstalled without its hooks")
