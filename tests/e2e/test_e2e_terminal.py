"""The agent as somebody at a terminal sees it: ``gitsync run`` on a pseudo terminal, against a real API server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cluster
from tests.e2e import clearing
from tests.e2e.harness import GITSYNC, Fleet
from tests.e2e.manifests import config_map, release, repository
from tests.screen import Terminal
from tests.until import ask_until

#: What moves a terminal's cursor, forges a line, and turns text around.
HOSTILE = "slow \x1b[2J\x1b]0;owned\x07 and \u202etxet"
WIDTH = 120


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(WIDTH)
    yield made
    if not made.is_closed:
        made.close()


@pytest.fixture
def cleared(control_plane: Cluster) -> Iterator[Cluster]:
    yield control_plane
    clearing.clear(control_plane)


def agent(terminal: Terminal, cluster: Cluster, fleet: Fleet, directory: Path, *flags: str) -> subprocess.Popen[bytes]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITSYNC_", "KUBE", "NO_COLOR"))}
    return subprocess.Popen(
        [
            *(
                GITSYNC,
                "run",
                f"--repo={fleet.path}",
                f"--name={directory.name[:40].strip('_').replace('_', '-')}",
                f"--kubeconfig={cluster.kubeconfig}",
            ),
            *(f"--state-dir={directory / 'state'}", *flags),
        ],
        env={**ours, "HOME": str(directory), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=terminal.slave,
        stderr=terminal.slave,
    )


def test_a_sync_on_a_terminal(
    terminal: Terminal, cleared: Cluster, fleet: Fleet, charts: ChartServer, namespace: str, tmp_path: Path
) -> None:
    slow = release(namespace, "slow", values={"args": ["--ready-after=4s"]})
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            "slow.yaml": slow,
            "next.yaml": release(namespace, "next", "slow"),
            "broken.yaml": "kind: \x1b[31m\n",
        },
        HOSTILE,
    )
    process = agent(terminal, cleared, fleet, tmp_path)
    try:
        ask_until(lambda: terminal.screen.text, lambda text: "sync finished" in text, "the sync is over", 120.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    terminal.close()

    screen, commit = terminal.screen, fleet.head[:7]
    assert screen.steering == []
    assert screen.too_long == []
    assert "owned" in screen.text
    row = r"\d\d:\d\d:\d\d (INFO |WARN |ERROR) "
    assert [row_ for row_ in screen.rows if not re.match(rf"{row}| {{9}} *\S|\Z", row_)] == []
    told = " ".join(screen.text.split())
    for wanted in (
        r'(commit by Ada "slow [2J ]0;owned and \u202etxet")',
        f"INFO {commit} sync started files=4 objects=1 releases=2",
        f"INFO {commit} HelmRelease/{namespace}/next dependency '{namespace}/slow' is not ready",
        f"INFO {commit} HelmRelease/{namespace}/next all dependencies are ready, proceeding with release",
        f"INFO {commit} HelmRelease/{namespace}/slow release installed revision=1 app-1.0.0",
    ):
        assert wanted in told
    assert screen.text.count("by Ada") == 1
    assert "broken.yaml:1:" in screen.text
    assert "origin=" not in screen.text
    # Below it, while it ran; gone at its end.
    below = [text for text in terminal.bottoms if text.startswith("syncing")]
    assert any(re.fullmatch(rf"syncing {commit}: 0 ready, 2 waiting, 0 failed · \ds", text) for text in below), below
    assert not any("syncing" in row_ for row_ in screen.rows)


def test_verbose_lines_say_where_an_object_is_written(
    terminal: Terminal, cleared: Cluster, fleet: Fleet, namespace: str, tmp_path: Path
) -> None:
    fleet.commit({"a.yaml": config_map(namespace, "a")}, "a")
    process = agent(terminal, cleared, fleet, tmp_path, "--once", "--verbose")
    code = process.wait(120)
    terminal.close()
    assert code == 0, terminal.screen.text
    assert f"ConfigMap/{namespace}/a" in terminal.screen.text
    assert "origin=a.yaml:1:1" in terminal.screen.text
    assert terminal.screen.steering == []
