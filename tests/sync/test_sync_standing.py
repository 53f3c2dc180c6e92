"""How the sync of the settings stands, and what of that is news."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.errors import (
    ApiError,
    ClusterUnavailable,
    GitUnavailable,
    KindUnknown,
    ManifestError,
    NotVerified,
    ObjectFailed,
)
from gitsync.manifests import Desired
from gitsync.runtime.event import Event
from gitsync.sync.apply import SyncResult
from gitsync.sync.owner import Owner
from gitsync.sync.rootevents import RootEvents
from gitsync.sync.standing import Standing, source_failed, sync_began, sync_ended, sync_failed

COMMIT = CommitInfo("a" * 40, "Ada", "a change")
REVISION = f"main@sha1:{COMMIT.id}"
DESIRED = Desired(COMMIT, {})


def ended(result: SyncResult, desired: Desired = DESIRED) -> Standing:
    return sync_ended(desired, result, REVISION)


def test_a_commit_that_is_applied_says_so_and_whether_it_changes_anything() -> None:
    changed, same = ended(SyncResult("succeeded", changed=True)), ended(SyncResult("succeeded"))
    assert (changed.reason, changed.message) == ("ReconciliationSucceeded", f"Applied revision: {REVISION}")
    assert not changed.is_failure
    assert (changed.quiet, same.quiet) == (False, True)
    assert (changed.commit, changed.revision) == (COMMIT, REVISION)


def test_what_many_objects_fail_for_is_said_once() -> None:
    kinds = [KindUnknown(f"the API server serves no kind {kind}", group="e.io", kind=kind) for kind in ("A", "A", "B")]
    same = [ApiError("no room", status=507, reason="NoRoom", verb="apply") for _ in range(2)]
    found = ended(SyncResult("failed", problems=(*kinds, *same)))
    assert found.message == "the API server does not serve the kinds of 3 objects: A.e.io, B.e.io, no room"
    assert ended(SyncResult("failed", problems=(kinds[0],))).message == "the API server serves no kind A"


def test_releases_that_fail_say_so_themselves() -> None:
    assert not ended(SyncResult("failed", changed=True)).is_failure


@pytest.mark.parametrize(
    ("standing", "reason", "message"),
    [
        (ended(SyncResult("failed", problems=(ApiError("refused", status=422),))), "ReconciliationFailed", "refused"),
        (ended(SyncResult("failed", unready=(ObjectFailed("no pod"),))), "HealthCheckFailed", "no pod"),
        (ended(SyncResult("held", why="it deletes 20 objects")), "CommitHeld", "it deletes 20 objects"),
        (
            ended(
                SyncResult("failed"),
                Desired(COMMIT, {}, errors=(ManifestError("no name", origin=Origin("a.yaml", 1, 1)),) * 2),
            ),
            "BuildFailed",
            "a.yaml:1:1: no name (and 1 more)",
        ),
        (sync_failed(ApiError("not allowed", status=403), COMMIT, REVISION), "ReconciliationFailed", "not allowed"),
        (source_failed(GitUnavailable("the server is away")), "ArtifactFailed", "the server is away"),
        (source_failed(NotVerified("no signature")), "VerificationError", "no signature"),
    ],
)
def test_what_keeps_a_commit_from_being_applied(standing: Standing, reason: str, message: str) -> None:
    assert standing.is_failure
    assert standing.reason == reason
    assert message in standing.message


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[Manifest, Event]] = []

    def record(self, about: Manifest, event: Event) -> None:
        self.events.append((about, event))

    def take(self) -> list[tuple[str, str, bool]]:
        found: list[tuple[str, str, bool]] = [(event.kind, event.reason, event.quiet) for _, event in self.events]
        self.events.clear()
        return found


def told(recorder: Any, *, is_shown: bool = False) -> RootEvents:
    return RootEvents(recorder, Owner("fleet", "gitsync-system", "", ""), lambda: is_shown)


def test_news_are_told_of_a_kustomization_that_has_the_name_of_the_sync() -> None:
    recorder = Recorder()
    told(recorder).tell(ended(SyncResult("succeeded", changed=True)))
    ((about, event),) = recorder.events
    assert ObjectKey.of(about) == ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", "gitsync-system", "fleet")
    assert (event.commit, event.revision) == (COMMIT, REVISION)


def test_the_same_is_told_once_and_that_it_is_over_as_well() -> None:
    recorder = Recorder()
    events, away = told(recorder), source_failed(GitUnavailable("away"))
    for standing in (None, ended(SyncResult("succeeded")), away, away, ended(SyncResult("succeeded"))):
        events.tell(standing)
    assert recorder.take() == [
        ("Normal", "ReconciliationSucceeded", True),  # at a start nothing is told anew
        ("Warning", "ArtifactFailed", False),
        ("Normal", "ReconciliationSucceeded", False),
    ]


def test_that_a_commit_is_begun_only_those_are_told_who_follow_how_it_stands() -> None:
    recorder = Recorder()
    events = told(recorder)
    events.begin(sync_began(COMMIT, REVISION))
    events.tell(ended(SyncResult("succeeded", changed=True)))
    assert recorder.take() == [("Normal", "Progressing", True), ("Normal", "ReconciliationSucceeded", False)]
    told(recorder, is_shown=True).begin(sync_began(COMMIT, REVISION))
    assert recorder.events == []


def test_what_mostly_passes_has_to_last() -> None:
    recorder = Recorder()
    told(recorder).tell(sync_failed(ClusterUnavailable("away"), COMMIT, REVISION))
    ((_, event),) = recorder.events
    assert event.delay > 0


def test_where_an_object_stands_for_the_sync_that_tells() -> None:
    recorder = Recorder()
    told(recorder, is_shown=True).tell(ended(SyncResult("succeeded", changed=True)))
    assert recorder.events == []
