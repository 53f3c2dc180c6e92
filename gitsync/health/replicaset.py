"""ReplicaSet and, with the same fields, ReplicationController."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import condition, number, says, text
from gitsync.health.pods import waiting
from gitsync.health.verdict import READY, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def replica_set(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Every replica labelled, ready and available, none too many. ReplicaFailure (a quota, an admission webhook) is
    progressing, for the controller tries again (as kstatus has it; of a
    ReplicationController it knows nothing).
    """
    want = number(manifest, "spec", "replicas", default=1)
    there = number(manifest, "status", "replicas")
    ready = number(manifest, "status", "readyReplicas")
    good = min(
        ready, number(manifest, "status", "availableReplicas"), number(manifest, "status", "fullyLabeledReplicas")
    )
    refused = condition(manifest, "ReplicaFailure")
    if text(refused, "status") == "True":
        return waiting("ReplicaFailure", f"{ready} of {want} replicas ready; {says(refused)}", pods)
    if good < want:
        word = "ready" if ready < want else "available"
        return waiting("ReplicasNotReady", f"{min(good, ready)} of {want} replicas {word}", pods)
    if there > want:
        return waiting("ReplicasToRemove", f"{there - want} replica{'s' if there - want > 1 else ''} too many", pods)
    return READY
