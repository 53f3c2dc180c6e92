"""Client-side apply, as Helm's ``--server-side=false``: three-way merge patches against what earlier revisions held.

And the way from there to server-side apply: what a client-side apply wrote belongs to the field manager's updates, and
only what belongs to its applies is taken away when the manifest no longer has it (client-go's csaupgrade).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import retry_on_conflict
from gitsync.diff import merge_patch
from gitsync.errors import AlreadyExists
from gitsync.release.apply import GONE_TIMEOUT, Applier

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: The API server drops such fields of what is not applied server-side, and says no more of it than a warning.
_DROPPED = ("unknown field", "duplicate field")


class ClientSide:
    """Creates and patches objects as ``manager``. ``earlier`` are the manifests that revisions before this one had of
    an object: what they named and the new one does not is taken away.
    """

    def __init__(
        self, cluster: Cluster, applier: Applier, manager: str, earlier: Mapping[ObjectKey, Sequence[Manifest]]
    ) -> None:
        self._cluster = cluster
        self._applier = applier
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
            await self._applier.gone([key], GONE_TIMEOUT)
            live = None
        if live is None:
            try:
                return await self._cluster.create(manifest, manager=self._manager, warn=lambda text: _warn(key, text))
            except AlreadyExists:  # made by somebody else just now
                live = await self._cluster.get(key, version=version)
        patch_type, patch = merge_patch(self._earlier.get(key, ()), manifest, live)
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


async def take_over_fields(cluster: Cluster, key: ObjectKey, manager: str) -> None:
    """Make what ``manager`` wrote to an object by client-side apply its own in server-side apply; one request when
    there is nothing to do, or no object.
    """

    async def attempt() -> None:
        live = await cluster.find(key)
        if live is None:
            return
        managed = applied_fields(live["metadata"].get("managedFields") or [], manager)
        if managed is not None:
            fixed = {"managedFields": managed, "resourceVersion": live["metadata"]["resourceVersion"]}
            await cluster.patch(key, {"metadata": fixed}, manager=manager)

    await retry_on_conflict(attempt)


def applied_fields(managed: Sequence[Manifest], manager: str) -> list[Manifest] | None:
    """``metadata.managedFields`` in which everything that ``manager`` updated counts as applied by it; None when they
    are so already. As csaupgrade.UpgradeManagedFields of client-go. Pure.
    """
    updates = [entry for entry in managed if _is(entry, manager, "Update")]
    if not updates:
        return None
    applies = [entry for entry in managed if _is(entry, manager, "Apply")]
    base = applies[0] if applies else {**updates[0], "operation": "Apply"}
    # Fields of another version of the API cannot be told from here; they are left to nobody.
    fields = [entry.get("fieldsV1") or {} for entry in updates if entry.get("apiVersion") == base.get("apiVersion")][:1]
    merged = {**base, "fieldsV1": _union(base.get("fieldsV1") or {}, *fields)}
    place = (applies or updates)[0]
    return [
        merged if entry is place else entry
        for entry in managed
        if entry is place or not any(entry is update for update in updates)
    ]


def _is(entry: Manifest, manager: str, operation: str) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (manager, operation, "")


def _union(one: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Field sets (FieldsV1) united: a trie of maps."""
    result = dict(one)
    for other in others:
        for name, below in other.items():
            result[name] = _union(result.get(name) or {}, below or {})
    return result


def _warn(key: ObjectKey, text: str) -> None:
    if text.startswith(_DROPPED):
        log.warning("field is dropped by the API server", object=str(key), why=text)
