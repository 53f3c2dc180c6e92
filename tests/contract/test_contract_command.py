"""``gitsync sandbox``, as people start and end it."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli
from tests.e2e.harness import GITSYNC


@contextmanager
def started(*flags: str | Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command while it runs, and what it said up to its last line of help."""
    command = [str(GITSYNC), "sandbox", *map(str, flags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "gitsync run" in line:
                break
        try:
            yield process, lines
        finally:
            process.kill()


def test_it_says_how_to_use_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    with started("--kubeconfig", path) as (process, lines):
        assert f"    export KUBECONFIG={path}" in lines
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "default" in Cli(binaries.kubectl(), path)("get", "namespaces")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not path.exists()


def test_a_kubeconfig_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("mine")
    with started("--kubeconfig", path) as (process, lines):
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert f"cannot write {path}" in process.stderr.read()
    assert lines == []
    assert path.read_text() == "mine"


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started("--port", str(port), "--kubeconfig", tmp_path / "kubeconfig") as (process, _):
            assert process.wait(60) == 1
            assert process.stderr is not None
            assert f"cannot listen on 127.0.0.1:{port}" in process.stderr.read()
