"""Client-side apply, as Helm's ``--server-side=false``: three-way merge patches against what earlier revisions held.

The way from there to server-side apply is that of all fields that something else wrote first (see fieldmanagers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.applier import GONE_TIMEOUT
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.ownership import marks_of
from gitsync.diff import merge_patch
from gitsync.errors import AlreadyExists

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: What the API server's warning of a field that it drops says, when the object is not applied server-side.
_DROPPED = "unknown field"


class ClientSide:
    """Creates and patches objects as ``manager``. ``earlier`` are the manifests that revisions before this one had of
    an object: what they named and the new one does not is taken away. One that is there already is patched to be as
    ``adapted(manifest, live)``.
    """

    def __init__(
        self,
        cluster: Cluster,
        manager: str,
        earlier: Mapping[ObjectKey, Sequence[Manifest]],
        adapted: Callable[[Manifest, Manifest], Manifest] = lambda manifest, _: manifest,
    ) -> None:
        self._cluster = cluster
        self._manager = manager
        self._earlier = earlier
        #: The objects that were created, and not patched.
        self.created: set[ObjectKey] = set()
        self._adapted = adapted

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
                made = await self._cluster.create(manifest, manager=self._manager, warn=lambda text: _warn(key, text))
                self.created.add(key)
                return made
            except AlreadyExists:  # made by somebody else just now
                live = await self._cluster.get(key, version=version)
        manifest = self._adapted(manifest, live)
        earlier = _with_marks(self._earlier.get(key, ()), live)
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


def _with_marks(earlier: Sequence[Manifest], live: Manifest) -> list[Manifest]:
    """Earlier manifests, as if the newest had all marks that are on the object: those that are not given again go."""
    marks = marks_of(live)
    if not earlier or not marks:
        return [*earlier, *marks]
    *older, newest = earlier
    metadata = dict(newest.get("metadata") or {})
    for field, found in marks[0]["metadata"].items():
        metadata[field] = {**(metadata.get(field) or {}), **found}
    return [*older, {**newest, "metadata": metadata}]


def _warn(key: ObjectKey, text: str) -> None:
    if text.startswith(_DROPPED):
        log.warning("field is dropped by the API server", object=str(key), why=text)
