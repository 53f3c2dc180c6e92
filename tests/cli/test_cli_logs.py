"""``gitsync logs``: which lines are shown, and a pod's log from a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitsync.cli.agent.logs import LineFilter, _show
from gitsync.logs import Console, LogLevel, read_line
from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cli

LINE: dict[str, Any] = {
    "time": "2026-11-23T06:00:00.123Z",
    "level": "info",
    "msg": "release installed",
    "release": "default/redis",
    "took": 1.4,
}


@pytest.mark.parametrize(
    ("level", "release", "shown"),
    [
        ("debug", "", True),
        ("info", "default/redis", True),
        ("info", "redis", True),
        ("warning", "", False),
        ("info", "default/backend", False),
        ("info", "edis", False),
    ],
)
def test_lines_are_chosen_by_level_and_release(
    level: LogLevel, release: str, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    _show(json.dumps(LINE), LineFilter(level, release), "text", Console())
    assert ("release installed" in capsys.readouterr().out) is shown


def test_a_line_is_told_as_the_agent_tells_it_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _show(json.dumps(LINE), LineFilter("debug", ""), "text", Console())
    assert capsys.readouterr().out.endswith(
        "INFO          HelmRelease/default/redis        release installed took=1.4s\n"
    )
    _show(json.dumps(LINE), LineFilter("debug", ""), "json", Console())
    assert json.loads(capsys.readouterr().out) == LINE


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last):", "[1]", '{"time": 1}', '{"msg": "x"}', "{"])
def test_what_no_agent_wrote_is_no_line_and_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_line(text) is None
    _show(text, LineFilter("error", ""), "text", Console())
    assert capsys.readouterr().out == f"{text}\n"


def test_the_log_of_the_agent_s_pod_is_printed(gitsync: Gitsync, kubectl: Cli, namespace: str) -> None:
    said = gitsync("logs", "--namespace", namespace)
    assert said.code == 1
    assert f"no agent is running in namespace {namespace}" in said.err

    labels = {"app.kubernetes.io/name": "gitsync"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gitsync-0", "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "gitsync", "image": "registry.example/gitsync:1"}]},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("wait", "pod/gitsync-0", "-n", namespace, "--for=condition=Ready", "--timeout=120s")
    said = gitsync("logs", "--namespace", namespace, "--tail", "5")
    assert (said.code, said.err) == (0, "")
    assert said.out.strip() == kubectl("logs", "gitsync-0", "-n", namespace).strip()
