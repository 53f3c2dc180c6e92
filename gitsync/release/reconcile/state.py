"""The state that a release is in: a pure step from facts.

The words are helm-controller's (internal/reconcile/state.go): absent, locked, unmanaged, out of sync, failed, untested,
in sync; drift is looked for in what is in sync (``drift``). One thing differs: a release whose lock is ours is taken up
again where the action was interrupted. Errors of the environment make no failed record, and so never spend a retry.
"""

from __future__ import annotations

from enum import StrEnum

from gitsync.release.reconcile.facts import Facts
from gitsync.release.storage.record import HOLDER, TESTS, Summary, digests_of
from gitsync.text import whole_number

#: How long somebody else's pending record is respected after its last change, in seconds, unless its action's timeout
#: is longer. Helm itself never gives up on one: "another operation is in progress".
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
    """Of what is deployed as wanted: whether its tests have not run yet, or have failed where that counts."""
    if facts.tests == "off":
        return State.IN_SYNC
    phase = newest.annotations.get(TESTS)
    if phase is None:
        return State.UNTESTED
    return State.FAILED if phase == "Failed" and facts.tests == "counted" else State.IN_SYNC
