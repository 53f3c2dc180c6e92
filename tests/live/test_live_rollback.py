"""Which revision a rollback goes back to."""

from __future__ import annotations

import pytest

from gitsync.errors import ReleaseError
from gitsync.live.rollback import choose
from gitsync.release.revision import ReleaseRef
from gitsync.release.storage.record import TESTS, Status, Summary

REDIS = ReleaseRef("redis", "default", "default")


def revisions(*statuses: Status, failed_tests: int = 0) -> list[Summary]:
    """Revisions 1, 2, ... with these statuses; those of ``failed_tests`` failed."""
    return [
        Summary("redis", "default", number, status, "", {TESTS: "Failed"} if number == failed_tests else {})
        for number, status in enumerate(statuses, 1)
    ]


@pytest.mark.parametrize(
    ("known", "wanted", "chosen"),
    [
        (revisions("superseded", "deployed"), 0, 1),
        (revisions("superseded", "superseded", "deployed"), 0, 2),
        (revisions("superseded", "failed", "deployed"), 0, 1),
        (revisions("superseded", "deployed", "failed"), 0, 2),
        (revisions("superseded", "superseded", "deployed", failed_tests=2), 0, 1),
        (revisions("superseded", "superseded", "deployed"), 1, 1),
        (revisions("superseded", "failed", "deployed"), 2, 2),
        (revisions("deployed", "failed"), 2, 2),
    ],
)
def test_the_revision_asked_for_or_the_last_good_one(known: list[Summary], wanted: int, chosen: int) -> None:
    assert choose(REDIS, known, wanted).version == chosen


@pytest.mark.parametrize(
    ("known", "wanted", "complaint"),
    [
        ([], 0, "default/redis has no revision to roll back to: nothing was installed"),
        (revisions("deployed"), 0, "default/redis has no good revision before 1"),
        (revisions("failed", "deployed"), 0, "default/redis has no good revision before 2"),
        (revisions("superseded", "pending-upgrade"), 1, "revision 2 is pending-upgrade"),
        (revisions("superseded", "deployed"), 3, "default/redis has no revision 3"),
        (revisions("superseded", "deployed"), 2, "revision 2 of default/redis is deployed: nothing to roll back to"),
        (revisions("uninstalled", "deployed"), 1, "revision 1 of default/redis is uninstalled"),
    ],
)
def test_what_cannot_be_gone_back_to_is_refused(known: list[Summary], wanted: int, complaint: str) -> None:
    with pytest.raises(ReleaseError) as raised:
        choose(REDIS, known, wanted)
    assert complaint in raised.value.message
