"""The custom resources that gitsync serves have to be known to the API server first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gitsync.api.crds import LABELS, crd_names, crds
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import SERVED_SOURCES, SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import ARTIFACT_GENERATOR, FIELD_MANAGER, HELM_GROUP, HELM_RELEASE, SOURCE_GROUP
from gitsync.apply.applier import Applier
from gitsync.apply.crds import apply_crds
from gitsync.errors import KindUnknown, MissingRight
from gitsync.runtime.interrupt import Interrupt

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)


async def ensure_crds(cluster: Cluster) -> None:
    """Create the CustomResourceDefinitions that are missing, and bring those of another gitsync version up to ours;
    somebody else's (Flux's) stay as they are. An agent that serves a single namespace, or may not read them, only makes
    sure that the kinds are served.

    Raises: KindUnknown when they are not; Forbidden when definitions are to be created and that is not allowed;
    ClusterUnavailable.
    """
    if cluster.namespace:
        await require_kinds(cluster)
        return
    keys = [ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", name) for name in crd_names()]
    try:
        found = await asyncio.gather(*(cluster.find(key) for key in keys))
    except MissingRight as error:
        log.debug("custom resource definitions not looked at", error=error.message)
        await require_kinds(cluster)
        return
    wanted = {key.name for key, live in zip(keys, found, strict=True) if live is None or _is_outdated(live)}
    if wanted:
        log.info("custom resource definitions applied", names=", ".join(sorted(wanted)))
        stale = [crd for crd in await asyncio.to_thread(crds) if crd["metadata"]["name"] in wanted]
        await apply_crds(cluster, Applier(cluster, FIELD_MANAGER), stale, Interrupt())


async def require_kinds(cluster: Cluster) -> None:
    """Make sure that the kinds that the agent watches are served: discovery is open to everybody.

    Raises: KindUnknown, saying who creates its definition; ClusterUnavailable.
    """
    own = [(HELM_GROUP, HELM_RELEASE), (SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR)]
    for group, kind in (*own, *((SOURCE_GROUP, kind) for kind in SERVED_SOURCES)):
        try:
            await cluster.resource(group, kind)
        except KindUnknown as error:
            raise KindUnknown(
                error.message,
                group=group,
                kind=kind,
                hint="its CustomResourceDefinition is missing; an administrator brings those of gitsync, by "
                "`gitsync install` or by `kubectl apply --server-side -f config/crds`",
            ) from error


def _is_outdated(live: Manifest) -> bool:
    """Whether a CustomResourceDefinition is ours, of another version."""
    labels = live["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/part-of") == "gitsync" and any(
        labels.get(name) != value for name, value in LABELS.items()
    )
