"""What to do about a release: one pure function from its facts to the next action, for the agent and ``gitsync plan``.

What is done about each state is what helm-controller does (internal/reconcile/atomic_release.go, actionForState), but
for the locks (see ``state``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitsync.errors import BlockedError, GitsyncError
from gitsync.release.reconcile.facts import Facts
from gitsync.release.reconcile.state import State, state_of
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.storage.record import Summary


class Unknown(StrEnum):
    """Facts that have to be found before a decision can be made: the fields of Facts named beside each."""

    DESIRED = "desired"  # what the release is to be: ref, wanted, and all that follows from it
    CONTENT = "content"  # same_content
    DEPENDENCIES = "dependencies"  # dependencies_ready


class NextAction(StrEnum):
    """What to do next."""

    NOTHING = "nothing"
    SUSPEND = "suspend"  # leave the release alone, whatever state it is in
    REFUSE = "refuse"  # report why it cannot be done, and wait for a change of HelmRelease, chart or values
    BLOCK = "block"  # wait for another object, whose change wakes the release
    WAIT = "wait"  # somebody else's action is under way
    UNLOCK = "unlock"  # mark a pending revision as failed
    ADOPT = "adopt"  # take over a revision that somebody else wrote, since it is exactly what is wanted
    INSTALL = "install"
    UPGRADE = "upgrade"
    RESUME = "resume"  # go on with a pending revision
    RETRY = "retry"  # an upgrade, after a failure that is not remediated
    UNINSTALL_AND_RETRY = "uninstall-and-retry"
    ROLLBACK_AND_RETRY = "rollback-and-retry"
    STALL = "stall"  # no retry is left
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Decision:
    """The next action. ``why`` gives the reason in words. ``uninstall_first`` is the release that the HelmRelease is
    deployed as, if it is to have another name, namespace or chart; ``error`` is the reason for REFUSE and BLOCK, None
    for BLOCK because of dependencies."""

    action: NextAction
    why: str
    uninstall_first: ReleaseRef | None = None
    error: GitsyncError | None = None


#: The actions that bring new content, and so wait for the release's dependencies.
CHANGING = frozenset(
    {
        NextAction.INSTALL,
        NextAction.UPGRADE,
        NextAction.RETRY,
        NextAction.UNINSTALL_AND_RETRY,
        NextAction.ROLLBACK_AND_RETRY,
    }
)
_REMEDIATION = {
    "uninstall": NextAction.UNINSTALL_AND_RETRY,
    "rollback": NextAction.ROLLBACK_AND_RETRY,
    "none": NextAction.RETRY,
}
_PLAIN = {
    State.ABSENT: NextAction.INSTALL,
    State.RESUMABLE: NextAction.RESUME,
    State.INTERRUPTED: NextAction.UNLOCK,
    State.LOCKED: NextAction.WAIT,
    State.STALE_LOCK: NextAction.UNLOCK,
    State.OUT_OF_SYNC: NextAction.UPGRADE,
    State.UNMANAGED: NextAction.ADOPT,
    State.UNTESTED: NextAction.TEST,
    State.IN_SYNC: NextAction.NOTHING,
}


_BLOCKED = Decision(NextAction.BLOCK, "a dependency is not ready")


def decide(facts: Facts) -> Decision | Unknown:
    """The next action, or what has to be found out first."""
    if facts.suspended:
        return Decision(NextAction.SUSPEND, "it is suspended")
    if facts.hindrance is not None:
        blocked = isinstance(facts.hindrance, BlockedError)
        action = NextAction.BLOCK if blocked else NextAction.REFUSE
        return Decision(action, facts.hindrance.message, error=facts.hindrance)
    if facts.wanted is None:
        if facts.dependencies_ready is False:  # an install has to wait, whatever its chart and values are
            return _BLOCKED
        return Unknown.DESIRED
    state = state_of(facts)
    if state is State.UNMANAGED and facts.same_content is None:
        return Unknown.CONTENT
    action, why = _forced(facts, state, *_by_state(facts, state))
    if facts.replaced is not None:
        action, why = _instead(facts, facts.replaced, action, why)
    if action in CHANGING:
        if facts.dependencies_ready is None:
            return Unknown.DEPENDENCIES
        if not facts.dependencies_ready:
            return _BLOCKED
    return Decision(action, why, uninstall_first=facts.replaced if action in (*CHANGING, NextAction.RESUME) else None)


def made_by(action: NextAction, newest: Summary | None) -> CountedAction:
    """The action that makes the next revision: an install if there is none yet, or if the one under way is an
    install."""
    if action is NextAction.INSTALL or newest is None:
        return "install"
    return "install" if action is NextAction.RESUME and newest.status == "pending-install" else "upgrade"


def _by_state(facts: Facts, state: State) -> tuple[NextAction, str]:
    """The action for a state, given what has failed before, and why.

    For a release that is absent, only failures of installs count: if a failed upgrade was uninstalled, the release is
    installed again, as in Flux.
    """
    remediation, words = facts.remediation, f"it is {state.replace('-', ' ')}"
    failed, exhausted = remediation.failures > 0, remediation.retries_exhausted
    no_retry = f"{remediation.action} retries exhausted"
    match state:
        case State.FAILED if exhausted and remediation.pending == "none":
            return NextAction.STALL, no_retry
        case State.FAILED:
            return _REMEDIATION[remediation.pending], f"the last {remediation.action} failed"
        case State.ROLLING_BACK if failed and remediation.strategy == "rollback":
            return NextAction.ROLLBACK_AND_RETRY, "a rollback was interrupted"
        case State.UNINSTALLING if failed and remediation.strategy == "uninstall":
            return NextAction.UNINSTALL_AND_RETRY, "an uninstall was interrupted"
        case State.ROLLING_BACK | State.UNINSTALLING:
            return NextAction.UNLOCK, words
        case State.ABSENT if facts.install_retries_exhausted:
            return NextAction.STALL, "install retries exhausted"
        case State.OUT_OF_SYNC if failed and exhausted and remediation.strategy == "rollback":
            # The last failure was rolled back, or could not be: the cluster is left with the old content on purpose.
            return NextAction.STALL, no_retry
    return _PLAIN[state], words


def _forced(facts: Facts, state: State, action: NextAction, why: str) -> tuple[NextAction, str]:
    """The action when nothing else is to be done: one more upgrade if forceAt asks for it, or if another release has
    taken objects and is not to have them any more, so that they have to be marked as this one's again."""
    if facts.objects_taken and state is State.IN_SYNC and action is NextAction.NOTHING:
        return NextAction.UPGRADE, "another release, which is not to have them any more, has taken objects of it"
    if not facts.force_requested or action not in (NextAction.NOTHING, NextAction.STALL):
        return action, why
    return (NextAction.INSTALL if state is State.ABSENT else NextAction.UPGRADE), "forceAt asks for it"


def _instead(facts: Facts, replaced: ReleaseRef, action: NextAction, why: str) -> tuple[NextAction, str]:
    """The action after ``replaced`` was uninstalled: there is nothing left to upgrade or test, and a release that is in
    sync by its record is so with objects or records elsewhere."""
    if replaced == facts.ref:
        absent = action in CHANGING or action in (NextAction.NOTHING, NextAction.TEST)
        return (NextAction.INSTALL, "its chart is another one") if absent else (action, why)
    if action in (NextAction.NOTHING, NextAction.TEST):
        return NextAction.INSTALL, "it has another name or namespace"
    return action, why
