"""What the agent will do about a release, step by step, if every step succeeds: for ``gitsync plan``. Pure.

Each step is decided by ``decide``; this only works out which facts the next decision will find.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gitsync.release.reconcile.decide import Decision, NextAction, Unknown, decide
from gitsync.release.reconcile.facts import ActiveRemediation, Facts
from gitsync.release.storage.record import CHART_DIGEST, TESTS, VALUES_DIGEST, Digests, Status, Summary

#: More steps than any sequence has: a bound in case of a defect.
MOST_STEPS = 10


class Content(StrEnum):
    """Which content of a release is in the cluster at the end."""

    UNCHANGED = "unchanged"
    DESIRED = "desired"
    PREVIOUS = "previous"  # the revision that is rolled back to
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Foresight:
    """The decisions, the last of which ends the sequence, and the ``content`` that they lead to."""

    steps: tuple[Decision, ...]
    content: Content

    @property
    def last(self) -> Decision:
        """The last decision of the sequence."""
        return self.steps[-1]


#: The actions after which the cluster has the desired content.
BRINGS_DESIRED = (NextAction.INSTALL, NextAction.UPGRADE, NextAction.RESUME, NextAction.RETRY)
_LEADS_TO = {
    **dict.fromkeys(BRINGS_DESIRED, Content.DESIRED),
    NextAction.UNINSTALL_AND_RETRY: Content.NOTHING,
    NextAction.ROLLBACK_AND_RETRY: Content.PREVIOUS,
}


def foresee(facts: Facts, previous: Digests | None) -> Foresight:
    """The steps that follow from ``facts``, which have all that ``decide`` asks for; ``previous`` are the digests of
    the revision that a rollback would go to, None when there is none.
    """
    steps: list[Decision] = []
    content = Content.UNCHANGED
    while len(steps) < MOST_STEPS:
        decision = decide(facts)
        if isinstance(decision, Unknown):
            raise ValueError(f"{decision} is not known")
        steps.append(decision)
        after = _after(facts, decision, previous)
        if after is None:
            break
        if decision.action is not NextAction.ROLLBACK_AND_RETRY or previous is not None:
            content = _LEADS_TO.get(decision.action, content)
        facts = after
    return Foresight(tuple(steps), content)


def _after(facts: Facts, decision: Decision, previous: Digests | None) -> Facts | None:
    """The facts after a step; None when no other step follows from it."""
    match decision.action:
        case NextAction.INSTALL | NextAction.UPGRADE | NextAction.RESUME | NextAction.RETRY:
            deployed = _record(facts, "deployed", facts.wanted)
            return replace(
                facts, newest=deployed, force_requested=False, replaced=None, remediation=ActiveRemediation()
            )
        case NextAction.TEST if facts.newest is not None:
            annotations = {**facts.newest.annotations, TESTS: "Succeeded"}
            return replace(facts, newest=replace(facts.newest, annotations=annotations))
        case NextAction.UNINSTALL_AND_RETRY:
            return replace(facts, newest=None)
        case NextAction.ROLLBACK_AND_RETRY if previous is None:
            in_vain = replace(facts.remediation, rollback_failed=True)
            return replace(facts, remediation=in_vain, newest=_ended(facts), same_content=False)
        case NextAction.ROLLBACK_AND_RETRY:
            return replace(facts, newest=_record(facts, "deployed", previous))
        case NextAction.UNLOCK:
            return replace(facts, newest=_ended(facts), same_content=False)
        case NextAction.WAIT:  # the result of somebody else's action is compared with what is wanted
            return replace(facts, newest=_record(facts, "deployed", None), same_content=False)
    return None


def _ended(facts: Facts) -> Summary | None:
    """The newest record, once it is no longer pending."""
    return replace(facts.newest, status="failed") if facts.newest is not None else None


def _record(facts: Facts, status: Status, digests: Digests | None) -> Summary:
    """The record of one more revision."""
    version = facts.newest.version + 1 if facts.newest is not None else 1
    annotations = {CHART_DIGEST: digests.chart, VALUES_DIGEST: digests.values} if digests else {}
    return Summary("", "", version, status, "", annotations)
