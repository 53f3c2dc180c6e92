"""The decision table: every state has one action, whatever failed before; and what comes before and instead of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from gitsync.errors import DependencyCycle, FieldNotSupported, GitsyncError, SourceNotReady, ValuesError
from gitsync.release.reconcile.decide import CHANGING, Decision, NextAction, Unknown, decide, made_by
from gitsync.release.reconcile.facts import ActiveRemediation, Facts
from gitsync.release.reconcile.state import State, state_of
from gitsync.release.revision import ReleaseRef
from gitsync.release.storage.record import CHART_DIGEST, HOLDER, TESTS, VALUES_DIGEST, Digests, Status, Summary

REF = ReleaseRef("redis", "default", "default")
WANTED, OTHER = Digests("chart", "values"), Digests("chart", "other")


def record(status: Status, digests: Digests | None = WANTED, **notes: str) -> Summary:
    """A newest record, changed at second 0 of the epoch. ``holder`` and ``tests`` are annotations."""
    known = {CHART_DIGEST: digests.chart, VALUES_DIGEST: digests.values} if digests else {}
    names = {"holder": HOLDER, "tests": TESTS}
    return Summary("redis", "default", 3, status, "0", known | {names[name]: note for name, note in notes.items()})


BASE = Facts(ref=REF, wanted=WANTED, holders=frozenset({"us"}), now=100.0, dependencies_ready=True, same_content=True)
#: Facts that are in each state.
IN_STATE: dict[State, Facts] = {
    State.ABSENT: BASE,
    State.RESUMABLE: replace(BASE, newest=record("pending-upgrade", holder="us")),
    State.ROLLING_BACK: replace(BASE, newest=record("pending-rollback", OTHER, holder="us")),
    State.UNINSTALLING: replace(BASE, newest=record("uninstalling", holder="us")),
    State.INTERRUPTED: replace(BASE, newest=record("pending-upgrade", OTHER, holder="us")),
    State.LOCKED: replace(BASE, newest=record("pending-upgrade")),
    State.STALE_LOCK: replace(BASE, newest=record("pending-upgrade"), now=1e6),
    State.OUT_OF_SYNC: replace(BASE, newest=record("deployed", OTHER)),
    State.FAILED: replace(BASE, newest=record("failed")),
    State.UNTESTED: replace(BASE, newest=record("deployed"), tests="counted"),
    State.UNMANAGED: replace(BASE, newest=record("deployed", None)),
    State.IN_SYNC: replace(BASE, newest=record("deployed")),
}


def action_of(facts: Facts) -> NextAction:
    """The decision, which must not need to know more."""
    decision = decide(facts)
    assert isinstance(decision, Decision), decision
    return decision.action


#: The states whose action does not depend on what failed before.
ALWAYS = {
    State.IN_SYNC: NextAction.NOTHING,
    State.UNTESTED: NextAction.TEST,
    State.UNMANAGED: NextAction.ADOPT,
    State.RESUMABLE: NextAction.RESUME,
    State.INTERRUPTED: NextAction.UNLOCK,
    State.LOCKED: NextAction.WAIT,
    State.STALE_LOCK: NextAction.UNLOCK,
}
Fact = bool | str | None
#: any failure, a retry is left, the last one is remediated too, strategy, rollback failed (None: whatever) -> action
DEPENDS: dict[State, list[tuple[Fact, Fact, Fact, Fact, Fact, NextAction]]] = {
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
EVERY_REMEDIATION = [
    ActiveRemediation(*facts)  # type: ignore[arg-type]
    for facts in itertools.product(
        ("install", "upgrade"),
        (0, 1, 2, 9),
        (-1, 0, 1, 5),
        (False, True),
        ("none", "uninstall", "rollback"),
        (False, True),
    )
]


def expected(state: State, remediation: ActiveRemediation) -> NextAction:
    """What the table says."""
    if state in ALWAYS:
        return ALWAYS[state]
    left = remediation.retries < 0 or remediation.failures <= remediation.retries
    facts: list[Any] = [
        remediation.failures > 0,
        left,
        remediation.remediate_last_failure,
        remediation.strategy,
        remediation.rollback_failed,
    ]
    rows = [
        row
        for row in DEPENDS[state]
        if all(wanted is None or wanted == fact for wanted, fact in zip(row[:5], facts, strict=True))
    ]
    assert len(rows) == 1, f"{len(rows)} rows of the table are about {state}, {remediation}"
    return rows[0][5]


@pytest.mark.parametrize("state", IN_STATE)
def test_the_facts_above_are_in_these_states(state: State) -> None:
    assert state_of(IN_STATE[state]) is state


@pytest.mark.parametrize("state", [state for state in State if state is not State.ABSENT])
def test_every_state_has_the_one_action_of_the_table_whatever_failed_before(state: State) -> None:
    for remediation in EVERY_REMEDIATION:
        assert action_of(replace(IN_STATE[state], remediation=remediation)) is expected(state, remediation), remediation


def test_a_release_that_is_absent_is_installed_unless_its_installs_are_exhausted() -> None:
    """Also after an upgrade that was remediated by an uninstall and left no retry: Flux installs anew."""
    for remediation in EVERY_REMEDIATION:
        facts = replace(BASE, remediation=remediation)
        assert action_of(facts) is NextAction.INSTALL
        assert action_of(replace(facts, install_retries_exhausted=True)) is NextAction.STALL


def test_every_action_follows_from_some_facts() -> None:
    taken = {action_of(replace(facts, remediation=item)) for facts in IN_STATE.values() for item in EVERY_REMEDIATION}
    taken |= {
        action_of(replace(BASE, suspended=True)),
        action_of(replace(BASE, dependencies_ready=False)),
        action_of(replace(BASE, hindrance=ValuesError("wrong"))),
    }
    assert taken == set(NextAction)


def test_whoever_has_no_retry_left_changes_the_cluster_only_to_remediate() -> None:
    for remediation in (item for item in EVERY_REMEDIATION if item.failures and item.retries_exhausted):
        pending = (NextAction.UNINSTALL_AND_RETRY, NextAction.ROLLBACK_AND_RETRY)
        allowed = pending if remediation.remediate_last_failure else ()
        assert action_of(replace(IN_STATE[State.FAILED], remediation=remediation)) in (NextAction.STALL, *allowed)


@pytest.mark.parametrize("state", IN_STATE)
def test_a_suspended_release_is_left_alone_whatever_is_the_matter(state: State) -> None:
    facts = replace(IN_STATE[state], suspended=True, hindrance=ValuesError("wrong"))
    assert action_of(facts) is NextAction.SUSPEND
    assert action_of(Facts(suspended=True)) is NextAction.SUSPEND


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (FieldNotSupported("x"), NextAction.REFUSE),
        (ValuesError("x"), NextAction.REFUSE),
        (SourceNotReady("x"), NextAction.BLOCK),
        (DependencyCycle("a -> a"), NextAction.BLOCK),
    ],
)
def test_a_hindrance_is_said_before_anything_is_done(error: GitsyncError, action: NextAction) -> None:
    for facts in (Facts(), *IN_STATE.values()):
        decision = decide(replace(facts, hindrance=error))
        assert isinstance(decision, Decision)
        assert (decision.action, decision.error, decision.why) == (action, error, error.message)


def test_what_costs_something_is_asked_for_only_when_it_matters() -> None:
    assert decide(Facts()) is Unknown.DESIRED
    for state, facts in IN_STATE.items():
        unknown = replace(facts, same_content=None, dependencies_ready=None)
        if state is State.UNMANAGED:
            assert decide(unknown) is Unknown.CONTENT
        elif action_of(facts) in CHANGING:
            assert decide(unknown) is Unknown.DEPENDENCIES
        else:
            assert decide(unknown) == decide(facts)


def test_dependencies_hold_back_what_changes_something_and_nothing_else() -> None:
    for facts in IN_STATE.values():
        action = action_of(facts)
        blocked = action_of(replace(facts, dependencies_ready=False))
        assert blocked is (NextAction.BLOCK if action in CHANGING else action)


def test_a_force_request_attempts_once_more_where_nothing_would_be_done() -> None:
    forced = {state: action_of(replace(facts, force_requested=True)) for state, facts in IN_STATE.items()}
    assert forced[State.IN_SYNC] is NextAction.UPGRADE
    assert {state for state in State if forced[state] is not action_of(IN_STATE[state])} == {State.IN_SYNC}

    exhausted = ActiveRemediation("upgrade", failures=1)
    failed = replace(IN_STATE[State.FAILED], remediation=exhausted)
    assert action_of(failed) is NextAction.STALL
    assert action_of(replace(failed, force_requested=True)) is NextAction.UPGRADE
    absent = replace(BASE, install_retries_exhausted=True, force_requested=True)
    assert action_of(absent) is NextAction.INSTALL
    assert action_of(replace(absent, newest=record("uninstalled"))) is NextAction.INSTALL


def test_what_a_release_is_no_longer_is_uninstalled_before_it_is_changed_and_only_then() -> None:
    old = ReleaseRef("old", "default", "default")
    for facts in IN_STATE.values():
        decision = decide(replace(facts, replaced=old))
        assert isinstance(decision, Decision)
        changes = decision.action in (*CHANGING, NextAction.RESUME)
        assert decision.uninstall_first == (old if changes else None)
    assert action_of(replace(IN_STATE[State.IN_SYNC], replaced=old)) is NextAction.INSTALL
    assert action_of(replace(IN_STATE[State.UNTESTED], replaced=old)) is NextAction.INSTALL


def test_a_release_of_another_chart_is_installed_after_it_was_uninstalled() -> None:
    for state in (State.OUT_OF_SYNC, State.FAILED, State.IN_SYNC, State.UNTESTED):
        assert action_of(replace(IN_STATE[state], replaced=REF)) is NextAction.INSTALL
    assert action_of(replace(IN_STATE[State.LOCKED], replaced=REF)) is NextAction.WAIT
    assert action_of(replace(IN_STATE[State.INTERRUPTED], replaced=REF)) is NextAction.UNLOCK


def test_a_failed_test_counts_or_not_as_the_release_says() -> None:
    tested = replace(BASE, newest=record("deployed", tests="Failed"), remediation=ActiveRemediation("install", 1))
    assert action_of(tested) is NextAction.NOTHING
    assert action_of(replace(tested, tests="ignored")) is NextAction.NOTHING
    assert action_of(replace(tested, tests="counted")) is NextAction.STALL


@pytest.mark.parametrize(
    ("action", "newest", "by"),
    [
        (NextAction.INSTALL, record("failed"), "install"),
        (NextAction.UPGRADE, None, "install"),
        (NextAction.UPGRADE, record("deployed"), "upgrade"),
        (NextAction.RETRY, record("failed"), "upgrade"),
        (NextAction.RESUME, record("pending-install"), "install"),
        (NextAction.RESUME, record("pending-upgrade"), "upgrade"),
        (NextAction.UPGRADE, record("pending-install"), "upgrade"),
    ],
)
def test_a_revision_is_made_by_an_install_or_an_upgrade(action: NextAction, newest: Summary | None, by: str) -> None:
    assert made_by(action, newest) == by
