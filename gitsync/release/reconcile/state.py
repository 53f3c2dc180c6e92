"""The state that a release is in: a pure step from facts.

The words are helm-controller's (internal/reconcile/state.go): absent, locked, unmanaged, out of sync, failed, untested,
in sync (drift is looked for only then, see ``drift``). One thing differs: an action of this agent that was interrupted
is resumed. Errors of the environment leave no failed record, and so never spend a retry.
"""

from __future__ import annotations

from enum import StrEnum

from gitsync.release.reconcile.facts import Facts
from gitsync.release.storage.record import HOLDER, TESTS, Summary, digests_of
from gitsync.text import whole_number

#: Seconds for which somebody else's pending record is respected after its last change; longer if its action's timeout
#: is. Helm itself never takes one over: "another operation is in progress".
FOREIGN_LOCK = 300.0


class State(StrEnum):
    """Where a release stands."""

    ABSENT = "absent"
    RESUMABLE = "resumable"  # our own action on exactly this chart and values, interrupted
    ROLLING_BACK = "rolling-back"  # our own rollback, interrupted
    UNINSTALLING = "uninstalling"  # our own uninstall, interrupted or failed
    INTERRUPTED = "interrupted"  # our own action on something else, interrupted
    LOCKED = "locked"  # somebody else's action, maybe still under way
    STALE_LOCK = "stale-lock"  # somebody else's action, too old to be alive
    OUT_OF_SYNC = "out-of-sync"
    FAILED = "failed"  # exactly this chart and values were attempted and failed
    UNTESTED = "untested"  # deployed, and its tests have not run yet
    UNMANAGED = "unmanaged"  # written or changed by somebody else: only the record's payload can tell what it holds
    IN_SYNC = "in-sync"


def state_of(facts: Facts) -> State:
    """The state of a release."""
    newest = facts.newest
    if newest is None or newest.status == "uninstalled":
        return State.ABSENT
    known = digests_of(newest)
    if newest.pending:
        return _pending(newest, facts)
    if known is None:
        return State.UNMANAGED if facts.same_content is None or facts.same_content else State.OUT_OF_SYNC
    if known != facts.wanted:
        return State.OUT_OF_SYNC
    return _by_tests(newest, facts) if newest.status == "deployed" else State.FAILED


def _pending(newest: Summary, facts: Facts) -> State:
    known = digests_of(newest)
    if newest.annotations.get(HOLDER) not in facts.holders:
        age = facts.now - (whole_number(newest.modified) or 0)
        return State.STALE_LOCK if age > max(FOREIGN_LOCK, facts.timeout) else State.LOCKED
    if newest.status == "pending-rollback" and known is not None:
        return State.ROLLING_BACK
    if newest.status == "uninstalling":
        return State.UNINSTALLING
    resumable = known == facts.wanted and newest.status in ("pending-install", "pending-upgrade")
    return State.RESUMABLE if resumable else State.INTERRUPTED


def _by_tests(newest: Summary, facts: Facts) -> State:
    """The state of a release that is deployed as wanted, by its tests."""
    if facts.tests == "off":
        return State.IN_SYNC
    phase = newest.annotations.get(TESTS)
    if phase is None:
        return State.UNTESTED
    return State.FAILED if phase == "Failed" and facts.tests == "counted" else State.IN_SYNC
