"""A HelmRelease's status from turn to turn: conditions, counters, what is handled, and no change without a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gitsync.api.conditions import find_condition, is_ready
from gitsync.api.identity import Manifest
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    FORCE_AT_ANNOTATION,
    READY,
    RECONCILING,
    RELEASED,
    REQUESTED_AT_ANNOTATION,
    RESET_AT_ANNOTATION,
    STALLED,
)
from gitsync.api.status import Condition, HelmReleaseStatus, Snapshot
from gitsync.release.status.builder import DeployedRevision, StatusBuilder
from gitsync.release.status.history import MAX_SNAPSHOTS, history, running, snapshot_of, succeeded
from gitsync.release.status.observed import Attempt
from gitsync.release.storage.record import CHART_DIGEST, VALUES_DIGEST, Digests, Record, Status

NEW = HelmReleaseStatus()
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
ATTEMPT = Attempt(1, "17.3.14", Digests("sha256:chart", "sha256:values"))
RECORD = Record(
    name="redis",
    namespace="default",
    version=1,
    status="deployed",
    chart={"metadata": {"name": "redis", "version": "17.3.14", "appVersion": "7.0"}},
    config={},
    manifest="",
    first_deployed="2026-11-23T06:00:00.123456Z",
    last_deployed="2026-11-23T06:30:00Z",
    annotations={VALUES_DIGEST: "sha256:values"},
)
REVISION = DeployedRevision(succeeded("install", RECORD), snapshot_of(RECORD), "default", ATTEMPT, "install")


def writer(
    status: HelmReleaseStatus | None = None,
    notes: dict[str, str] | None = None,
    *,
    generation: int = 1,
    later: float = 0.0,
) -> StatusBuilder:
    """On a HelmRelease with this status, ``later`` seconds after NOW."""
    metadata: Manifest = {"name": "redis", "namespace": "default", "generation": generation, "annotations": notes or {}}
    return StatusBuilder(
        {"metadata": metadata, "status": status.patch_from(NEW) if status else {}}, NOW + timedelta(seconds=later)
    )


def said(status: HelmReleaseStatus) -> dict[str, tuple[str, str]]:
    """Condition -> status and reason."""
    return {item.type: (item.status, item.reason) for item in status.conditions}


def message(status: HelmReleaseStatus, kind: str = READY) -> str:
    return condition(status, kind).message


def condition(status: HelmReleaseStatus, kind: str) -> Condition:
    found = find_condition(status.conditions, kind)
    assert found is not None
    return found


def snapshot(version: int, status: Status) -> Snapshot:
    return snapshot_of(replace(RECORD, version=version, status=status))


def deployed(status: HelmReleaseStatus | None = None) -> HelmReleaseStatus:
    """After an install that went well."""
    return writer(status).released(REVISION)


def failed(
    status: HelmReleaseStatus | None = None, *, exhausted: bool = False, attempt: Attempt = ATTEMPT
) -> HelmReleaseStatus:
    return writer(status).failed("install", "Job failed", attempt, {}, exhausted=exhausted)


@pytest.mark.parametrize(
    ("chart", "shown"),
    [
        ("sha256:manifest+sha256:layer", "sha256:manifest"),
        ("latest@sha256:files+content", "latest@sha256:files"),
        ("git:content+3f2a91c", ""),
        ("git:content", ""),
        ("sha256:archive", ""),
    ],
    ids=["OCIRepository", "ExternalArtifact", "a revision of Git", "Git", "HelmRepository"],
)
def test_a_revision_shows_the_digest_of_the_artifact_that_its_chart_came_in(chart: str, shown: str) -> None:
    record = replace(RECORD, annotations={**RECORD.annotations, CHART_DIGEST: chart})
    assert snapshot_of(record).oci_digest == shown


def test_an_action_under_way_is_progressing_and_neither_ready_nor_not() -> None:
    status = writer(failed(exhausted=True)).progressing(running("install", 300.0), ATTEMPT, "install")

    assert said(status)[READY] == ("Unknown", "Progressing")
    assert said(status)[RECONCILING] == ("True", "Progressing")
    assert STALLED not in said(status)
    assert message(status) == "Running 'install' action with timeout of 5m0s"
    assert status.last_attempted_revision == "17.3.14"
    assert status.last_attempted_release_action == "install"


def test_a_deployed_release_is_ready_in_flux_s_words() -> None:
    status = deployed(writer().progressing("x", ATTEMPT, "install"))

    assert said(status) == {READY: ("True", "InstallSucceeded"), RELEASED: ("True", "InstallSucceeded")}
    words = "Helm install succeeded for release default/redis.v1 with chart redis@17.3.14"
    assert message(status) == f"Release reconciliation succeeded: {words}"
    assert message(status, RELEASED) == words
    assert is_ready({"metadata": {"generation": 1}, "status": status.patch_from(NEW)})


def test_history_tells_of_each_revision_newest_first_and_forgets_the_oldest() -> None:
    status = deployed()
    assert status.patch_from(NEW)["history"][0] | {"digest": ""} == {
        "apiVersion": "gitsync.dev/v1",
        "name": "redis",
        "namespace": "default",
        "version": 1,
        "status": "deployed",
        "digest": "",
        "configDigest": "sha256:values",
        "chartName": "redis",
        "chartVersion": "17.3.14",
        "appVersion": "7.0",
        "firstDeployed": "2026-11-23T06:00:00Z",
        "lastDeployed": "2026-11-23T06:30:00Z",
    }

    snapshots: tuple[Snapshot, ...] = ()
    for version in range(1, MAX_SNAPSHOTS + 3):
        snapshots = history(snapshots, snapshot(version, "deployed"))
    assert [item.version for item in snapshots] == [7, 6, 5, 4, 3]
    assert [item.status for item in snapshots] == ["deployed", *["superseded"] * 4]


def test_a_failed_revision_supersedes_nothing_and_the_last_good_one_is_never_forgotten() -> None:
    snapshots: tuple[Snapshot, ...] = (snapshot(1, "deployed"),)
    for version in range(2, MAX_SNAPSHOTS + 4):
        snapshots = history(snapshots, snapshot(version, "failed"))
    assert [item.version for item in snapshots] == [8, 7, 6, 5, 1]
    assert snapshots[-1] == snapshot(1, "deployed")


def test_a_release_that_is_installed_anew_has_no_history() -> None:
    old = HelmReleaseStatus(history=(snapshot(3, "uninstalled"),))
    assert [item.version for item in writer(old).with_revision(snapshot_of(RECORD), "default")["history"]] == [1]


def test_a_remediated_failure_goes_on_being_one_and_says_how_it_was_remediated() -> None:
    before = failed(deployed(), exhausted=True)
    during = writer(before).remediating("Running 'rollback' action")
    assert said(during)[RECONCILING] == ("True", "Progressing")
    assert said(during)[READY] == ("False", "InstallFailed")
    assert STALLED not in said(during)

    done = writer(during).remediated(before, True, "RollbackSucceeded", "it is back", {"history": ()})
    assert said(done) == said(before) | {"Remediated": ("True", "RollbackSucceeded")}
    assert (done.failures, done.history) == (1, ())

    not_done = writer(during).remediated(before, False, "RollbackFailed", "no good revision", {})
    assert said(not_done)["Remediated"] == ("False", "RollbackFailed")
    assert (not_done.failures, not_done.install_failures) == (2, 1), "no retry is spent on a rollback"
    assert writer(not_done).remediation_failed("RollbackFailed")
    assert not writer(done).remediation_failed("RollbackFailed")

    assert "Remediated" not in said(failed(not_done)), "the next failure may be remediated"
    assert "Remediated" not in said(deployed(done))
    back = writer(done).in_sync("UpgradeSucceeded", "what was rolled back to is what is wanted")
    assert said(back) == {READY: ("True", "UpgradeSucceeded"), RELEASED: ("True", "UpgradeSucceeded")}


def test_a_release_without_a_retry_left_says_so_again_when_something_else_is_over() -> None:
    stalled = failed(failed(), exhausted=True)
    assert writer(stalled, later=60).still_stalled("install", ATTEMPT) == stalled
    for alongside in (
        writer(stalled).retrying("SourceNotReady", "the repository is down"),
        writer(stalled).remediating("Running 'rollback' action"),
        writer(stalled).blocked("DependencyNotReady", "a is not ready"),
    ):
        after = writer(alongside).still_stalled("install", ATTEMPT)
        assert said(after) == said(stalled)
        assert message(after) == message(stalled)
        assert message(after, STALLED) == message(stalled, STALLED)


def test_an_uninstall_that_fails_is_said_by_its_condition_too() -> None:
    status = writer(deployed()).retrying(
        "UninstallFailed", "a hook failed", ("Released", "False", "UninstallFailed", "a hook failed")
    )
    assert said(status)[READY] == said(status)[RELEASED] == ("False", "UninstallFailed")
    assert said(status)[RECONCILING] == ("True", "ProgressingWithRetry")


def test_a_revision_written_again_replaces_its_snapshot() -> None:
    first = snapshot(1, "superseded")
    again = snapshot(2, "failed")
    assert history([snapshot(2, "pending-upgrade"), first], again) == (again, first)


def test_failures_are_counted_and_the_last_one_stalls() -> None:
    first = failed()
    assert said(first)[READY] == ("False", "InstallFailed")
    assert said(first)[RECONCILING] == ("True", "ProgressingWithRetry")
    assert message(first) == "Job failed (try 1, will be tried again)"

    last = failed(first, exhausted=True)

    assert said(last) == {
        READY: ("False", "InstallFailed"),
        RELEASED: ("False", "InstallFailed"),
        STALLED: ("True", "RetriesExceeded"),
    }
    assert message(last) == "install retries exhausted: Job failed"
    assert message(last, STALLED) == "Failed to install after 2 attempt(s)"
    assert (last.failures, last.install_failures) == (2, 2)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ATTEMPT, generation=2),
        replace(ATTEMPT, revision="17.3.15"),
        replace(ATTEMPT, digests=Digests("sha256:other", "sha256:values")),
        replace(ATTEMPT, digests=Digests("sha256:chart", "sha256:other")),
    ],
)
def test_failures_count_from_nothing_again_when_anything_changed(changed: Attempt) -> None:
    status = failed(failed())
    assert writer(status).failures("install", ATTEMPT) == 2

    assert writer(status, generation=changed.generation).failures("install", changed) == 0
    begun = writer(status, generation=changed.generation).progressing("x", changed, "install")
    assert (begun.failures, begun.install_failures, begun.upgrade_failures) == (0, 0, 0)
    assert failed(begun, attempt=changed).install_failures == 1


def test_failures_of_one_action_are_none_of_the_other() -> None:
    assert writer(failed()).failures("upgrade", ATTEMPT) == 0


def test_success_forgets_failures() -> None:
    status = deployed(failed(failed()))
    assert (status.failures, status.install_failures, status.upgrade_failures) == (0, 0, 0)
    assert writer(status).failures("install", ATTEMPT) == 0


def test_a_blocked_release_is_not_ready_and_goes_on_by_itself() -> None:
    status = writer(deployed()).blocked("DependencyNotReady", "dependency 'default/redis' is not ready")

    assert said(status)[READY] == ("False", "DependencyNotReady")
    assert said(status)[RECONCILING] == ("True", "Progressing")
    assert message(status) == "dependency 'default/redis' is not ready"


def test_a_fault_of_the_environment_spends_no_retry() -> None:
    status = writer(failed()).retrying("SourceNotReady", "the repository is down")

    assert said(status)[RECONCILING] == ("True", "ProgressingWithRetry")
    assert writer(status).failures("install", ATTEMPT) == 1


def test_a_stalled_release_says_that_nothing_is_under_way() -> None:
    status = writer(writer().progressing("x")).stalled("ValuesError", "replicas: got string, want integer")

    assert said(status) == {READY: ("False", "ValuesError"), STALLED: ("True", "ValuesError")}


def test_nothing_changes_when_the_same_is_said_again() -> None:
    status = deployed()
    assert writer(status, later=60).in_sync("InstallSucceeded", "other words") == status

    blocked = writer().blocked("DependencyNotReady", "a is not ready")
    assert writer(blocked, later=60).blocked("DependencyNotReady", "a is not ready") == blocked
    stalled = writer().stalled("ValuesError", "replicas")
    assert writer(stalled, later=60).stalled("ValuesError", "replicas") == stalled
    moving = writer().progressing("x", ATTEMPT, "install")
    assert writer(moving, later=60).progressing("x", ATTEMPT, "install") == moving


def test_a_release_back_in_sync_is_ready_again_and_says_since_when() -> None:
    blocked = writer(deployed()).blocked("DependencyNotReady", "a is not ready")

    status = writer(blocked, later=60).in_sync("InstallSucceeded", "Helm install succeeded")

    assert said(status)[READY] == ("True", "InstallSucceeded")
    assert RECONCILING not in said(status)
    assert condition(status, READY).last_transition_time == "2026-11-23T07:01:00Z"
    assert message(status) == "Release reconciliation succeeded: Helm install succeeded"


def test_each_turn_names_the_generation_it_saw() -> None:
    status = writer(deployed(), generation=2).in_sync("InstallSucceeded", "x")
    assert status.observed_generation == 2
    assert condition(status, READY).observed_generation == 2


def test_only_a_turn_that_ends_notes_the_commit_and_the_request_as_handled() -> None:
    notes = {COMMIT_ANNOTATION: "c2", REQUESTED_AT_ANNOTATION: "now"}
    assert not writer(NEW, notes).progressing("x").last_handled_commit
    assert not writer(NEW, notes).blocked("DependencyNotReady", "x").last_handled_commit
    assert not writer(NEW, notes).retrying("x", "x").last_handled_reconcile_at

    for status in (
        writer(NEW, notes).in_sync("x", "x"),
        writer(NEW, notes).stalled("x", "x"),
        writer(NEW, notes).failed("install", "x", ATTEMPT, {}, exhausted=True),
        writer(NEW, notes).released(REVISION),
    ):
        assert (status.last_handled_commit, status.last_handled_reconcile_at) == ("c2", "now")


def test_a_reset_forgets_failures_once_and_counts_only_together_with_a_request() -> None:
    status = failed(failed())
    alone = writer(status, {RESET_AT_ANNOTATION: "t"})
    assert alone.failures("install", ATTEMPT) == 2

    asked = writer(status, {RESET_AT_ANNOTATION: "t", REQUESTED_AT_ANNOTATION: "t"})
    assert asked.failures("install", ATTEMPT) == 0
    answered = asked.still_stalled("install", ATTEMPT)
    assert answered.last_handled_reset_at == "t"
    again = writer(answered, {RESET_AT_ANNOTATION: "t", REQUESTED_AT_ANNOTATION: "t"})
    assert not again.reset_requested


def test_force_counts_once_and_only_together_with_a_request() -> None:
    assert not writer(NEW, {FORCE_AT_ANNOTATION: "t", REQUESTED_AT_ANNOTATION: "u"}).force_requested
    asked = writer(NEW, {FORCE_AT_ANNOTATION: "t", REQUESTED_AT_ANNOTATION: "t"})
    assert asked.force_requested
    answered = asked.still_stalled("install", ATTEMPT)
    assert not writer(answered, {FORCE_AT_ANNOTATION: "t", REQUESTED_AT_ANNOTATION: "t"}).force_requested


def test_a_status_built_from_another_leaves_that_one_alone() -> None:
    before = failed()
    copy = before.model_copy(deep=True)

    deployed(before)

    assert before == copy
