"""Removes Flux's finalizer from objects that have nothing to clean up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, FINALIZER
from gitsync.errors import NotFound

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def remove_finalizer(cluster: Cluster, key: ObjectKey, manifest: Manifest) -> None:
    """Remove the finalizer that Flux's controllers put on all objects that they serve (to remove artifacts of their
    own), if it is there. Raises: ApiError, ClusterUnavailable."""
    metadata = manifest["metadata"]
    finalizers = metadata.get("finalizers") or ()
    if FINALIZER not in finalizers:
        return
    left = {"finalizers": [name for name in finalizers if name != FINALIZER]}
    body = {"metadata": {**left, "resourceVersion": metadata["resourceVersion"]}}
    try:
        await cluster.patch(key, body, manager=FIELD_MANAGER)
    except NotFound:
        return
