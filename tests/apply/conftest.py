"""Fixtures of the room: a Cluster on the real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gitsync.cluster import Cluster
from tests.controlplane.cluster import Cluster as ControlPlane


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected
