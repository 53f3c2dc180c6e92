"""Client-side apply, as Helm's ``--server-side=false``: three-way merge patches against what earlier revisions held.

The way from there to server-side apply is that of all fields that something else wrote first (see fieldmanagers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import SYNC_MARKS
from gitsync.apply.applier import GONE_TIMEOUT
from gitsync.apply.delete import wait_deleted
from gitsync.diff import merge_patch
from gitsync.errors import AlreadyExists

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: So the API server warns of a field that it drops, when it is not applied server-side.
_DROPPED = "unknown field"


class ClientSide:
    """Creates and patches objects as ``manager``. ``earlier`` are the manifests that revisions before this one had of
    an object: what they named and the new one does not is taken away.
    """

    def __init__(self, cluster: Cluster, manager: str, earlier: Mapping[ObjectKey, Sequence[Manifest]]) -> None:
        self._cluster = cluster
        self._manager = manager
        self._earlier = earlier

    async def apply(self, manifest: Manifest) -> Manifest:
        """Create an object, or patch the one that is there; two requests, or one when there is nothing to change.

        Raises: ApiError, NotReadyInTime (one that is being deleted does not go).
        """
        key = ObjectKey.of(manifest)
        version = manifest["apiVersion"].rpartition("/")[2]
        live = await self._cluster.find(key, version=version)
        if live is not None and "deletionTimestamp" in live["metadata"]:
            await wait_deleted(self._cluster, [key], GONE_TIMEOUT)
            live = None
        if live is None:
            try:
                return await self._cluster.create(manifest, manager=self._manager, warn=lambda text: _warn(key, text))
            except AlreadyExists:  # made by somebody else just now
                live = await self._cluster.get(key, version=version)
        earlier = [*self._earlier.get(key, ()), *_marks(live)]
        patch_type, patch = merge_patch(earlier, manifest, live)
        if not patch:
            return live
        return await self._cluster.patch(
            key,
            patch,
            manager=self._manager,
            patch_type=patch_type,
            version=version,
            warn=lambda text: _warn(key, text),
        )


def _marks(live: Manifest) -> list[Manifest]:
    """What a sync has marked an object as its own with, as an earlier manifest of an object that comes from Git into a
    chart.
    """
    metadata = {
        field: marks
        for field in ("annotations", "labels")
        if (marks := {name: value for name, value in (live["metadata"].get(field) or {}).items() if name in SYNC_MARKS})
    }
    return [{"metadata": metadata}] if metadata else []


def _warn(key: ObjectKey, text: str) -> None:
    if text.startswith(_DROPPED):
        log.warning("field is dropped by the API server", object=str(key), why=text)
