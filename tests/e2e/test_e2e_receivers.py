"""Webhooks on a real API server, with real git servers. The poll intervals are so long that only a delivery can be why
something happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.processes import free_ports
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.deliveries import (
    TOKEN,
    deliver,
    github,
    path_of,
    push_body,
    read,
    receiver,
    requested_at,
    secret,
    until_path,
)
from tests.e2e.harness import AgentProcess
from tests.e2e.manifests import config_map
from tests.git.git_world import HttpGit, Repository, http_git


@pytest.fixture
def server(background: Background, tmp_path: Path) -> Iterator[HttpGit]:
    (tmp_path / "served").mkdir()
    serving = http_git(tmp_path / "served")
    yield background.run(serving.__aenter__())
    background.run(serving.__aexit__(None, None, None))


@pytest.fixture
def pushed(server: HttpGit) -> Repository:
    """The repository that the agent syncs, behind a server: nobody sees a push but who asks."""
    return Repository.make(server.root / "fleet")


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def hooked(new_agent: NewAgent, server: HttpGit, pushed: Repository, port: int, sync_name: str) -> AgentProcess:
    """An agent that polls once an hour, and answers webhooks. Not started yet."""
    flags = [f"--repo={server.url}/fleet", f"--name={sync_name}", "--branch=main", "--interval=1h"]
    return new_agent(None, *flags, f"--webhook-port={port}")


def flux_system(url: str) -> str:
    """The GitRepository by which a repository names itself."""
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}},
        }
    )


SYSTEM = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})


def named(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, **more}


def test_a_push_is_synced_when_its_delivery_comes_and_by_nothing_else(
    hooked: AgentProcess, server: HttpGit, pushed: Repository, port: int, kubectl: Cli, namespace: str
) -> None:
    resources = [named("GitRepository", "flux-system")]
    files = {
        "system.yaml": SYSTEM,
        "source.yaml": flux_system(f"{server.url}/fleet"),
        "token.yaml": secret("flux-system"),
        "receiver.yaml": receiver("flux-system", events=["ping", "push"], resources=resources),
        "cm.yaml": config_map(namespace, "text", "one"),
    }
    first = pushed.commit(files, "one")
    hooked.start().wait_for("sync finished", commit=first[:7])
    path = path_of("push", "flux-system")
    until_path(kubectl, "flux-system", path)

    second = pushed.commit({"cm.yaml": config_map(namespace, "text", "two")}, "two")
    count, body = hooked.count, push_body(second)
    assert deliver(port, path, body, github(body, "ping")) == (200, "pong\n")
    assert deliver(port, path, body, github(body, "issues")) == (200, "nothing is done for this event\n")
    assert deliver(port, path, body, github(body, token="another"))[0] == 401
    assert deliver(port, path, b"", {})[0] == 401
    assert deliver(port, path_of("push", "elsewhere"), body, github(body))[0] == 404
    assert not requested_at(kubectl, "flux-system", "gitrepository", "flux-system")
    assert not hooked.said("sync started", after=count)

    assert deliver(port, path, body, github(body)) == (200, "asked for 1 object\n")
    hooked.wait_for("sync started", after=count, commit=second[:7])
    hooked.wait_for("sync finished", after=count, commit=second[:7])
    assert read(kubectl, namespace, "configmap", "text")["data"] == {"text": "two"}

    token = requested_at(kubectl, "flux-system", "gitrepository", "flux-system")
    assert deliver(port, path, body, github(body)) == (202, "this was delivered before\n")
    assert requested_at(kubectl, "flux-system", "gitrepository", "flux-system") == token
    refused = hooked.said("webhook refused: the sender has not proved who it is", receiver="flux-system/push")
    assert [line.fields["count"] for line in refused] == [1]
    assert not [text for text in hooked.raw if TOKEN in text]
