"""A control plane for these tests alone: an agent serves all of a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.fixtures import kubectl_on
from tests.controlplane.plane import ControlPlane
from tests.docs.markdown import ROOT
from tests.e2e.background import Background


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(tmp_path_factory.mktemp("docs-plane"), binaries.ensure_all())
    yield plane.start()
    plane.stop()


@pytest.fixture(scope="module")
def kubectl(control_plane: Cluster) -> Cli:
    return kubectl_on(control_plane)


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartServer]:
    """The charts of the sample repository, over HTTP."""
    folder = ROOT / "sample-repo" / "charts"
    with Background() as background:
        server = ChartServer({"bitnami": [folder / "redis"], "podinfo": [folder / "podinfo"]})
        background.run(server.__aenter__())
        yield server
        background.run(server.__aexit__(None, None, None))
