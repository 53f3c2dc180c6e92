"""The state table: every combination of facts has one state, and every state one action."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, get_args

import pytest

from gitsync.release.reconcile.state import FOREIGN_LOCK, NextAction, State, Tries, decide, state_of
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
    return state_of(latest, WANTED, holder=US, now=NOW, timeout=timeout)


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


#: The states whose action does not depend on what failed before.
ALWAYS = {
    State.IN_SYNC: NextAction.NOTHING,
    State.UNTESTED: NextAction.TEST,
    State.UNMANAGED: NextAction.COMPARE,
    State.RESUMABLE: NextAction.RESUME,
    State.INTERRUPTED: NextAction.UNLOCK,
    State.LOCKED: NextAction.WAIT,
    State.STALE_LOCK: NextAction.UNLOCK,
}
Fact = bool | str | None
#: any failure, a try is left, the last one is remedied too, strategy, its rollback failed (None: whatever) -> action
DEPENDS: dict[State, list[tuple[Fact, Fact, Fact, Fact, Fact, NextAction]]] = {
    State.ABSENT: [
        (False, None, None, None, None, NextAction.INSTALL),
        (True, True, None, None, None, NextAction.INSTALL),
        (True, False, None, None, None, NextAction.STALL),
    ],
    State.OUT_OF_SYNC: [
        (False, None, None, None, None, NextAction.UPGRADE),
        (True, True, None, None, None, NextAction.UPGRADE),
        (True, False, None, "none", None, NextAction.UPGRADE),
        (True, False, None, "uninstall", None, NextAction.UPGRADE),
        (True, False, None, "rollback", None, NextAction.STALL),
    ],
    State.ROLLING_BACK: [
        (False, None, None, None, None, NextAction.UNLOCK),
        (True, None, None, "none", None, NextAction.UNLOCK),
        (True, None, None, "uninstall", None, NextAction.UNLOCK),
        (True, None, None, "rollback", None, NextAction.ROLLBACK_AND_RETRY),
    ],
    State.UNINSTALLING: [
        (False, None, None, None, None, NextAction.UNLOCK),
        (True, None, None, "none", None, NextAction.UNLOCK),
        (True, None, None, "rollback", None, NextAction.UNLOCK),
        (True, None, None, "uninstall", None, NextAction.UNINSTALL_AND_RETRY),
    ],
    State.FAILED: [
        (None, True, None, "none", None, NextAction.RETRY),
        (None, True, None, "uninstall", None, NextAction.UNINSTALL_AND_RETRY),
        (None, True, None, "rollback", False, NextAction.ROLLBACK_AND_RETRY),
        (None, True, None, "rollback", True, NextAction.RETRY),
        (True, False, None, "none", None, NextAction.STALL),
        (True, False, False, "uninstall", None, NextAction.STALL),
        (True, False, True, "uninstall", None, NextAction.UNINSTALL_AND_RETRY),
        (True, False, False, "rollback", None, NextAction.STALL),
        (True, False, True, "rollback", False, NextAction.ROLLBACK_AND_RETRY),
        (True, False, True, "rollback", True, NextAction.STALL),
    ],
}
EVERY_TRIES = [
    Tries(*facts)  # type: ignore[arg-type]
    for facts in itertools.product(
        ("install", "upgrade"),
        (0, 1, 2, 9),
        (-1, 0, 1, 5),
        (False, True),
        ("none", "uninstall", "rollback"),
        (False, True),
    )
]


def expected(state: State, tries: Tries) -> NextAction:
    """What the table says."""
    if state in ALWAYS:
        return ALWAYS[state]
    left = tries.retries < 0 or tries.failures <= tries.retries
    facts: list[Any] = [tries.failures > 0, left, tries.remediate_last, tries.strategy, tries.rollback_failed]
    rows = [
        row
        for row in DEPENDS[state]
        if all(wanted is None or wanted == fact for wanted, fact in zip(row[:5], facts, strict=True))
    ]
    assert len(rows) == 1, f"{len(rows)} rows of the table are about {state}, {tries}"
    return rows[0][5]


@pytest.mark.parametrize("state", State)
def test_every_state_has_the_one_action_of_the_table_whatever_failed_before(state: State) -> None:
    for tries in EVERY_TRIES:
        assert decide(state, tries) is expected(state, tries), tries


def test_every_action_follows_from_some_state() -> None:
    taken = {decide(state, tries) for state in State for tries in EVERY_TRIES}
    assert taken == set(NextAction)


def test_whoever_has_no_try_left_changes_the_cluster_only_to_remedy() -> None:
    for tries in (tries for tries in EVERY_TRIES if tries.failures and tries.exhausted):
        remedies = (NextAction.UNINSTALL_AND_RETRY, NextAction.ROLLBACK_AND_RETRY) if tries.remediate_last else ()
        assert decide(State.ABSENT, tries) is NextAction.STALL
        assert decide(State.FAILED, tries) in (NextAction.STALL, *remedies)
