"""Deleting the pods that keep a fix from reaching its StatefulSet: Kubernetes leaves that to somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.errors import ApiError, Conflict
from gitsync.health import stuck_pods
from gitsync.logs import Once

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)


async def delete_stuck_pods(cluster: Cluster, workload: Manifest, pods: Sequence[Manifest], once: Once) -> None:
    """Delete those of a workload's pods that hold up its update for good. What the API server refuses is said ``once``:
    somebody else may delete the pod. Raises: ClusterUnavailable.
    """
    for pod, reason in stuck_pods(workload, pods):
        key = ObjectKey.of({"apiVersion": "v1", "kind": "Pod", **pod})
        why = f"{reason}; it is of the revision before, and {ObjectKey.of(workload)} waits for it"
        once(key, log, "deleting a pod that blocks the update", topic="deleting", object=str(key), why=why)
        try:
            with suppress(Conflict):  # another pod has its name by now
                await cluster.delete(key, uid=pod["metadata"]["uid"])
            once.forget(key)
        except ApiError as error:
            once(key, log, "a pod that blocks the update stays", level="warning", object=str(key), error=error)
