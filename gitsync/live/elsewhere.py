"""The cluster that what a HelmRelease or a Kustomization brings is in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.cluster import CONFINED
from gitsync.release.values.kubeconfig import remote_of

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.api.kustomization import Kustomization
    from gitsync.cluster import Cluster


@asynccontextmanager
async def cluster_of(cluster: Cluster, item: HelmRelease | Kustomization) -> AsyncIterator[Cluster]:
    """The cluster in which a HelmRelease or Kustomization has its objects, while the context is open: ``cluster``
    itself, or the one that its kubeConfig describes. The user must be able to log in there as the agent does.

    Raises: KubeConfigMissing, KubeConfigRefused, ApiError, ClusterUnavailable.
    """
    source = item.kubeconfig_source
    if source is None:
        yield cluster
        return
    live = await cluster.find(source)
    remote = remote_of(item, lambda _: live)
    assert remote is not None
    async with await cluster.other(remote, CONFINED) as other:
        yield other
