"""Client-side apply, as Helm's ``--server-side=false``: three-way merge patches against what earlier revisions held.

And the way from there to server-side apply: what a client-side apply wrote belongs to the field manager's updates, and
only what belongs to its applies is taken away when the manifest no longer has it (client-go's csaupgrade).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FLUX_FIELD_MANAGER
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
    """Make what ``manager`` wrote to an object by client-side apply its own in server-side apply, and what Flux wrote
    in any way; one request when there is nothing to do, or no object.
    """
    from gitsync.cluster import retry_on_conflict  # lazily: ``gitsync validate`` needs no cluster

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
    """``metadata.managedFields`` in which everything that ``manager`` updated and that Flux wrote counts as applied by
    ``manager``; None when it does already. As csaupgrade.UpgradeManagedFields of client-go. Pure.
    """
    taken = [entry for entry in managed if _is(entry, manager, "Update") or _is(entry, FLUX_FIELD_MANAGER)]
    if not taken:
        return None
    applied = next((entry for entry in managed if _is(entry, manager, "Apply")), None)
    base = applied or {**taken[0], "manager": manager, "operation": "Apply"}
    # Fields of another version of the API cannot be told from here; they are left to nobody.
    fields = [entry.get("fieldsV1") or {} for entry in taken if entry.get("apiVersion") == base.get("apiVersion")]
    rest = [entry for entry in managed if entry is not applied and not any(entry is other for other in taken)]
    return [*rest, {**base, "fieldsV1": _union(base.get("fieldsV1") or {}, *fields)}]


def _is(entry: Manifest, manager: str, operation: str = "") -> bool:
    """Whether an entry is of a manager (and an operation), and of the object itself."""
    same = entry.get("manager") == manager and not entry.get("subresource")
    return same and operation in ("", entry.get("operation"))


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
