"""The custom resources that gitsync serves have to be known to the API server first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gitsync.api.crds import LABELS, crd_names, crds
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.release.apply import Applier
from gitsync.release.interrupt import Interrupt

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)


async def ensure_crds(cluster: Cluster) -> None:
    """Create the CustomResourceDefinitions that are missing, and bring those of another gitsync version up to ours;
    somebody else's (Flux's) stay as they are.

    Raises: Forbidden when that is not allowed; ClusterUnavailable.
    """
    keys = [ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", name) for name in crd_names()]
    found = await asyncio.gather(*(cluster.find(key) for key in keys))
    wanted = {key.name for key, live in zip(keys, found, strict=True) if live is None or _is_outdated(live)}
    if wanted:
        log.info("custom resource definitions applied", names=", ".join(sorted(wanted)))
        stale = [crd for crd in await asyncio.to_thread(crds) if crd["metadata"]["name"] in wanted]
        await Applier(cluster, "gitsync").apply_crds(stale, Interrupt())


def _is_outdated(live: Manifest) -> bool:
    """Whether a CustomResourceDefinition is ours, of another version."""
    labels = live["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/part-of") == "gitsync" and any(
        labels.get(name) != value for name, value in LABELS.items()
    )
