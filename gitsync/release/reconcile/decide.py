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
    """What has to be found out before a decision can be made; each fills the facts that it names."""

    DESIRED = "desired"  # what the release is to be: ref, wanted, and all that follows from it
    CONTENT = "content"  # same_content
    DEPENDENCIES = "dependencies"  # dependencies_ready


class NextAction(StrEnum):
    """What to do next."""

    NOTHING = "nothing"
    SUSPEND = "suspend"  # leave the release alone, whatever is the matter with it
    REFUSE = "refuse"  # say why it cannot be done, and wait for another HelmRelease, chart or values
    BLOCK = "block"  # wait for something else, whose change wakes the release
    WAIT = "wait"  # somebody else's action is under way
    UNLOCK = "unlock"  # mark a pending revision as failed
    ADOPT = "adopt"  # take a revision over that somebody else wrote, for it is exactly what is wanted
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
    """The next action. ``why`` says the reason in words. ``uninstall_first`` is what the release is deployed as under
    another name, in another namespace or with another chart; ``error`` is what REFUSE and BLOCK are about, None when
    dependencies are."""

    action: NextAction
    why: str
    uninstall_first: ReleaseRef | None = None
    error: GitsyncError | None = None


#: The actions that bring something new about, and so wait for what the release depends on.
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
        if facts.dependencies_ready is False:  # it is to be installed, whatever it is to be
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
    """What a revision is made by: an install where there is none, or where the one under way is an install."""
    if action is NextAction.INSTALL or newest is None:
        return "install"
    return "install" if action is NextAction.RESUME and newest.status == "pending-install" else "upgrade"


def _by_state(facts: Facts, state: State) -> tuple[NextAction, str]:
    """The action that a state and what failed before it lead to, and why.

    Only failures of installs count for a release that is absent: when a failed upgrade was uninstalled, it is installed
    anew, as in Flux, for nothing is gained by leaving it away.
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
            # The last failure was rolled back, or could not be: the cluster runs the old content on purpose.
            return NextAction.STALL, no_retry
    return _PLAIN[state], words


def _forced(facts: Facts, state: State, action: NextAction, why: str) -> tuple[NextAction, str]:
    """forceAt asks for one more attempt where nothing would be done. Where another release has taken objects, and is
    not to have them any more, they are to be marked as this one's again."""
    if facts.objects_taken and state is State.IN_SYNC and action is NextAction.NOTHING:
        return NextAction.UPGRADE, "another release, which is not to have them any more, has taken objects of it"
    if not facts.force_requested or action not in (NextAction.NOTHING, NextAction.STALL):
        return action, why
    return (NextAction.INSTALL if state is State.ABSENT else NextAction.UPGRADE), "forceAt asks for it"


def _instead(facts: Facts, replaced: ReleaseRef, action: NextAction, why: str) -> tuple[NextAction, str]:
    """The release is uninstalled first as what it was: nothing of that is left to be upgraded or tested, and what is in
    sync is so with its objects or its records elsewhere."""
    if replaced == facts.ref:
        absent = action in CHANGING or action in (NextAction.NOTHING, NextAction.TEST)
        return (NextAction.INSTALL, "its chart is another one") if absent else (action, why)
    if action in (NextAction.NOTHING, NextAction.TEST):
        return NextAction.INSTALL, "it has another name or namespace"
    return action, why
