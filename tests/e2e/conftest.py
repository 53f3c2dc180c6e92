"""Fixtures of the end-to-end tests. Their control plane is theirs alone, for an agent serves all of a cluster, and it
ends with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.fixtures import helm_on, kubectl_on
from tests.controlplane.plane import ControlPlane
from tests.e2e import clearing
from tests.e2e.background import Background
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import CHARTS, SAMPLE
from tests.e2e.watching import DEPLOYMENTS, HELM_CHARTS, HELM_RELEASES, STATEFUL_SETS, Watch

_numbers = itertools.count(1)
NewAgent = Callable[..., AgentProcess]


@pytest.fixture(scope="package")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(tmp_path_factory.mktemp("e2e-plane"), binaries.ensure_all())
    yield plane.start()
    plane.stop()


@pytest.fixture(scope="package")
def kubectl(control_plane: Cluster) -> Cli:
    return kubectl_on(control_plane)


@pytest.fixture(scope="package")
def helm_cli(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return helm_on(control_plane, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    with Background() as running:
        yield running


@pytest.fixture(scope="session")
def charts(background: Background) -> Iterator[ChartServer]:
    """The charts of sample-repo and ``app``, as chart repositories over HTTP."""
    folder = SAMPLE / "charts"
    server = ChartServer({"bitnami": [folder / "redis"], "podinfo": [folder / "podinfo"], "apps": [CHARTS / "app"]})
    background.run(server.__aenter__())
    yield server
    background.run(server.__aexit__(None, None, None))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "fleet")


@pytest.fixture
def sync_name() -> str:
    """The name of this test's sync; each has its own, so that none inherits an inventory."""
    return f"e2e-{next(_numbers)}"


@pytest.fixture
def new_agent(
    request: pytest.FixtureRequest, control_plane: Cluster, tmp_path: Path, sync_name: str
) -> Iterator[NewAgent]:
    """Makes agents, which have yet to be started: ``new_agent(fleet, *flags)``. One at a time: each serves the whole
    cluster. Whatever is left in the cluster afterwards is removed."""
    if "namespace" in request.fixturenames:
        request.getfixturevalue("namespace")  # so that the agents have ended when that is given up
    agents: list[AgentProcess] = []

    def make(fleet: Fleet | None, *flags: str) -> AgentProcess:
        source = [f"--repo={fleet.path}", f"--name={sync_name}", "--interval=5s"] if fleet else []
        agents.append(AgentProcess(control_plane.kubeconfig, tmp_path / f"agent-{len(agents)}", [*source, *flags]))
        return agents[-1]

    try:
        yield make
        defects = [text for agent in agents for text in agent.raw if "Traceback" in text or "a defect in" in text]
        assert not defects, "\n".join(defects)
    finally:
        for agent in agents:
            if agent.is_running:
                agent.kill()
            print(f"--- log of {agent.directory.name}\n{agent.log}")
        clearing.clear(control_plane)


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    """The agent of ``fleet``, not started yet."""
    return new_agent(fleet)


@pytest.fixture
def releases(background: Background, control_plane: Cluster) -> Iterator[Watch]:
    yield from _watch(background, control_plane, HELM_RELEASES)


@pytest.fixture
def helm_charts(background: Background, control_plane: Cluster) -> Iterator[Watch]:
    yield from _watch(background, control_plane, HELM_CHARTS)


@pytest.fixture
def deployments(background: Background, control_plane: Cluster) -> Iterator[Watch]:
    yield from _watch(background, control_plane, DEPLOYMENTS)


@pytest.fixture
def stateful_sets(background: Background, control_plane: Cluster) -> Iterator[Watch]:
    yield from _watch(background, control_plane, STATEFUL_SETS)


def _watch(background: Background, cluster: Cluster, path: str) -> Iterator[Watch]:
    watch = Watch(background, cluster, path)
    yield watch
    watch.close()
