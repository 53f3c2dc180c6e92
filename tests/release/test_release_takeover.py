"""What tells an object that was there before its release from one that a revision has made: pure decisions."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.ownership import owned, taken_over, taken_over_in
from gitsync.release.action.takeover import History, Predecessors, why_kept
from gitsync.release.revision import ReleaseRef
from gitsync.release.storage.record import FAILURE, TESTS, Status, Summary
from gitsync.release.storage.recordstore import last_good

REF = ReleaseRef("redis", "apps", "apps")
OBJECT: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "apps"}}
OURS = owned(OBJECT, "redis", "apps")
KEY = ObjectKey.of(OBJECT)


def noted(live: Manifest, *, revision: int, good: int, first: int = 0, resumed: bool = False) -> int:
    """The revision that the object is noted to have been taken over by, 0 for none; ``first`` had it first."""
    history = History()
    if first:
        history.add(first, OBJECT)
    found = Predecessors(REF, revision, history.first, good, resumed)
    return taken_over_in(found.noted(OURS, live), "redis", "apps")


def taken(revision: int, live: Manifest = OURS) -> Manifest:
    return taken_over(live, "redis", "apps", revision)


@pytest.mark.parametrize(
    ("live", "how", "expected"),
    [
        pytest.param(OBJECT, {"revision": 2, "good": 1}, 2, id="somebody else's"),
        pytest.param(OBJECT, {"revision": 3, "good": 1, "first": 2}, 3, id="not reached by the revision that failed"),
        pytest.param(OURS, {"revision": 2, "good": 1}, 2, id="ours, and stayed by a policy"),
        pytest.param(OURS, {"revision": 3, "good": 1, "first": 2}, 0, id="made by the revision that failed"),
        pytest.param(OURS, {"revision": 2, "good": 1, "resumed": True}, 0, id="made before the interruption"),
        pytest.param(taken(2), {"revision": 2, "good": 1, "resumed": True}, 2, id="taken before the interruption"),
        pytest.param(taken(2), {"revision": 3, "good": 1, "first": 2}, 2, id="taken by the revision that failed"),
        pytest.param(taken(2), {"revision": 4, "good": 3}, 4, id="kept when that was rolled back"),
        pytest.param(taken(3), {"revision": 1, "good": 0}, 1, id="kept when the release was uninstalled"),
        pytest.param(OBJECT, {"revision": 2, "good": 1, "first": 1}, 0, id="of a revision that succeeded"),
        pytest.param(taken(1), {"revision": 2, "good": 1, "first": 1}, 0, id="taken by one that succeeded"),
    ],
)
def test_what_is_noted_on_an_object(live: Manifest, how: dict[str, Any], expected: int) -> None:
    assert noted(live, **how) == expected


def test_what_only_failed_revisions_took_over_is_kept() -> None:
    assert why_kept(taken(2), ref=REF, good=1) == "was there before revision 2 took it over, which has failed"
    assert not why_kept(taken(2), ref=REF, good=2)
    assert not why_kept(OURS, ref=REF, good=0)
    assert not why_kept(taken_over(OURS, "other", "apps", 2), ref=REF, good=0)


def revision(number: int, status: Status, **annotations: str) -> Summary:
    return Summary("redis", "apps", number, status, "", annotations)


@pytest.mark.parametrize(
    ("revisions", "expected"),
    [
        ([], 0),
        ([revision(1, "superseded"), revision(2, "deployed"), revision(3, "failed")], 2),
        ([revision(1, "superseded"), revision(2, "deployed", **{TESTS: "Failed"})], 1),
        ([revision(1, "pending-install")], 0),
        ([revision(1, "uninstalling")], 1),
        ([revision(1, "uninstalling", **{FAILURE: "NotReadyInTime"})], 0),
        ([revision(1, "superseded"), revision(2, "uninstalled"), revision(3, "failed")], 0),
    ],
)
def test_the_last_good_revision(revisions: list[Summary], expected: int) -> None:
    assert last_good(revisions) == expected
