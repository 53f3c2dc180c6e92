"""What tests of commands for the cluster share: our kinds, charts on loopback, an agent, and a way to call gitsync."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitsync.api.crds import crds
from gitsync.charts.serve import ChartServer
from gitsync.cli import main
from tests.controlplane.cluster import Cli, Cluster
from tests.e2e import clearing
from tests.e2e.background import Background
from tests.e2e.harness import AgentProcess, Fleet, Line
from tests.e2e.manifests import CHARTS


@dataclass(frozen=True)
class Said:
    """The result of a command."""

    code: int
    out: str
    err: str


#: ``gitsync("get", "all")``
Gitsync = Callable[..., Said]


@dataclass(frozen=True)
class Serving:
    """An agent that syncs ``fleet`` to a cluster, and a namespace for both; ``charts`` is the URL of its charts."""

    agent: AgentProcess
    fleet: Fleet
    namespace: str
    charts: str

    def synced(self, files: dict[str, str | None], subject: str = "change") -> None:
        """Commit, and wait until the agent has carried that out."""
        commit = self.fleet.commit(files, subject)

        def done(line: Line) -> bool:
            ours = commit.startswith(str(line.fields.get("commit", "-")))
            return ours and line.msg.startswith("sync ") and "unchanged" in line.fields

        self.agent.until(done, f"the end of {subject!r}")


@pytest.fixture
def gitsync(control_plane: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gitsync:
    """The command line, on the test's cluster."""
    for name in [name for name in os.environ if name.startswith("GITSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> Said:
        capsys.readouterr()
        code = main([*words, "--kubeconfig", str(control_plane.kubeconfig)])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture(scope="session")
def our_kinds(kubectl: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Has the API server know our kinds."""
    file = tmp_path_factory.mktemp("crds") / "crds.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": crds()}))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(file))
    names = [f"crd/{crd['metadata']['name']}" for crd in crds()]
    kubectl("wait", "--for=condition=Established", "--timeout=120s", *names)


@pytest.fixture
def without_cluster(
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Gitsync:
    """The command line in the repository of the test's ``fleet``, with no cluster to be found."""
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(fleet.path)

    def run(*arguments: str) -> Said:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def charts_url() -> Iterator[str]:
    """The chart ``app`` as a chart repository."""
    with Background() as background:
        server = ChartServer({"apps": [CHARTS / "app"]})
        background.run(server.__aenter__())
        yield server.url
        background.run(server.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def serving(
    control_plane: Cluster, our_kinds: None, charts_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """An agent for the whole module: one serves all of a cluster."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    fleet = Fleet(tmp_path_factory.mktemp("fleet") / "repository")
    fleet.commit({"README": "a fleet"}, "begin")
    flags = [f"--repo={fleet.path}", f"--name={name}", "--interval=5s", "--allow-mass-prune"]
    agent = AgentProcess(control_plane.kubeconfig, tmp_path_factory.mktemp("agent"), flags)
    try:
        agent.start().wait_for("gitsync started")
        yield Serving(agent, fleet, name, charts_url)
    finally:
        agent.stop()
        clearing.clear(control_plane)
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")
    assert "Traceback" not in agent.log
