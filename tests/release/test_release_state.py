"""The state table: every combination of facts has one state, and every state one action."""

from __future__ import annotations

import itertools

import pytest

from gitsync.release.records import CHART_DIGEST, HOLDER, VALUES_DIGEST, Status, Summary
from gitsync.release.state import FOREIGN_LOCK, Action, Digests, State, Tries, decide, state_of

WANTED = Digests("sha256:chart", "sha256:values")
NOW = 1_000_000.0
US = "gitsync/fleet"


def summary(status: Status, digests: Digests | None = WANTED, holder: str = "", age: float = 0.0) -> Summary:
    annotations = {HOLDER: holder} if holder else {}
    if digests is not None:
        annotations |= {CHART_DIGEST: digests.chart, VALUES_DIGEST: digests.values}
    return Summary("redis", "default", 3, status, str(int(NOW - age)), annotations)


def state(latest: Summary | None) -> State:
    return state_of(latest, WANTED, holder=US, now=NOW, timeout=60.0)


OTHER = Digests("sha256:chart", "sha256:other values")


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        (None, State.ABSENT),
        (summary("uninstalled"), State.ABSENT),
        (summary("deployed"), State.IN_SYNC),
        (summary("deployed", OTHER), State.OUT_OF_SYNC),
        (summary("deployed", Digests("sha256:other chart", WANTED.values)), State.OUT_OF_SYNC),
        (summary("deployed", None), State.UNKNOWN),
        (summary("failed"), State.FAILED),
        (summary("failed", OTHER), State.OUT_OF_SYNC),
        (summary("failed", None), State.OUT_OF_SYNC),
        (summary("superseded"), State.FAILED),
        (summary("pending-install", holder=US), State.RESUMABLE),
        (summary("pending-upgrade", holder=US), State.RESUMABLE),
        (summary("pending-rollback", holder=US), State.INTERRUPTED),
        (summary("uninstalling", holder=US), State.INTERRUPTED),
        (summary("pending-upgrade", OTHER, holder=US), State.INTERRUPTED),
        (summary("pending-upgrade", None, holder=US), State.INTERRUPTED),
        (summary("pending-upgrade"), State.LOCKED),
        (summary("pending-upgrade", holder="gitsync/another"), State.LOCKED),
        (summary("pending-install", None, age=FOREIGN_LOCK - 1), State.LOCKED),
        (summary("pending-install", None, age=FOREIGN_LOCK + 1), State.STALE_LOCK),
    ],
)
def test_facts_give_the_state(latest: Summary | None, expected: State) -> None:
    assert state(latest) is expected


def test_a_foreign_lock_is_respected_for_as_long_as_its_action_may_take() -> None:
    lock = summary("pending-upgrade", None, age=FOREIGN_LOCK + 1)
    assert state_of(lock, WANTED, holder=US, now=NOW, timeout=3600.0) is State.LOCKED


NO_FAILURE = Tries("install", 0)
EVERY_TRIES = [
    Tries("install" if action == "install" else "upgrade", failures, retries, remediate, strategy)  # type: ignore[arg-type]
    for action, failures, retries, remediate, strategy in itertools.product(
        ("install", "upgrade"), (0, 1, 2, 9), (-1, 0, 1, 5), (False, True), ("none", "uninstall", "rollback")
    )
]


@pytest.mark.parametrize("tries", EVERY_TRIES, ids=str)
def test_every_state_has_an_action_whatever_failed_before(tries: Tries) -> None:
    actions = {state: decide(state, tries) for state in State}
    assert actions[State.IN_SYNC] is Action.NOTHING
    assert actions[State.LOCKED] is Action.WAIT
    assert actions[State.RESUMABLE] is Action.RESUME
    assert {actions[State.INTERRUPTED], actions[State.STALE_LOCK]} == {Action.UNLOCK}
    # Whoever has no try left never changes the cluster for another try.
    if tries.failures and tries.exhausted:
        assert actions[State.ABSENT] is Action.STALL
        assert actions[State.FAILED] in (Action.STALL, Action.UNINSTALL_AND_RETRY, Action.ROLLBACK_AND_RETRY)
    else:
        assert actions[State.ABSENT] is Action.INSTALL
        assert actions[State.OUT_OF_SYNC] is Action.UPGRADE
        assert actions[State.FAILED] is not Action.STALL


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        (Tries("install", 1, retries=0), Action.STALL),
        (Tries("install", 1, retries=1, strategy="uninstall"), Action.UNINSTALL_AND_RETRY),
        (Tries("install", 2, retries=1, strategy="uninstall"), Action.STALL),
        (Tries("install", 2, retries=1, remediate_last=True, strategy="uninstall"), Action.UNINSTALL_AND_RETRY),
        (Tries("upgrade", 1, retries=2, strategy="rollback"), Action.ROLLBACK_AND_RETRY),
        (Tries("upgrade", 3, retries=2, remediate_last=True, strategy="rollback"), Action.ROLLBACK_AND_RETRY),
        (Tries("upgrade", 3, retries=2, strategy="rollback"), Action.STALL),
        (Tries("upgrade", 99, retries=-1), Action.RETRY),
        (Tries("install", 0), Action.RETRY),
    ],
)
def test_a_failed_release_is_retried_remedied_or_stalled(tries: Tries, expected: Action) -> None:
    assert decide(State.FAILED, tries) is expected


def test_a_rolled_back_upgrade_without_a_try_left_stays_rolled_back() -> None:
    tries = Tries("upgrade", 2, retries=1, remediate_last=True, strategy="rollback")
    assert decide(State.OUT_OF_SYNC, tries) is Action.STALL
    assert decide(State.OUT_OF_SYNC, NO_FAILURE) is Action.UPGRADE
