"""Passes of the Reconciler on a real API server, with records that fail to be written and a clock that is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gitsync.errors import ClusterUnavailable
from gitsync.release.storage.record import HOLDER, Record, encode
from gitsync.release.storage.store import RecordStore
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.release.reconciling import Place, Step, a_place, until

AWAY = ClusterUnavailable("the API server is away")
#: A pause is a second or more, with jitter.
PAUSE = 0.5


@pytest.fixture
async def place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    async with a_place(control_plane, namespace) as made:
        yield made


async def test_an_install_writes_its_record_before_and_after_and_a_second_pass_nothing(place: Place) -> None:
    await place.wants({"text": "one"})
    assert await place.pass_once() is None
    assert place.store.steps == [("create", "pending-install"), ("update", "deployed")]
    assert place.conditions() == {"Ready": ("True", "InstallSucceeded"), "Released": ("True", "InstallSucceeded")}
    assert await place.text() == "one"

    version = place.manifest()["metadata"]["resourceVersion"]
    assert await place.pass_once() is None
    assert place.store.steps == [("create", "pending-install"), ("update", "deployed")]
    assert place.manifest()["metadata"]["resourceVersion"] == version, "nothing is written when nothing is done"


@pytest.mark.parametrize("fault", [("create", "pending-install"), ("update", "deployed")])
async def test_an_install_whose_record_cannot_be_written_goes_on_later(fault: Step, place: Place) -> None:
    place.store.faults[fault] = AWAY
    await place.wants({"text": "one"})

    pause = await place.pass_once()
    assert pause is not None
    assert pause > PAUSE
    assert place.conditions()["Reconciling"] == ("True", "ProgressingWithRetry")
    assert place.conditions()["Ready"] == ("False", "ReconciliationFailed")
    assert not place.manifest()["status"].get("failures"), "no retry is spent"

    await place.passes()
    assert place.revisions() == [("1", "deployed")], "it goes on in the same revision"
    assert place.conditions()["Ready"] == ("True", "InstallSucceeded")
    assert await place.text() == "one"


@pytest.mark.parametrize("fault", [("create", "pending-upgrade"), ("update", "superseded"), ("update", "deployed")])
async def test_an_upgrade_whose_record_cannot_be_written_goes_on_later(fault: Step, place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    place.store.faults[fault] = AWAY
    await place.wants({"text": "two"})
    assert await place.pass_once() is not None

    await place.passes()
    assert place.revisions() == [("1", "superseded"), ("2", "deployed")]
    assert await place.text() == "two"
    assert [item["version"] for item in place.manifest()["status"]["history"]] == [2, 1]


async def test_a_failure_whose_record_cannot_be_written_is_met_again(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    place.store.faults["update", "failed"] = AWAY
    await place.wants({"broken": True})
    assert await place.pass_once() is not None
    assert place.revisions() == [("1", "deployed"), ("2", "pending-upgrade")]
    assert not place.manifest()["status"].get("upgradeFailures")

    await place.passes()
    assert place.revisions() == [("1", "deployed"), ("2", "failed")]
    assert place.manifest()["status"]["upgradeFailures"] == 1, "it counts once"
    assert place.conditions()["Stalled"] == ("True", "RetriesExceeded")


async def test_retries_are_counted_and_the_failed_upgrade_is_rolled_back_before_each(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    place.store.steps.clear()
    await place.wants({"text": "two", "broken": True}, upgrade={"remediation": {"retries": 1}})
    await place.passes()

    upgrade = [("create", "pending-upgrade"), ("update", "failed")]
    rollback = [("create", "pending-rollback"), ("update", "superseded"), ("update", "deployed")]
    trimmed = [("delete", "1")]  # maxHistory is 5, and the rollback that succeeds is the next to be kept
    written = [step for step in place.store.steps if step not in trimmed]
    assert written == [*upgrade, *rollback, *upgrade, *rollback]
    assert place.message("Stalled") == "Failed to upgrade after 2 attempt(s)"
    assert place.conditions()["Remediated"] == ("True", "RollbackSucceeded")
    assert await place.text() == "one"
    assert await place.pass_once() is None
    assert place.revisions()[-1] == ("5", "deployed"), "and then it is left alone"


async def test_an_install_that_is_to_be_retried_comes_back_after_its_interval(place: Place) -> None:
    strategy = {"strategy": {"name": "RetryOnFailure", "retryInterval": "7s"}}
    await place.wants({"broken": True}, install=strategy)
    assert await place.pass_once() == 7.0
    assert await place.pass_once() == 7.0
    assert place.revisions() == [("1", "failed"), ("2", "failed")]
    assert "Stalled" not in place.conditions()


@pytest.mark.parametrize("fault", [("create", "pending-rollback"), ("update", "superseded"), ("update", "deployed")])
async def test_a_rollback_whose_record_cannot_be_written_goes_on_later(fault: Step, place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    remediation = {"remediation": {"remediateLastFailure": True}}
    await place.wants({"text": "two", "broken": True}, upgrade=remediation)
    assert await place.pass_once() == 0.0
    place.store.faults[fault] = AWAY
    assert await place.pass_once() is not None
    assert fault not in place.store.faults

    await place.passes()
    assert place.revisions() == [("1", "superseded"), ("2", "failed"), ("3", "deployed")]
    assert place.conditions()["Remediated"] == ("True", "RollbackSucceeded")
    assert place.conditions()["Ready"] == ("False", "UpgradeFailed")
    assert await place.text() == "one"


@pytest.mark.parametrize("fault", [("update", "uninstalling"), ("delete", "1"), ("read", "1")])
async def test_an_uninstall_between_two_installs_goes_on_later(fault: Step, place: Place) -> None:
    await place.wants({"broken": True}, install={"remediation": {"retries": 1}})
    assert await place.pass_once() == 0.0
    place.store.faults[fault] = AWAY
    assert await place.pass_once() is not None
    assert fault not in place.store.faults
    assert place.manifest()["status"]["installFailures"] == 1

    await place.passes()
    assert place.message("Stalled") == "Failed to install after 2 attempt(s)"
    assert place.revisions() == [("1", "failed")]


async def test_the_order_of_a_remediation_by_uninstall_is_uninstall_then_install(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    place.store.steps.clear()
    remediation = {"retries": 0, "remediateLastFailure": True, "strategy": "uninstall"}
    await place.wants({"broken": True}, upgrade={"remediation": remediation}, uninstall={"keepHistory": True})
    await place.passes()

    assert place.store.steps == [
        ("create", "pending-upgrade"),
        ("update", "failed"),
        ("update", "uninstalling"),
        ("update", "uninstalled"),
        ("create", "pending-install"),
        ("update", "failed"),
    ]
    assert place.revisions() == [("1", "deployed"), ("2", "uninstalled"), ("3", "failed")]
    status = place.manifest()["status"]
    assert (status["upgradeFailures"], status["installFailures"]) == (1, 1)


async def test_somebody_else_s_action_is_waited_for_until_it_is_too_old(place: Place) -> None:
    await place.wants({"text": "one"})
    record = Record("app", place.namespace, 1, "pending-install", {}, {}, "")
    modified = str(int(place.now))
    await place.cluster.create(encode(record, modified=modified), manager="helm")
    await until(lambda: place.store.latest(place.namespace, "app") is not None)

    place.now += 299
    assert await place.pass_once() == 15.0
    assert place.message() == f"another operation is in progress on {place.namespace}/app"
    assert place.revisions() == [("1", "pending-install")]

    place.now += 2
    await place.passes()
    assert place.revisions() == [("1", "failed"), ("2", "deployed")]


async def test_our_own_action_that_was_cut_short_is_taken_up_again_at_once(place: Place) -> None:
    """As after a crash: the record is there, and nothing else."""
    place.store.faults["update", "deployed"] = AWAY
    await place.wants({"text": "one"})
    await place.pass_once()
    place.store.steps.clear()
    assert await place.pass_once() is None
    assert place.store.steps == [("update", "deployed")]


async def test_what_is_wanted_now_comes_after_the_end_of_what_was_cut_short(place: Place) -> None:
    place.store.faults["update", "deployed"] = AWAY
    await place.wants({"text": "one"})
    await place.pass_once()
    place.store.steps.clear()
    await place.wants({"text": "two"})
    await place.passes()
    assert place.store.steps == [("update", "failed"), ("create", "pending-upgrade"), ("update", "deployed")]
    assert place.revisions() == [("1", "failed"), ("2", "deployed")]


async def test_a_revision_of_somebody_else_that_is_what_is_wanted_is_adopted_with_one_write(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    theirs = RecordStore(place.cluster, "helm")
    record = await theirs.read(place.namespace, "app", 1)
    await theirs.update(replace(record, annotations={}), place.namespace)
    await until(lambda: HOLDER not in place.store.revisions(place.namespace, "app")[0].annotations)
    place.store.steps.clear()

    await place.passes()
    assert place.store.steps == [("mark", "deployed")]
    assert place.revisions() == [("1", "deployed")]


async def test_a_status_that_was_lost_is_written_again_from_the_record(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    place.store.steps.clear()
    lost = await place.cluster.patch(place.key, {"status": None}, manager="gitsync", subresource="status")
    place.index.update(place.key, lost)

    await place.passes()
    assert place.store.steps == []
    assert place.conditions() == {"Ready": ("True", "InstallSucceeded"), "Released": ("True", "InstallSucceeded")}
    assert [item["version"] for item in place.manifest()["status"]["history"]] == [1]


async def test_a_force_request_is_answered_once(place: Place) -> None:
    await place.wants({"broken": True})
    await place.passes()
    assert place.conditions()["Stalled"] == ("True", "RetriesExceeded")
    await place.annotate(requestedAt="a", forceAt="a")
    await place.passes()
    assert place.revisions() == [("1", "failed"), ("2", "failed")]
    await place.passes()
    assert place.revisions() == [("1", "failed"), ("2", "failed")]


async def test_a_suspended_release_costs_no_write_but_of_what_was_under_way(place: Place) -> None:
    await place.wants({"text": "one"}, suspend=True)
    version = place.manifest()["metadata"]["resourceVersion"]
    assert await place.pass_once() is None
    assert place.manifest()["metadata"]["resourceVersion"] == version
    assert place.store.steps == []

    await place.wants({"text": "one"})
    place.store.faults["update", "deployed"] = AWAY
    await place.pass_once()
    await place.wants({"text": "one"}, suspend=True)
    assert await place.pass_once() is None
    assert place.conditions()["Ready"] == ("Unknown", "Suspended")
    assert place.revisions() == [("1", "pending-install")]


async def test_a_release_that_is_refused_says_so_once_and_the_next_spec_heals_it(place: Place) -> None:
    await place.wants({"text": "one"}, kubeConfig={"configMapRef": {"name": "cloud"}})
    assert await place.pass_once() is None
    assert place.conditions() == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert place.message() == "not supported yet: spec.kubeConfig.configMapRef; remove it"
    await place.cluster.patch(place.key, {"spec": {"kubeConfig": None}}, manager="test")
    await place.wants({"text": "one"})
    await place.passes()
    assert place.conditions()["Ready"] == ("True", "InstallSucceeded")
