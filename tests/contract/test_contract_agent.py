"""The whole agent on a sandbox, as ``gitsync demo`` and ``gitsync verify`` use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitsync.charts.serve import ChartServer
from gitsync.sandbox import Sandbox
from tests.controlplane import binaries
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.background import Background
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import SAMPLE, story

pytestmark = pytest.mark.e2e  # whole agents

REDIS, BACKEND = "releases/redis.yaml", "releases/backend.yaml"


@pytest.fixture
def fresh(background: Background) -> Iterator[Path]:
    """The kubeconfig of a sandbox that nobody has used."""
    running = Sandbox(delay=0.05)
    background.run(running.__aenter__(), timeout=60)
    yield running.kubeconfig
    background.run(running.__aexit__(None, None, None), timeout=60)


@pytest.fixture
def charts(background: Background) -> Iterator[str]:
    folder = SAMPLE / "charts"
    server = ChartServer({"bitnami": [folder / "redis"], "podinfo": [folder / "podinfo"]})
    background.run(server.__aenter__(), timeout=60)
    yield server.url
    background.run(server.__aexit__(None, None, None), timeout=60)


@pytest.fixture
def agent(fresh: Path, tmp_path: Path) -> Iterator[AgentProcess]:
    repository = f"--repo={tmp_path / 'fleet'}"
    process = AgentProcess(fresh, tmp_path, [repository, "--name=contract", "--interval=5s", "--allow-mass-prune"])
    yield process
    if process.is_running:
        process.kill()
    print(process.log)


def cli_of(name: str, kubeconfig: Path) -> Cli:
    return Cli(binaries.kubectl() if name == "kubectl" else binaries.ensure(binaries.HELM), kubeconfig)


def test_two_releases_are_deployed_upgraded_held_up_healed_and_pruned(
    agent: AgentProcess, charts: str, fresh: Path, tmp_path: Path
) -> None:
    cli = cli_of("helm", fresh)
    fleet = Fleet(tmp_path / "fleet")
    files = story(charts, timeout="5s")
    first = fleet.commit(files, "redis and backend")
    agent.start()
    agent.wait_for("sync finished", commit=first[:7], timeout=120)
    installed = [line.fields["release"] for line in agent.said("release installed")]
    assert installed == ["default/redis", "default/backend"]
    assert helm.listed(cli, "default") == {"redis": ("deployed", 1), "backend": ("deployed", 1)}

    values = "  values:\n"
    moved = fleet.commit({BACKEND: files[BACKEND].replace(values, f"{values}    ui: {{message: moved}}\n")}, "moved")
    agent.wait_for("sync finished", commit=moved[:7], timeout=120)
    assert helm.history(cli, "default", "backend") == [(1, "superseded"), (2, "deployed")]

    broken = files[REDIS].replace(values, f"{values}    image: {{tag: missing}}\n")
    bad = fleet.commit({REDIS: broken}, "an image that is not there")
    agent.wait_for("sync finished with failures", commit=bad[:7], timeout=120)
    reason = 'pod redis-master-0: ImagePullBackOff: Back-off pulling image "registry.example/redis:missing"'
    assert reason in agent.said("upgrade retries exhausted")[0].fields["error"]
    assert "ImagePullBackOff" in cli_of("kubectl", fresh)("get", "pods")

    healed = fleet.commit({REDIS: files[REDIS]}, "an image that is there")
    agent.wait_for("sync finished", commit=healed[:7], timeout=120)

    gone = fleet.commit({REDIS: None, BACKEND: None}, "neither of them")
    agent.wait_for("sync finished", commit=gone[:7], timeout=120)
    assert [line.fields["release"] for line in agent.said("release uninstalled")] == [
        "default/backend",
        "default/redis",
    ]
    assert helm.listed(cli, "default") == {}
    assert agent.stop() == 0
