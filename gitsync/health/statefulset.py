"""StatefulSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import number, text, unobserved
from gitsync.health.model import READY, Health
from gitsync.health.pods import waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def stateful_set(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Every replica there and ready, none too many, and those from the partition upwards updated (kstatus, Helm);
    without a partition the current revision is the updated one (both). Its controller reports no failure, so there is
    none.

    With updateStrategy OnDelete it is ready as soon as it exists (kstatus and Helm alike): its pods change when a
    person deletes them, and a wait for that would only meet its deadline.
    """
    if text(manifest, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    unseen = unobserved(manifest, strict=True)
    if unseen:
        return unseen
    want = number(manifest, "spec", "replicas", default=1)
    there = number(manifest, "status", "replicas")
    ready = number(manifest, "status", "readyReplicas")
    updated = number(manifest, "status", "updatedReplicas")
    partition = number(manifest, "spec", "updateStrategy", "rollingUpdate", "partition")
    to_update = max(want - partition, 0)
    if there < want or ready < want:
        return waiting("ReplicasNotReady", f"{min(ready, there)} of {want} replicas ready", pods)
    if there > want:
        return waiting("ReplicasToRemove", f"{there - want} replica{'s' if there - want > 1 else ''} too many", pods)
    if updated < to_update:
        return waiting("ReplicasNotUpdated", f"{updated} of {to_update} replicas updated", pods)
    if not partition and text(manifest, "status", "currentRevision") != text(manifest, "status", "updateRevision"):
        return waiting("RolloutInProgress", "the rollout is not complete yet", pods)
    return READY
