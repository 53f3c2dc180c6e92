"""What releases and syncs of a cluster have, as they say themselves: for one look."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, KUSTOMIZATION, KUSTOMIZE_GROUP, SYNC_LABEL
from gitsync.apply.claimant import Claimant
from gitsync.errors import KindUnknown
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.revisionobjects import RevisionObjects
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.sync.kustomization.storage.statusstore import claim_present, sync_behind
from gitsync.sync.storage.configmaps import inventories_in

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cluster import Cluster


def known_wishes(cluster: Cluster) -> WantedObjects:
    """What releases have now; what they will have is not rendered."""

    async def renders_nothing(release: HelmRelease) -> RevisionObjects:
        return RevisionObjects()

    async def find(release: ObjectKey, key: ObjectKey) -> Manifest | None:
        return await cluster.find(key)

    return WantedObjects(ReleaseIndex(cluster.namespace), ObjectClaims(), renders_nothing, find, _ignore)


async def present_wishes(cluster: Cluster) -> WantedObjects:
    """What all releases and syncs of a cluster have, as their statuses and inventories say.

    Raises: ApiError, ClusterUnavailable.
    """
    wanted = known_wishes(cluster)
    for manifest in await cluster.list(HELM_GROUP, HELM_RELEASE, namespace=cluster.namespace):
        wanted.index.update(ObjectKey.of(manifest), manifest)
    for sync, inventory in inventories_in(await cluster.list("", "ConfigMap", labels=SYNC_LABEL)):
        wanted.claims.set(Claimant("sync", sync), "commit", inventory.wanted)
        wanted.claims.set(Claimant("sync", sync), "kept", inventory.kept)
    with suppress(KindUnknown):
        for manifest in await cluster.list(KUSTOMIZE_GROUP, KUSTOMIZATION, namespace=cluster.namespace):
            if sync_behind(manifest) is None:
                claim_present(wanted.claims, manifest)
    return wanted


def _ignore(*_: object) -> None:
    """A listener that does nothing: this is a single look, and is over before a change could matter."""
