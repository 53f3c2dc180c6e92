"""The objects of one revision on their way into the cluster, in the manner that its HelmRelease asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.clientside import ClientSide, take_over_fields
from gitsync.apply.delete import find_all
from gitsync.apply.ownership import belongs_to, kept, owned
from gitsync.apply.recreate import Force, Put, Recreating
from gitsync.apply.wait import names
from gitsync.errors import GitsyncError
from gitsync.release.flux import marked
from gitsync.release.storage.record import Record

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.release.revision import ActionOptions, ReleaseRef

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ApplyManner:
    """``client_side``: by three-way merge patches rather than server-side apply; ``was_client_side``: a revision whose
    objects may be in the cluster was applied so. ``cleanup``: what is created is noted, to be deleted again.
    """

    client_side: bool
    was_client_side: bool
    cleanup: bool
    force: Force


def manner_of(pending: Record, before: Sequence[Record], options: ActionOptions) -> ApplyManner:
    """The manner of a revision that has begun. Pure."""
    verb = pending.status.removeprefix("pending-")
    return ApplyManner(
        client_side=pending.client_side,
        was_client_side=any(record.client_side for record in before),
        cleanup=options.cleanup_on_fail,
        force=Force(options.force, "" if verb == "install" else f"spec.{verb}.force", options.timeout),
    )


class RevisionApplier:
    """Applies one revision of a release, deletes what it no longer holds, and cleans up when it failed.

    Of an action that is taken up again, what it had created before the interruption is not known, and never cleaned up.
    """

    def __init__(self, cluster: Cluster, applier: Applier, ref: ReleaseRef, manner: ApplyManner) -> None:
        self._cluster = cluster
        self._applier = applier
        self._ref = ref
        self._manner = manner
        self._created: list[Manifest] = []

    async def apply(
        self, objects: Sequence[Manifest], earlier: Mapping[ObjectKey, Sequence[Manifest]]
    ) -> dict[ObjectKey, Manifest]:
        """Apply objects that are in install order, marked as the release's. ``earlier`` is what revisions whose objects
        may be in the cluster held of each. Returns the API server's answers.

        Raises: ApiError, ImmutableField, NotReadyInTime, ClusterUnavailable.
        """
        if self._manner.cleanup:
            present = await find_all(self._cluster, map(ObjectKey.of, objects))
            self._created = [item for item in objects if ObjectKey.of(item) not in present]
        recreating = Recreating(self._cluster, self._put(earlier), self._manner.force)
        ours = [owned(item, self._ref.name, self._ref.namespace) for item in objects]
        return await self._applier.apply_all(ours, recreating.apply)

    def _put(self, earlier: Mapping[ObjectKey, Sequence[Manifest]]) -> Put:
        if self._manner.client_side:
            return ClientSide(self._cluster, HELM_FIELD_MANAGER, earlier).apply
        foreign = self._manner.was_client_side or marked(item for versions in earlier.values() for item in versions)
        return self._take_over if foreign else self._applier.apply

    async def _take_over(self, manifest: Manifest) -> Manifest:
        await take_over_fields(self._cluster, ObjectKey.of(manifest), HELM_FIELD_MANAGER)
        return await self._applier.apply(manifest)

    async def remove(self, manifests: Sequence[Manifest]) -> None:
        """Delete objects, the last one first, as far as they are there and the release's."""
        for manifest in reversed(manifests):
            key = ObjectKey.of(manifest)
            live = await self._cluster.find(key)
            if live is not None and belongs_to(live, self._ref.name, self._ref.namespace):
                await self._cluster.delete(key, uid=live["metadata"]["uid"])

    async def clean_up(self) -> None:
        """After a failure: delete what was created, as ``helm upgrade --cleanup-on-fail`` does; but not what a resource
        policy keeps. What goes wrong with that is only told: the failure is what matters.
        """
        created = [item for item in self._created if not kept(item)]
        if not created:
            return
        said = {"release": str(self._ref), "objects": names([ObjectKey.of(item) for item in created])}
        try:
            await self.remove(created)
        except GitsyncError as error:
            log.warning("objects created by the failed action were not deleted", **said, error=error)
        else:
            log.info("objects created by the failed action were deleted", **said)
