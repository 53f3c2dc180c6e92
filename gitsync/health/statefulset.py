"""StatefulSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import number, section, text
from gitsync.health.pods import waiting
from gitsync.health.verdict import READY, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def stateful_set(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """kstatus' rules: every replica there and ready, none too many, and those from the partition upwards updated. The
    API server writes a partition of 0 where none is given; without one, every replica is of the current revision, and
    that is the updated one. Its controller reports no failure, so there is none.

    With updateStrategy OnDelete it is ready as soon as its generation was seen: its pods change when a person deletes
    them, and a wait for that would only meet its deadline.
    """
    if text(manifest, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    want = number(manifest, "spec", "replicas", default=1)
    there = number(manifest, "status", "replicas")
    ready = number(manifest, "status", "readyReplicas")
    if there < want or ready < want:
        return waiting("ReplicasNotReady", f"{min(ready, there)} of {want} replicas ready", pods)
    if there > want:
        return waiting("ReplicasToRemove", f"{there - want} replica{'s' if there - want > 1 else ''} too many", pods)
    rolling = section(manifest, "spec", "updateStrategy", "rollingUpdate")
    if "partition" in rolling:
        updated, to_update = number(manifest, "status", "updatedReplicas"), want - number(rolling, "partition")
        if updated < to_update:
            return waiting("ReplicasNotUpdated", f"{updated} of {to_update} replicas updated", pods)
        return READY
    current = number(manifest, "status", "currentReplicas")
    if current < want or text(manifest, "status", "currentRevision") != text(manifest, "status", "updateRevision"):
        return waiting("RolloutInProgress", "the rollout is not complete yet", pods)
    return READY
