"""The state table: every combination of facts about the newest record has one state."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import get_args

import pytest

from gitsync.release.reconcile.facts import Facts
from gitsync.release.reconcile.state import FOREIGN_LOCK, State, state_of
from gitsync.release.storage.record import CHART_DIGEST, HOLDER, VALUES_DIGEST, Digests, Status, Summary

WANTED = Digests("sha256:chart", "sha256:values")
NOW = 1_000_000.0
US = "gitsync/fleet"
STATUSES: tuple[Status, ...] = get_args(Status)
#: What a record's annotations say of its content, against what is wanted.
CONTENTS: dict[str, Digests | None] = {
    "wanted": WANTED,
    "other values": Digests("sha256:chart", "sha256:other"),
    "other chart": Digests("sha256:other", "sha256:values"),
    "nothing": None,
}
HOLDERS = {"us": US, "another": "gitsync/another", "nobody": ""}
AGES = {"fresh": FOREIGN_LOCK - 1, "stale": FOREIGN_LOCK + 1}

ANY = ("*",)
OTHER = ("other values", "other chart")
THEIRS = ("another", "nobody")
ENDED = ("deployed", "failed", "superseded", "unknown")
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
Pattern = Sequence[str]
#: statuses, contents, holders, ages -> state
TABLE: list[tuple[Pattern, Pattern, Pattern, Pattern, State]] = [
    (("uninstalled",), ANY, ANY, ANY, State.ABSENT),
    (("deployed",), ("wanted",), ANY, ANY, State.IN_SYNC),
    (("failed", "superseded", "unknown"), ("wanted",), ANY, ANY, State.FAILED),
    (ENDED, OTHER, ANY, ANY, State.OUT_OF_SYNC),
    (ENDED, ("nothing",), ANY, ANY, State.UNMANAGED),
    (("pending-install", "pending-upgrade"), ("wanted",), ("us",), ANY, State.RESUMABLE),
    (("pending-install", "pending-upgrade"), (*OTHER, "nothing"), ("us",), ANY, State.INTERRUPTED),
    (("pending-rollback",), ("wanted", *OTHER), ("us",), ANY, State.ROLLING_BACK),
    (("pending-rollback",), ("nothing",), ("us",), ANY, State.INTERRUPTED),
    (("uninstalling",), ANY, ("us",), ANY, State.UNINSTALLING),
    (PENDING, ANY, THEIRS, ("fresh",), State.LOCKED),
    (PENDING, ANY, THEIRS, ("stale",), State.STALE_LOCK),
]


def summary(status: Status, content: Digests | None, holder: str = "", age: float = 0.0) -> Summary:
    annotations = {HOLDER: holder} if holder else {}
    if content is not None:
        annotations |= {CHART_DIGEST: content.chart, VALUES_DIGEST: content.values}
    return Summary("redis", "default", 3, status, str(int(NOW - age)), annotations)


def state(latest: Summary | None, timeout: float = 60.0) -> State:
    return state_of(Facts(newest=latest, wanted=WANTED, holders=frozenset({US}), now=NOW, timeout=timeout))


def matches(patterns: Sequence[Pattern], facts: Sequence[str]) -> bool:
    return all(pattern == ANY or fact in pattern for pattern, fact in zip(patterns, facts, strict=True))


@pytest.mark.parametrize("status", STATUSES)
def test_every_combination_of_facts_gives_the_one_state_of_the_table(status: Status) -> None:
    for content, holder, age in itertools.product(CONTENTS, HOLDERS, AGES):
        facts = (status, content, holder, age)
        rows = [row for row in TABLE if matches(row[:4], facts)]
        assert len(rows) == 1, f"{len(rows)} rows of the table are about {facts}"
        assert state(summary(status, CONTENTS[content], HOLDERS[holder], AGES[age])) is rows[0][4], facts


def test_without_a_record_there_is_no_release() -> None:
    assert state(None) is State.ABSENT


def test_a_foreign_lock_is_respected_for_as_long_as_its_action_may_take() -> None:
    lock = summary("pending-upgrade", None, age=FOREIGN_LOCK + 1)
    assert state(lock, timeout=3600.0) is State.LOCKED


def test_a_lock_without_a_time_is_stale() -> None:
    assert state(Summary("redis", "default", 3, "pending-upgrade", "", {})) is State.STALE_LOCK


@pytest.mark.parametrize(
    ("same", "expected"), [(None, State.UNMANAGED), (True, State.UNMANAGED), (False, State.OUT_OF_SYNC)]
)
def test_a_record_of_somebody_else_is_out_of_sync_when_its_payload_is_another(
    same: bool | None, expected: State
) -> None:
    facts = Facts(newest=summary("deployed", None), wanted=WANTED, holders=frozenset({US}), now=NOW, same_content=same)
    assert state_of(facts) is expected
