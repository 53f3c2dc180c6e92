"""The API server goes away while a commit is applied, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cluster.silentproxy import SilentProxy, silent_proxy
from tests.controlplane.cluster import Cli, Cluster
from tests.e2e.background import Background
from tests.e2e.configmaps import config_map
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet


class Road:
    """The way to the API server by ``kubeconfig``, which may be closed."""

    def __init__(self, proxy: SilentProxy, kubeconfig: Path, background: Background) -> None:
        self.kubeconfig = kubeconfig
        self._proxy, self._background = proxy, background

    def close(self) -> None:
        async def away() -> None:
            self._proxy.go_away()

        self._background.run(away())

    def open(self) -> None:
        self._proxy.away = False


@pytest.fixture
def road(control_plane: Cluster, background: Background, tmp_path: Path) -> Iterator[Road]:
    server = urlsplit(control_plane.server)
    assert server.hostname is not None
    assert server.port is not None
    proxied = silent_proxy(server.hostname, server.port)
    proxy = background.run(proxied.__aenter__())
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(control_plane.kubeconfig.read_text().replace(f":{server.port}", f":{proxy.port}"))
    yield Road(proxy, kubeconfig, background)
    background.run(proxied.__aexit__(None, None, None))


def test_a_single_run_goes_on_once_the_api_server_is_back(
    road: Road, new_agent: NewAgent, kubectl: Cli, fleet: Fleet, namespace: str
) -> None:
    fleet.commit({f"{number}.yaml": config_map(namespace, f"m-{number}") for number in range(400)}, "many")
    agent = new_agent(fleet, "--once")
    agent.kubeconfig = road.kubeconfig
    agent.start().wait_for("object created")
    road.close()
    agent.wait_for("sync will be tried again")
    road.open()
    assert agent.wait() == 0
    assert len(kubectl("get", "configmaps", "-n", namespace, "-o", "name").split()) >= 400
