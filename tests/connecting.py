"""A connection to the control plane for what serves one namespace of it, gitsync's kinds being there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gitsync.agent.ownkinds import ensure_crds
from gitsync.cluster import Cluster
from tests.controlplane.cluster import Cluster as ControlPlane


@asynccontextmanager
async def serving_namespace(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Cluster]:
    """The cluster, of which this namespace alone is served."""
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as everywhere:
        await ensure_crds(everywhere)
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig, namespace=namespace) as cluster:
        yield cluster
