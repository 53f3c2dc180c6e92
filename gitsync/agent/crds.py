"""The custom resources that gitsync serves have to be known to the API server first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gitsync.api.crds import crds
from gitsync.api.identity import ObjectKey
from gitsync.release.apply import Applier
from gitsync.release.interrupt import Interrupt

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)


async def ensure_crds(cluster: Cluster) -> None:
    """Create the CustomResourceDefinitions that are missing; those that are there (Flux's, say) stay as they are.

    Raises: Forbidden when that is not allowed; ClusterUnavailable.
    """
    applier = Applier(cluster, "gitsync")
    wanted = crds()
    present = await applier.existing(ObjectKey.of(crd) for crd in wanted)
    missing = [crd for crd in wanted if ObjectKey.of(crd) not in present]
    if missing:
        log.info("custom resource definitions created", names=", ".join(crd["metadata"]["name"] for crd in missing))
        await applier.apply_crds(missing, Interrupt())
