"""A control plane for these tests alone: an agent serves all of a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.plane import ControlPlane


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(tmp_path_factory.mktemp("docs-plane"), binaries.ensure_all())
    yield plane.start()
    plane.stop()


@pytest.fixture(scope="module")
def kubectl(control_plane: Cluster) -> Cli:
    return Cli(binaries.kubectl(), control_plane.kubeconfig)
