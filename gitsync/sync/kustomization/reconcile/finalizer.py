"""The finalizer of a Kustomization: it keeps the object until what it has applied is removed, or left on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import FIELD_MANAGER, FINALIZER
from gitsync.errors import Conflict, NotFound
from gitsync.manifests import Desired
from gitsync.tree import Tree

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


class Finalizer:
    """Adds and removes the finalizer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def add(self, kustomization: Kustomization) -> None:
        """Add it, unless it is there. Raises: ApiError, ClusterUnavailable."""
        if FINALIZER not in kustomization.metadata.finalizers:
            await self._write(kustomization.key, kustomization.manifest, is_wanted=True)

    async def remove(self, kustomization: Kustomization) -> None:
        """Remove it, which lets the object go. Raises: ApiError, ClusterUnavailable."""
        if FINALIZER in kustomization.metadata.finalizers:
            await self._write(kustomization.key, kustomization.manifest, is_wanted=False)

    async def _write(self, key: ObjectKey, manifest: Manifest, *, is_wanted: bool) -> None:
        for again in (True, False):
            metadata = manifest["metadata"]
            finalizers = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
            changed = {
                "finalizers": [*finalizers, FINALIZER] if is_wanted else finalizers,
                "resourceVersion": metadata["resourceVersion"],
            }
            try:
                await self._cluster.patch(key, {"metadata": changed}, manager=FIELD_MANAGER)
            except NotFound:
                return  # somebody else has removed it, and the object is gone
            except Conflict:
                # Our own status was written since, or somebody else's finalizer.
                newest = await self._cluster.find(key)
                if newest is None or newest["metadata"]["uid"] != metadata["uid"]:
                    return
                if not again:
                    raise
                manifest = newest
            else:
                return


def why_left(kustomization: Kustomization) -> str:
    """Why the objects that a Kustomization has applied stay when it is deleted, in words; "" when they go. Pure."""
    if kustomization.prunes_when_deleted and not kustomization.spec.suspend:
        return ""
    if kustomization.spec.suspend:
        return "it is suspended"
    policy = kustomization.spec.deletion_policy
    return f"its deletionPolicy is {policy}" if policy == "Orphan" else "its prune is false"


def nothing(commit: CommitInfo) -> Desired:
    """What a Kustomization that is deleted wants: no objects."""
    return Desired(commit, {}, tree=Tree(commit.id, (), _read_nothing))


async def _read_nothing(_: Sequence[str]) -> dict[str, bytes]:
    return {}
