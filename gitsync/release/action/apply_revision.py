"""Applies the objects of one revision, in the manner that its HelmRelease asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.clientside import ClientSide
from gitsync.apply.delete import Deletion, DeletionRules, WantedBy, delete_objects, nobody
from gitsync.apply.deleted import find_all
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.ownership import belongs_to, kept, owned
from gitsync.apply.recreate import Force, Put, Recreating
from gitsync.errors import GitsyncError
from gitsync.release.action.takeover import History, Predecessors, why_kept
from gitsync.release.flux import marked
from gitsync.release.revision import release_fields
from gitsync.release.storage.record import Record
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.release.revision import ActionOptions, ReleaseRef

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ApplyManner:
    """How the objects of a revision are applied.

    - ``client_side``: by three-way merge patches rather than server-side apply; ``was_client_side``: a revision whose
      objects may be in the cluster was applied so.
    - ``cleanup``: after a failure, delete the objects that were created. ``force``: see ``Force``.
    - ``release`` is the HelmRelease; ``wanted_by`` says who else wants objects that would be deleted.
    - ``good`` is the last revision that succeeded, 0 for none. ``resumed``: a process before this one may have applied
      some objects of this revision.
    """

    client_side: bool
    was_client_side: bool
    cleanup: bool
    force: Force
    release: ObjectKey | None = None
    wanted_by: WantedBy = nobody
    good: int = 0
    resumed: bool = False


def manner_of(
    pending: Record, before: Sequence[Record], options: ActionOptions, *, good: int = 0, resumed: bool = False
) -> ApplyManner:
    """The manner in which a pending revision is applied. Pure."""
    verb = pending.status.removeprefix("pending-")
    return ApplyManner(
        client_side=pending.client_side,
        was_client_side=any(record.client_side for record in before),
        cleanup=options.cleanup_on_fail,
        force=Force(options.force, "" if verb == "install" else f"spec.{verb}.force: true", options.timeout),
        release=options.release,
        wanted_by=options.wanted_by,
        good=good,
        resumed=resumed,
    )


class RevisionApplier:
    """Applies one revision of a release, deletes what it no longer holds, and cleans up when it failed.

    For an action that is taken up again, it is not known what was created before the interruption: that is not cleaned
    up.
    """

    def __init__(self, cluster: Cluster, ref: ReleaseRef, revision: int, manner: ApplyManner) -> None:
        self._cluster = cluster
        self._applier = Applier(cluster, HELM_FIELD_MANAGER, OWNERS)
        self._ref = ref
        self._revision = revision
        self._manner = manner
        self._created: list[Manifest] = []
        #: The objects that were created.
        self.created: set[ObjectKey] = set()

    async def apply(self, objects: Sequence[Manifest], earlier: History) -> dict[ObjectKey, Manifest]:
        """Apply objects, which are in install order, with the release's marks. ``earlier`` has each object as those
        revisions had it whose objects may be in the cluster. Returns the API server's answers.

        Raises: ApiError, ImmutableField, NotReadyInTime, ClusterUnavailable.
        """
        if self._manner.cleanup:
            present = await find_all(self._cluster, map(ObjectKey.of, objects))
            self._created = [item for item in objects if ObjectKey.of(item) not in present]
        recreating = Recreating(self._cluster, self._put(earlier), self._manner.force)
        ours = [owned(item, self._ref.name, self._ref.namespace) for item in objects]
        return await self._applier.apply_all(ours, recreating.apply)

    def _put(self, earlier: History) -> Put:
        manner = self._manner
        found = Predecessors(self._ref, self._revision, earlier.first, manner.good, resumed=manner.resumed)
        if manner.client_side:
            client_side = ClientSide(self._cluster, HELM_FIELD_MANAGER, earlier.versions, found.noted)
            self.created = client_side.created
            return client_side.apply
        foreign = manner.was_client_side or marked(item for versions in earlier.versions.values() for item in versions)

        async def put(manifest: Manifest) -> Manifest:
            key = ObjectKey.of(manifest)
            if not found.succeeded_with(key):
                applied = await self._applier.apply_new(manifest, found.noted, expected=found.attempted(key))
            else:
                # Where fields of another tool are likely, read the object first: then one change also removes those.
                live = await self._cluster.find(key) if foreign else None
                applied = await self._applier.apply_over(manifest, live)
            if applied.created:
                self.created.add(key)
            return applied.object

        return put

    async def remove(self, manifests: Sequence[Manifest], stay: Collection[ObjectKey] = ()) -> Deletion:
        """Delete objects, the last one first. An object is not deleted if it is not the release's, if another wants it,
        if it was only taken over by revisions that failed, or if an object that is to ``stay`` would go with it.

        Raises: ApiError, ClusterUnavailable.
        """
        keys = [ObjectKey.of(manifest) for manifest in reversed(manifests)]
        keeps = partial(why_kept, ref=self._ref, good=self._manner.good, stay=stay)
        stays = set(stay).__contains__
        rules = DeletionRules(self._is_ours, self._manner.wanted_by, keeps, stays=stays)
        deletion = await delete_objects(self._cluster, keys, rules)
        self.tell(deletion)
        return deletion

    def tell(self, deletion: Deletion) -> None:
        """Log each object that was not deleted."""
        deletion.log(log.bind(**release_fields(self._manner.release, self._ref)))

    def _is_ours(self, live: Manifest) -> bool:
        return belongs_to(live, self._ref.name, self._ref.namespace)

    async def clean_up(self) -> None:
        """After a failure: delete what was created, as ``helm upgrade --cleanup-on-fail`` does, but for objects with a
        resource policy to keep them. An error here is only logged: the failure of the action is what matters.
        """
        created = [item for item in self._created if not kept(item)]
        if not created:
            return
        said = release_fields(self._manner.release, self._ref)
        try:
            deletion = await self.remove(created)
        except GitsyncError as error:
            objects = listed(map(ObjectKey.of, created))
            log.warning("objects created by the failed action were not deleted", **said, objects=objects, error=error)
        else:
            if deletion.deleted:
                objects = listed(deletion.deleted)
                log.info("objects created by the failed action were deleted", **said, objects=objects)
