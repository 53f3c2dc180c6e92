"""A connection that serves one namespace of the control plane, with gitsync's kinds installed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gitsync.agent.ownkinds import ensure_crds
from gitsync.cluster import Cluster
from tests.controlplane.cluster import Cluster as ControlPlane


@asynccontextmanager
async def serving_namespace(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Cluster]:
    """A Cluster that serves this namespace alone."""
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as everywhere:
        await ensure_crds(everywhere)
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig, namespace=namespace) as cluster:
        yield cluster
