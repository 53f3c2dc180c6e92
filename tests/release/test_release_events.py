"""Which changes of a status are worth an Event, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gitsync.api.conditions import Said
from gitsync.api.identity import CommitInfo
from gitsync.api.status import HelmReleaseStatus
from gitsync.release.revision import CountedAction
from gitsync.release.status.builder import DeployedRevision, StatusBuilder
from gitsync.release.status.events import HINDRANCE_DELAY, cause_of, news, uninstalled
from gitsync.release.status.history import snapshot_of, succeeded
from gitsync.release.status.observed import Attempt
from gitsync.release.storage.record import Digests, Record
from gitsync.runtime.event import Event

NEW = HelmReleaseStatus()
ATTEMPT = Attempt(generation=1, revision="1.0.0", digests=Digests("sha256:c", "sha256:v"))


def writer(status: HelmReleaseStatus) -> StatusBuilder:
    """For a HelmRelease with this status."""
    metadata = {"name": "redis", "namespace": "default", "generation": 1}
    return StatusBuilder({"metadata": metadata, "status": status.patch_from(NEW)}, datetime(2026, 1, 1, tzinfo=UTC))


def record(version: int) -> Record:
    """A revision of release redis."""
    chart: dict[str, Any] = {"metadata": {"name": "redis", "version": "1.0.0"}}
    return Record("redis", "default", version, "deployed", chart=chart, config={}, manifest="")


def released(status: HelmReleaseStatus, version: int) -> HelmReleaseStatus:
    """The status after a revision was deployed."""
    made = record(version)
    action: CountedAction = "upgrade" if version > 1 else "install"
    return writer(status).released(
        DeployedRevision(succeeded(action, made), snapshot_of(made), "default", ATTEMPT, action)
    )


def test_a_deployed_revision_is_told_once_with_revision_and_chart() -> None:
    first = released(NEW, 1)

    message = "Helm install succeeded for release default/redis.v1 with chart redis@1.0.0"
    assert news(NEW, first) == [Event("Normal", "InstallSucceeded", message)]
    assert news(first, writer(first).in_sync("InstallSucceeded", "x")) == []
    assert news(first, released(first, 2)) == [
        Event(
            "Normal", "UpgradeSucceeded", "Helm upgrade succeeded for release default/redis.v2 with chart redis@1.0.0"
        )
    ]


def test_a_remediation_is_told_once_and_what_it_remediates_not_again() -> None:
    failed = writer(released(NEW, 1)).failed("upgrade", "no such image", ATTEMPT, {}, exhausted=True)
    during = writer(failed).remediating("Running 'rollback' action")
    assert news(failed, during) == []
    done = writer(during).remediated(failed, True, "RollbackSucceeded", "it is back", {})
    assert news(during, done) == [Event("Normal", "RollbackSucceeded", "it is back")]
    in_vain = writer(during).remediated(failed, False, "RollbackFailed", "no good revision", {})
    assert news(during, in_vain) == [Event("Warning", "RollbackFailed", "no good revision")]
    assert news(in_vain, writer(in_vain).still_stalled("upgrade", ATTEMPT)) == []


def test_an_uninstall_that_fails_is_told_once() -> None:
    before = released(NEW, 1)
    told = [Event("Warning", "UninstallFailed", "a hook failed")]
    for condition in ("Released", "Remediated"):
        said: Said = (condition, "False", "UninstallFailed", "a hook failed")
        status = writer(before).retrying("UninstallFailed", "a hook failed", said)
        assert news(before, status) == told
        assert news(status, writer(status).retrying("UninstallFailed", "a hook failed", said)) == []


def test_progress_is_no_news() -> None:
    first = writer(NEW).progressing("Running 'install' action with timeout of 5m0s", ATTEMPT, "install")

    assert news(NEW, first) == []
    assert news(first, writer(first).progressing("waiting for something else")) == []


def test_the_same_failure_again_has_the_same_words_until_it_is_the_last() -> None:
    first = writer(NEW).failed("install", "no such image", ATTEMPT, {}, exhausted=False)
    second = writer(first).failed("install", "no such image", ATTEMPT, {}, exhausted=False)
    third = writer(second).failed("install", "no such image", ATTEMPT, {}, exhausted=True)

    failure = Event("Warning", "InstallFailed", "no such image")
    assert news(NEW, first) == news(first, second) == [failure]
    assert news(second, third) == [Event("Warning", "InstallFailed", "install retries exhausted: no such image")]


def test_waiting_for_others_is_news_only_when_it_lasts() -> None:
    both = writer(NEW).blocked("DependencyNotReady", "dependency 'default/a' is not ready; 'default/b' is not ready")
    one = writer(both).blocked("DependencyNotReady", "dependency 'default/b' is not ready")

    (event,) = news(NEW, both)
    assert (event.kind, event.reason, event.delay) == ("Normal", "DependencyNotReady", HINDRANCE_DELAY)
    assert news(both, one) == [], "one dependency less is no news"


def test_what_needs_somebody_is_told_at_once() -> None:
    waiting = writer(NEW).blocked("DependencyNotReady", "dependency 'default/a' is not ready")
    cycle = writer(waiting).blocked("DependencyCycle", "dependency cycle: a -> b -> a")
    other = writer(cycle).blocked("DependencyCycle", "dependency cycle: a -> c -> a")
    values = writer(cycle).stalled("ValuesError", "replicas: expected integer")

    assert news(waiting, cycle) == [Event("Warning", "DependencyCycle", "dependency cycle: a -> b -> a")]
    assert news(cycle, other) == [Event("Warning", "DependencyCycle", "dependency cycle: a -> c -> a")]
    assert news(cycle, values) == [Event("Warning", "ValuesError", "replicas: expected integer")]
    assert news(values, writer(values).stalled("ValuesError", "replicas: expected integer")) == []


def test_an_uninstall_names_what_was_deployed_last() -> None:
    assert (
        uninstalled(released(NEW, 3)) == "Helm uninstall succeeded for release default/redis.v3 with chart redis@1.0.0"
    )
    assert uninstalled(NEW) == ""


def test_the_commit_is_named_as_people_write_it() -> None:
    commit = CommitInfo("3f2a91c0000000000000", author="Ann", subject="redis: persistence off")

    assert cause_of(commit) == "commit 3f2a91c by Ann: redis: persistence off"
    assert cause_of(None) == ""
