"""What state a release is in, and what to do about it: two pure steps on plain facts.

The words are helm-controller's (internal/reconcile/state.go): absent, locked, unmanaged, out of sync, failed, untested,
in sync; drift is looked for in what is in sync (``drift``). What is done differs where flux-facts name a flaw: a locked
release is taken up again where it was left when the lock is ours, and errors of the environment never get here, so they
never spend a try.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gitsync.release.storage.record import HOLDER, Digests, Summary, digests_of

#: How long somebody else's pending record is respected after its last change, in seconds, unless its action's timeout
#: is longer. Helm itself never gives up on one: "another operation is in progress".
FOREIGN_LOCK = 300.0


class State(StrEnum):
    """Where a release stands."""

    ABSENT = "absent"
    RESUMABLE = "resumable"  # our own action on exactly this chart and values, cut short
    ROLLING_BACK = "rolling-back"  # our own rollback, cut short
    UNINSTALLING = "uninstalling"  # our own uninstall, cut short or failed
    INTERRUPTED = "interrupted"  # our own action on something else, cut short
    LOCKED = "locked"  # somebody else's action, maybe still under way
    STALE_LOCK = "stale-lock"  # somebody else's action, too old to be alive
    OUT_OF_SYNC = "out-of-sync"
    FAILED = "failed"  # exactly this chart and values were tried and failed
    UNTESTED = "untested"  # deployed, with its tests still to be run (see testing.judged)
    UNMANAGED = "unmanaged"  # written or changed by somebody else: only the record's payload can tell what it holds
    IN_SYNC = "in-sync"


class NextAction(StrEnum):
    """What to do next."""

    NOTHING = "nothing"
    INSTALL = "install"
    UPGRADE = "upgrade"
    RESUME = "resume"
    UNLOCK = "unlock"
    WAIT = "wait"
    COMPARE = "compare"
    UNINSTALL_AND_RETRY = "uninstall-and-retry"
    ROLLBACK_AND_RETRY = "rollback-and-retry"
    RETRY = "retry"
    STALL = "stall"
    TEST = "test"


def state_of(latest: Summary | None, wanted: Digests, *, holder: str, now: float, timeout: float) -> State:
    """The state of a release whose newest record is ``latest``.

    ``holder`` is this agent's mark on pending records, ``now`` seconds since the epoch, ``timeout`` the action's, in
    seconds.
    """
    if latest is None or latest.status == "uninstalled":
        return State.ABSENT
    known = digests_of(latest)
    if latest.pending:
        if latest.annotations.get(HOLDER) != holder:
            age = now - float(latest.modified) if latest.modified.isdigit() else now
            return State.STALE_LOCK if age > max(FOREIGN_LOCK, timeout) else State.LOCKED
        if latest.status == "pending-rollback" and known is not None:
            return State.ROLLING_BACK
        if latest.status == "uninstalling":
            return State.UNINSTALLING
        resumable = known == wanted and latest.status in ("pending-install", "pending-upgrade")
        return State.RESUMABLE if resumable else State.INTERRUPTED
    if known is None:
        return State.UNMANAGED
    if known != wanted:
        return State.OUT_OF_SYNC
    return State.IN_SYNC if latest.status == "deployed" else State.FAILED


@dataclass(frozen=True, slots=True)
class Tries:
    """The failure policy of the action that failed last, and how often it has failed.

    ``retries`` is HelmRelease's remediation.retries (negative: without end), ``remediate_last`` whether the last
    failure is remedied too, ``strategy`` what remedies it, ``rollback_failed`` whether it could not be rolled back.
    """

    action: Literal["install", "upgrade"]
    failures: int
    retries: int = 0
    remediate_last: bool = False
    strategy: Literal["uninstall", "rollback", "none"] = "none"
    rollback_failed: bool = False

    @property
    def exhausted(self) -> bool:
        """No try is left."""
        return 0 <= self.retries < self.failures

    @property
    def remedy(self) -> Literal["uninstall", "rollback", "none"]:
        """What is to be done about the last failure. What cannot be rolled back once cannot be the second time."""
        spared = self.exhausted and not self.remediate_last
        in_vain = self.strategy == "rollback" and self.rollback_failed
        return "none" if spared or in_vain else self.strategy


_PLAIN = {
    State.ABSENT: NextAction.INSTALL,
    State.RESUMABLE: NextAction.RESUME,
    State.INTERRUPTED: NextAction.UNLOCK,
    State.LOCKED: NextAction.WAIT,
    State.STALE_LOCK: NextAction.UNLOCK,
    State.OUT_OF_SYNC: NextAction.UPGRADE,
    State.UNMANAGED: NextAction.COMPARE,
    State.UNTESTED: NextAction.TEST,
    State.IN_SYNC: NextAction.NOTHING,
}

_REMEDY = {
    "uninstall": NextAction.UNINSTALL_AND_RETRY,
    "rollback": NextAction.ROLLBACK_AND_RETRY,
    "none": NextAction.RETRY,
}


def decide(state: State, tries: Tries) -> NextAction:
    """The next action. ``tries`` counts failures of exactly this generation, chart and values.

    A release whose failed install was uninstalled (ABSENT with no try left) is stalled, not installed for ever.
    """
    failed = tries.failures > 0
    if state is State.FAILED:
        return NextAction.STALL if tries.exhausted and tries.remedy == "none" else _REMEDY[tries.remedy]
    if state is State.ROLLING_BACK:
        return NextAction.ROLLBACK_AND_RETRY if failed and tries.strategy == "rollback" else NextAction.UNLOCK
    if state is State.UNINSTALLING:
        return NextAction.UNINSTALL_AND_RETRY if failed and tries.strategy == "uninstall" else NextAction.UNLOCK
    if state is State.ABSENT and failed and tries.exhausted:
        return NextAction.STALL
    if state is State.OUT_OF_SYNC and failed and tries.exhausted and tries.strategy == "rollback":
        # The last failure was rolled back, or could not be: the cluster runs the old content on purpose.
        return NextAction.STALL
    return _PLAIN[state]
