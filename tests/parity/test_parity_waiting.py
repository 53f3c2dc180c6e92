"""`kubectl wait` and kstatus: a HelmRelease says of which generation it is ready, and that something is under way."""

from __future__ import annotations

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.errors import CommandError
from tests.parity.looking import conditions
from tests.parity.world import World


def test_kubectl_waits_for_the_generation_that_is_wanted_now(world: World, kubectl: Cli) -> None:
    def wait(timeout: str) -> None:
        place = ("helmrelease/demo", "--namespace", world.ours)
        kubectl("wait", "--for=condition=ready", *place, f"--timeout={timeout}", timeout=200)

    world.deploy("plain", {"text": "before"})
    wait("120s")
    assert world.revisions() == [(1, "deployed")]

    # Nobody looks at it, so that its Ready=True goes on being of the generation before.
    world.patch_spec(suspend=True)
    assert conditions(world)["Ready"]["status"] == "True"
    with pytest.raises(CommandError, match="timed out"):
        wait("2s")

    world.deploy("plain", {"text": "after", "image": "registry.example/app:nonexistent"})
    underway = world.condition("Reconciling", "True", containing="Running 'upgrade' action with timeout of 30s")
    generation = world.helm_release()["metadata"]["generation"]
    for item in underway["conditions"]:
        if item["type"] in ("Ready", "Reconciling"):
            assert item["observedGeneration"] == generation
    assert next(item["status"] for item in underway["conditions"] if item["type"] == "Ready") == "Unknown"
    with pytest.raises(CommandError, match="timed out"):
        wait("1s")

    world.deploy("plain", {"text": "after"})
    wait("120s")
    assert world.revisions()[-1][1] == "deployed"
    assert world.revisions()[-1][0] > 1
    assert set(conditions(world)) == {"Ready", "Released"}


def test_one_that_is_suspended_while_something_is_under_way_says_so_and_goes_on_when_resumed(
    world: World,
) -> None:
    world.deploy("plain", {"image": "registry.example/app:nonexistent"}, timeout="10m")
    world.condition("Reconciling", "True", containing="waiting for Deployment/")

    world.patch_spec(suspend=True)
    status = world.condition("Ready", "Unknown", containing="suspended; before that: Running 'install' action")
    assert [item["reason"] for item in status["conditions"]] == ["Suspended"], "and nothing is under way"

    world.deploy("plain")
    assert {item["type"] for item in world.ready()["conditions"]} == {"Ready", "Released"}
