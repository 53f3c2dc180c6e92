"""The same tests on the sandbox and on a real control plane: ``control_plane`` is each in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gitsync.cluster import Cluster
from gitsync.sandbox import Sandbox
from tests.controlplane import binaries, fixtures
from tests.controlplane.cluster import Cli
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.e2e.background import Background

#: Changes that the sandbox of the tests remembers: few, so that a test can outlive them.
HISTORY = 3000


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A sandbox in a thread of its own, as tests see a cluster."""
    with Background() as background:
        running = Sandbox(delay=0.05, missing="nonexistent", history=HISTORY)
        background.run(running.__aenter__(), timeout=60)
        directory = tmp_path_factory.mktemp("sandbox")
        yield ControlPlane.from_kubeconfig(running.kubeconfig, binaries.kubectl(), directory)
        background.run(running.__aexit__(None, None, None), timeout=60)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real control plane."""
    yield from fixtures.running_control_plane(tmp_path_factory.mktemp("controlplane"))


@pytest.fixture(scope="session", params=["sandbox", "real"])
def control_plane(request: pytest.FixtureRequest) -> ControlPlane:
    """The sandbox, and a real control plane."""
    found: ControlPlane = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Cli:
    return Cli(binaries.kubectl(), control_plane.kubeconfig)


@pytest.fixture(scope="session")
def helm_cli(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("helm")
    environment = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return Cli(binaries.ensure(binaries.HELM), control_plane.kubeconfig, environment)


@pytest.fixture
async def live(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    """gitsync's own client."""
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected
