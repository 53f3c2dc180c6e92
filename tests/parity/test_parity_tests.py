"""The chart's tests are run after an install or upgrade, recorded as helm records them, and a failed one counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controlplane.errors import CommandError
from tests.parity import live
from tests.parity.looking import reasons
from tests.parity.world import Status, World

ENABLED = {"enable": True, "timeout": "20s"}


def conditions(status: Status) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    return {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}


def test_hook(record: dict[str, Any]) -> dict[str, Any]:
    """The one test of chart ``hooks`` in a record."""
    (hook,) = [hook for hook in record["hooks"] if hook["events"] == ["test"]]
    return dict(hook)


test_hook.__test__ = False  # type: ignore[attr-defined]


def test_tests_run_and_are_recorded_as_helm_s_are(world: World) -> None:
    world.deploy("hooks", test=ENABLED)
    world.install("hooks")
    world.helm("test", "demo", "--namespace", world.theirs)
    status = world.ready()

    assert conditions(status) == {
        "Ready": ("True", "TestSucceeded"),
        "Released": ("True", "InstallSucceeded"),
        "TestSuccess": ("True", "TestSucceeded"),
    }
    assert status["history"][0]["testHooks"]["demo-test"]["phase"] == "Succeeded"
    assert test_hook(world.record(1))["last_run"]["phase"] == "Succeeded"
    ours, theirs = (
        test_hook(live.stored(world.cluster, place, "demo", 1)["body"]) for place in (world.ours, world.theirs)
    )
    assert not live.differences(ours, theirs)
    assert "demo-test" in world.helm("status", "demo", "--namespace", world.ours)
    world.until(lambda: reasons(world) == ["InstallSucceeded", "TestSucceeded"], "both are told")


def test_a_tested_release_is_left_alone(world: World) -> None:
    world.deploy("hooks", test=ENABLED)
    started = test_hook(world.record(1) if world.ready() else {})["last_run"]["started_at"]

    world.patch_spec(interval="2h")
    world.ready()

    assert test_hook(world.record(1))["last_run"]["started_at"] == started
    assert world.revisions() == [(1, "deployed")]


def test_a_deployed_release_that_nobody_tested_is_tested(world: World) -> None:
    """So it is after a kill between the two, and when tests are switched on."""
    world.deploy("hooks")
    assert "TestSuccess" not in conditions(world.ready())
    assert not test_hook(world.record(1))["last_run"].get("started_at")

    world.patch_spec(test=ENABLED)
    world.condition("TestSuccess", "True")

    assert test_hook(world.record(1))["last_run"]["phase"] == "Succeeded"
    assert world.revisions() == [(1, "deployed")]


def test_a_failed_test_is_a_failed_release(world: World) -> None:
    world.deploy("hooks", {"failing": "test"}, test=ENABLED, install={"remediation": {"retries": 1}})
    world.install("hooks", {"failing": "test"})
    with pytest.raises(CommandError):
        world.helm("test", "demo", "--namespace", world.theirs)
    status = world.condition("Stalled", "True")

    assert conditions(status) == {
        "Ready": ("False", "TestFailed"),
        "Released": ("True", "InstallSucceeded"),
        "TestSuccess": ("False", "TestFailed"),
        "Stalled": ("True", "RetriesExceeded"),
    }
    message = next(item["message"] for item in status["conditions"] if item["type"] == "TestSuccess")
    assert "test hook hooks/templates/test.yaml failed: " in message
    assert "exit code 1" in message
    assert status["installFailures"] == 2, "the failed install was tried again, as often as remediation says"
    assert world.revisions() == [(1, "deployed")], "what failed first was uninstalled before the second try"
    ours, theirs = (
        test_hook(live.stored(world.cluster, place, "demo", 1)["body"]) for place in (world.ours, world.theirs)
    )
    assert not live.differences(ours, theirs)
    assert status["history"][0]["testHooks"]["demo-test"]["phase"] == "Failed"


def test_an_upgrade_whose_tests_fail_is_rolled_back_to_what_passed(world: World) -> None:
    world.deploy("hooks", test=ENABLED)
    world.ready()
    remediation = {"retries": 0, "remediateLastFailure": True, "strategy": "rollback"}
    world.deploy("hooks", {"failing": "test"}, test=ENABLED, upgrade={"remediation": remediation})
    expected = [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    world.until(lambda: world.revisions() == expected, "it is rolled back", lambda: str(world.revisions()))

    assert world.record(3).get("config", {}) == {}
    world.condition("Stalled", "True")
    assert conditions(world.condition("Ready", "False"))["Ready"] == ("False", "TestFailed")


@pytest.mark.parametrize("field", ["test", "remediation"])
def test_a_failed_test_may_be_ignored(field: str, world: World) -> None:
    if field == "test":
        world.deploy("hooks", {"failing": "test"}, test={**ENABLED, "ignoreFailures": True})
    else:
        world.deploy("hooks", {"failing": "test"}, test=ENABLED, install={"remediation": {"ignoreTestFailures": True}})
    status = world.ready()

    assert conditions(status) == {
        "Ready": ("True", "InstallSucceeded"),
        "Released": ("True", "InstallSucceeded"),
        "TestSuccess": ("False", "TestFailed"),
    }
    assert test_hook(world.record(1))["last_run"]["phase"] == "Failed"
    assert world.revisions() == [(1, "deployed")]


def test_tests_may_be_left_out(world: World) -> None:
    world.deploy("hooks", {"failing": "test"}, test={**ENABLED, "filters": [{"name": "demo-test", "exclude": True}]})
    status = world.ready()

    message = next(item["message"] for item in status["conditions"] if item["type"] == "TestSuccess")
    assert message.endswith("with chart hooks@1.0.0: no test hooks")
    assert not test_hook(world.record(1))["last_run"].get("started_at")
