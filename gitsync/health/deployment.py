"""Deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitsync.health.fields import condition, number, says, section, text
from gitsync.health.pods import broken, waiting
from gitsync.health.verdict import READY, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest

#: The progressDeadlineSeconds that means none (the largest 32-bit number): the controller then writes no Progressing
#: condition.
_NO_DEADLINE = 2**31 - 1


def deployment(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """kstatus' rules: every replica updated, available and ready, no old one left, and the Available and Progressing
    conditions agree. ProgressDeadlineExceeded is failed. Helm's leniency of maxUnavailable, which its watcher has
    dropped, is not kept. A paused Deployment is ready, as Helm 3 and 4 have it: it moves only when a person lets it.
    """
    if section(manifest, "spec").get("paused") is True:
        return READY
    want = number(manifest, "spec", "replicas", default=1)
    reason, lag = _lag(manifest, want)
    refused = condition(manifest, "ReplicaFailure")
    if lag and text(refused, "status") == "True":
        reason, lag = "ReplicaFailure", f"{lag}; {says(refused)}"
    if _deadline_exceeded(manifest, want):
        return broken("ProgressDeadlineExceeded", "progress deadline exceeded" + (f"; {lag}" if lag else ""), pods)
    if lag:
        return waiting(reason, lag, pods)
    has_deadline = number(manifest, "spec", "progressDeadlineSeconds", default=_NO_DEADLINE) != _NO_DEADLINE
    if has_deadline and not _is_rolled_out(condition(manifest, "Progressing")):
        return waiting("RolloutInProgress", "the rollout is not complete yet", pods)
    available = condition(manifest, "Available")
    if text(available, "status") != "True":
        return waiting("NotAvailable", text(available, "message") or "not available yet", pods)
    return READY


def _is_rolled_out(progress: dict[str, Any]) -> bool:
    return text(progress, "status") == "True" and text(progress, "reason") == "NewReplicaSetAvailable"


def _deadline_exceeded(manifest: Manifest, want: int) -> bool:
    """Whether the condition is about the present generation.

    A change of the replicas together with the template is handled by the controller in two steps: the first scales the
    old ReplicaSet and marks the generation as observed while the old rollout's condition still stands. There is no
    updated replica then, and no ReplicaFailure that would explain why: not a failure, a moment.
    """
    if text(condition(manifest, "Progressing"), "reason") != "ProgressDeadlineExceeded":
        return False
    begun = number(manifest, "status", "updatedReplicas") > 0 or want == 0
    return begun or text(condition(manifest, "ReplicaFailure"), "status") == "True"


def _lag(manifest: Manifest, want: int) -> tuple[str, str]:
    """What the counts of the status still lack, as (reason, text); ("", "") when nothing."""
    there = number(manifest, "status", "replicas")
    updated = number(manifest, "status", "updatedReplicas")
    ready = number(manifest, "status", "readyReplicas")
    available = number(manifest, "status", "availableReplicas")
    old = there - updated
    if updated < want and old > 0:
        # Old replicas may be ready: "ready" would mislead until all are new.
        return "ReplicasNotUpdated", f"{updated} of {want} replicas updated"
    if old > 0:
        left = f"{_replicas(old, 'old ')} left"
        if available < there:
            return "ReplicasNotAvailable", f"the new replicas are not all available yet; {left}"
        return "OldReplicasLeft", left
    if min(ready, updated, there) < want:
        return "ReplicasNotReady", f"{min(ready, there)} of {want} replicas ready"
    if there > want:
        return "ReplicasToRemove", f"{_replicas(there - want)} too many"
    if available < updated:
        return "ReplicasNotAvailable", f"{available} of {updated} replicas available"
    return "", ""


def _replicas(count: int, which: str = "") -> str:
    return f"{count} {which}replica" + ("s" if count > 1 else "")
