"""Passes of the Reconciler on a real API server, with records that fail to be written and a clock that is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gitsync.api.names import SYNC_LABEL, SYNC_NAMESPACE_LABEL
from gitsync.errors import ClusterUnavailable
from gitsync.release.storage.record import HOLDER, Record, encode
from gitsync.release.storage.recordstore import RecordStore
from gitsync.sources.resolve.artifacts import Artifacts, Head
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.release.reconciling import Place, Step, a_place
from tests.until import until

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


async def test_a_status_that_was_not_written_when_the_install_was_done_is_made_up_for(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    newest, *_ = place.manifest()["status"]["history"]
    body = {"status": {"history": [{**newest, "status": "pending-install", "digest": ""}]}}
    place.index.update(place.key, await place.cluster.patch(place.key, body, manager="test", subresource="status"))

    await place.passes()
    assert place.manifest()["status"]["history"] == [newest]
    assert place.revisions() == [("1", "deployed")]


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


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        ({SYNC_LABEL: "fleet"}, True),  # as gitsync 0.1 has left it
        ({SYNC_LABEL: "fleet", SYNC_NAMESPACE_LABEL: "gitsync-system"}, True),
        ({SYNC_LABEL: "fleet", SYNC_NAMESPACE_LABEL: "elsewhere"}, False),
        ({SYNC_LABEL: "other"}, False),
        ({}, False),
    ],
)
async def test_an_action_of_gitsync_0_1_is_taken_up_at_once_where_the_release_is_of_this_agent_s_sync(
    labels: dict[str, str], ours: bool, place: Place
) -> None:
    """As when gitsync is upgraded in the middle of a release."""
    place.store.holder = "gitsync/fleet"
    place.store.faults["update", "deployed"] = AWAY
    await place.wants({"text": "one"})
    await place.pass_once()
    place.store.holder = "gitsync/gitsync-system/fleet"
    labelled = await place.cluster.patch(place.key, {"metadata": {"labels": labels}}, manager="test")
    place.index.update(place.key, labelled)

    newest = place.store.latest(place.namespace, "app")
    assert newest is not None
    place.now = float(newest.modified)
    await place.pass_once()
    assert place.revisions() == [("1", "deployed" if ours else "pending-install")]


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
    source = {"kind": "HelmRepository", "name": "charts"}
    signed = {"spec": {"chart": "app", "sourceRef": source, "verify": {"provider": "notation"}}}
    await place.wants({"text": "one"}, chart=signed)
    assert await place.pass_once() is None
    assert place.conditions() == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert place.message() == "not supported yet: spec.chart.spec.verify.provider; remove it"
    await place.cluster.patch(place.key, {"spec": {"chart": {"spec": {"verify": None}}}}, manager="test")
    await place.wants({"text": "one"})
    await place.passes()
    assert place.conditions()["Ready"] == ("True", "InstallSucceeded")


async def test_each_change_of_suspend_is_one_line_and_what_is_waited_for_is_said_again(place: Place) -> None:
    with capture_logs() as lines:
        for _ in range(2):
            await place.wants({"text": "one"}, dependsOn=[{"name": "nosuch"}])
            await place.passes()
            await place.wants({"text": "one"}, dependsOn=[{"name": "nosuch"}], suspend=True)
            await place.passes()
            await place.passes()
    missing = f"dependency '{place.namespace}/nosuch' does not exist"
    said = [line["event"] for line in lines if line["log_level"] != "debug"]
    assert said == [missing, "release is suspended", "release is resumed", missing, "release is suspended"]


async def test_what_is_mended_without_a_new_revision_is_said_once_with_how_long_it_lasted(place: Place) -> None:
    await place.wants({"text": "one"})
    await place.passes()
    with capture_logs() as lines:
        await place.wants({"text": "one", "fail": True})
        await place.passes()
        assert place.conditions()["Ready"] == ("False", "ArtifactFailed")
        await place.wants({"text": "one"})
        await place.passes()
        missing = [{"kind": "ConfigMap", "name": "nosuch"}]
        await place.wants({"text": "one"}, valuesFrom=missing)
        await place.passes()
        await place.wants({"text": "one"}, valuesFrom=[{**missing[0], "optional": True}])
        await place.passes()
    assert place.revisions() == [("1", "deployed")]
    said = [line["event"] for line in lines if line["log_level"] != "debug"]
    assert said[0] == "release failed"
    assert said[2].endswith("does not exist")
    assert said[1::2] == ["release is ready again"] * 2
    assert all(line["after"].endswith("s") for line in lines if line["event"] == "release is ready again")


async def test_no_retry_is_left_until_anything_that_the_release_is_made_of_changes(place: Place) -> None:
    with capture_logs() as lines:
        await place.wants({"broken": True})
        await place.passes()
    (failed,) = [line for line in lines if line["event"] == "install retries exhausted"]
    assert failed["hint"] == "the next change of this release, its chart or its values tries again"


async def test_a_release_that_waits_for_the_first_commit_says_so_in_its_status_and_not_in_the_log(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.wants({"text": "one"})
    place.charts.artifacts = artifacts = Artifacts()
    artifacts.add("fleet", Head("https://git.example/fleet"))
    with capture_logs() as lines:
        pause = await place.pass_once()
        assert pause is not None
        assert "Ready" not in place.conditions(), "it is too early for a word"
        monkeypatch.setattr(artifacts, "_since", -1e9)
        assert await place.pass_once() is None, "the commit wakes it"
    assert place.message() == "no commit of the repository has been carried out yet"
    assert not [line for line in lines if line["log_level"] != "debug"]

    place.charts.artifacts = None
    await place.passes()
    assert place.conditions()["Ready"] == ("True", "InstallSucceeded")
