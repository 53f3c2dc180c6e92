"""Webhooks on a real API server, with real git servers. The poll intervals are so long that only a delivery can be why
something happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
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
    hub_signature,
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
from tests.until import ask_until


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


@pytest.fixture
def tokened(hooked: AgentProcess, tmp_path: Path) -> Path:
    """The file with the token of the repository's webhook."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "token").write_text(f"{TOKEN}\n")
    hooked.arguments.append(f"--webhook-secret-file={folder / 'token'}")
    return folder / "token"


def test_the_repository_has_a_webhook_without_any_object(
    hooked: AgentProcess, tokened: Path, pushed: Repository, port: int, sync_name: str, kubectl: Cli, namespace: str
) -> None:
    first = pushed.commit({"cm.yaml": config_map(namespace, "text", "one")}, "one")
    hooked.start().wait_for("sync finished", commit=first[:7])
    path = path_of(sync_name, "gitsync-system")
    assert hooked.wait_for("webhook of the repository").fields["path"] == path

    def synced(number: int, headers: dict[str, str], body: bytes) -> None:
        commit = pushed.commit({"cm.yaml": config_map(namespace, "text", f"text-{number}")}, f"{number}")
        count = hooked.count
        assert deliver(port, path, body, {}) == (401, "no header tells who has signed this\n")
        assert deliver(port, path, body, headers) == (200, "asked for 1 object\n")
        hooked.wait_for("sync started", after=count, commit=commit[:7])
        hooked.wait_for("sync finished", after=count, commit=commit[:7])

    body = push_body("1")
    synced(1, github(body), body)
    synced(2, {"X-Gitlab-Token": TOKEN, "X-Gitlab-Event": "Push Hook"}, b"")
    synced(3, {"X-Hub-Signature": hub_signature(b"{}"), "X-Event-Key": "repo:refs_changed"}, b"{}")
    synced(4, {"X-Signature": hub_signature(b"now", algorithm="sha512")}, b"now")

    tokened.write_text("another")
    old, path = path, path_of(sync_name, "gitsync-system", "another")
    hooked.wait_for("webhook of the repository", path=path)
    assert deliver(port, old, body, github(body))[0] == 404
    body = push_body("5")
    synced(5, github(body, token="another"), body)
    assert not [text for text in hooked.raw if TOKEN in text]


def source(namespace: str, kind: str, name: str, url: str, labels: dict[str, str] | None = None) -> str:
    """A source that is suspended: what asks for it is seen, and nothing comes of it."""
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    spec = {"interval": "1h", "url": url, "suspend": True}
    api_version = "source.toolkit.fluxcd.io/v1"
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})


GIT, OCI = "https://git.example/a", "oci://registry.example/a"
RELEASE = {
    "apiVersion": "helm.toolkit.fluxcd.io/v2",
    "kind": "HelmRelease",
    "spec": {"interval": "1h", "suspend": True, "chartRef": {"kind": "OCIRepository", "name": "oci"}},
}


@pytest.fixture
def alone(new_agent: NewAgent, port: int) -> AgentProcess:
    """An agent without a repository, which answers webhooks."""
    agent = new_agent(None, f"--webhook-port={port}").start()
    agent.wait_for("gitsync started")
    return agent


def test_a_delivery_asks_for_what_the_receiver_names_and_its_filters_let_through(
    alone: AgentProcess, port: int, kubectl: Cli, namespace: str
) -> None:
    for name, labels in (("a", {"app": "web"}), ("b", {"app": "web"}), ("c", {"app": "db"})):
        kubectl("apply", "-f", "-", stdin=source(namespace, "GitRepository", name, GIT, labels))
    kubectl("apply", "-f", "-", stdin=source(namespace, "OCIRepository", "oci", OCI))
    release = {**RELEASE, "metadata": {"name": "app", "namespace": namespace}}
    kubectl("apply", "-f", "-", stdin=json.dumps(release))
    kubectl("apply", "-f", "-", stdin=secret(namespace))
    everything = [("gitrepository", "a"), ("gitrepository", "b"), ("gitrepository", "c"), ("ocirepository", "oci")]
    everything.append(("helmrelease", "app"))
    numbers = iter(range(100))

    def asked(kind: str = "generic-hmac", **spec: Any) -> tuple[int, set[str]]:
        """How a delivery to such a receiver is answered, and what was asked for by it."""
        name = f"r{next(numbers)}"
        before = {it: requested_at(kubectl, namespace, *it) for it in everything}
        kubectl("apply", "-f", "-", stdin=receiver(namespace, name, kind, **spec))
        path = path_of(name, namespace)
        until_path(kubectl, namespace, path, name)
        body = json.dumps({"tag": "1.2", "app": "web"}).encode()
        headers = {"X-Signature": hub_signature(body), "Content-Type": "application/json"}
        status, _ = deliver(port, path, body, headers)
        return status, {it[1] for it in everything if requested_at(kubectl, namespace, *it) != before[it]}

    web = {"kind": "GitRepository", "name": "*", "matchLabels": {"app": "web"}}
    assert asked(resources=[named("GitRepository", "a")]) == (200, {"a"})
    assert asked(resources=[named("OCIRepository", "oci"), named("HelmRelease", "app")]) == (200, {"oci", "app"})
    assert asked(resources=[web]) == (200, {"a", "b"})
    assert asked("generic", resources=[web, named("GitRepository", "a")]) == (200, {"a", "b"})
    assert asked(resources=[named("GitRepository", "a"), named("GitRepository", "missing")]) == (500, {"a"})
    every = named("GitRepository", "*", matchLabels={})
    assert asked(resources=[every]) == (200, {"a", "b", "c"})
    by_label = "res.metadata.labels.app == req.app && req.tag == '1.2'"
    assert asked(resources=[every], resourceFilter=by_label) == (200, {"a", "b"})
    one = {**every, "filter": "res.metadata.name == 'c'"}
    assert asked(resources=[one, named("OCIRepository", "oci")]) == (200, {"c", "oci"})
    assert asked(resources=[one], resourceFilter="req.tag == '2'") == (200, set())
    assert asked(resources=[named("GitRepository", "a")], resourceFilter="req.missing == 1") == (500, set())


def test_a_receivers_webhook_follows_its_token_and_what_it_says(
    alone: AgentProcess, port: int, kubectl: Cli, namespace: str
) -> None:
    body, resources = push_body("1"), [named("GitRepository", "a")]
    kubectl("apply", "-f", "-", stdin=source(namespace, "GitRepository", "a", GIT))
    kubectl("apply", "-f", "-", stdin=receiver(namespace, resources=resources))

    def ready() -> tuple[str, str, str]:
        status = read(kubectl, namespace, "receiver", "push").get("status") or {}
        found = [it for it in status.get("conditions") or () if it["type"] == "Ready"]
        return (found[0]["status"], found[0]["reason"], status.get("webhookPath", "")) if found else ("", "", "")

    ask_until(ready, lambda it: it == ("False", "TokenNotFound", ""), "there is no Secret")
    kubectl("apply", "-f", "-", stdin=secret(namespace))
    path = path_of("push", namespace)
    ask_until(ready, lambda it: it == ("True", "Succeeded", path), "there is a Secret")
    assert deliver(port, path, body, github(body))[0] == 200
    columns = kubectl("get", "receivers", "-n", namespace)
    assert f"Receiver initialized for path: {path}" in columns

    kubectl("apply", "-f", "-", stdin=secret(namespace, "another"))
    other = path_of("push", namespace, "another")
    ask_until(ready, lambda it: it == ("True", "Succeeded", other), "the Secret has another token")
    assert deliver(port, path, body, github(body))[0] == 404
    assert deliver(port, other, body, github(body))[0] == 401

    def status() -> int:
        fresh = push_body(str(time.monotonic()))
        return deliver(port, other, fresh, github(fresh, token="another"))[0]

    kubectl("patch", "receiver", "push", "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": true}}')
    ask_until(status, lambda it: it == 503, "it is suspended")
    kubectl("patch", "receiver", "push", "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": null}}')
    ask_until(status, lambda it: it == 200, "it is resumed")
    wrong = receiver(namespace, resources=resources, resourceFilter="res.metadata.name ==")
    kubectl("apply", "-f", "-", stdin=wrong)
    ask_until(ready, lambda it: it == ("False", "InvalidCELExpression", ""), "its expression is wrong")
    assert status() == 404
    kubectl("apply", "-f", "-", stdin=receiver(namespace, resources=resources))
    ask_until(ready, lambda it: it == ("True", "Succeeded", other), "its expression is right")
    kubectl("patch", "receiver", "push", "-n", namespace, "--type=merge", "-p", FINALIZED)
    kubectl("delete", "receiver", "push", "-n", namespace, "--timeout=110s")
    ask_until(status, lambda it: it == 404, "it is gone")


def test_after_a_start_a_webhook_says_to_come_again_until_its_receiver_was_looked_at(
    new_agent: NewAgent, alone: AgentProcess, port: int, kubectl: Cli, namespace: str
) -> None:
    """It said that there is none, which services take as the last word."""
    kubectl("apply", "-f", "-", stdin=secret(namespace))
    kubectl("apply", "-f", "-", stdin=source(namespace, "GitRepository", "a", GIT))
    kubectl("apply", "-f", "-", stdin=receiver(namespace, resources=[named("GitRepository", "a")]))
    path = path_of("push", namespace)
    until_path(kubectl, namespace, path)
    for _ in range(3):
        alone.kill()
        alone.start()
        seen: list[int] = []

        def status(seen: list[int] = seen) -> int:
            with suppress(OSError):
                seen.append(deliver(port, path, b"{}", github(b"{}", token="wrong"))[0])
            return seen[-1] if seen else 0

        ask_until(status, lambda it: it == 401, "it answers")
        assert set(seen) <= {401, 503}


#: As Flux's notification-controller leaves a Receiver.
FINALIZED = json.dumps({"metadata": {"finalizers": ["finalizers.fluxcd.io"]}})


def test_a_receiver_names_no_other_namespace_where_that_is_not_allowed(
    new_agent: NewAgent, port: int, kubectl: Cli, namespace: str
) -> None:
    agent = new_agent(None, f"--webhook-port={port}", "--no-cross-namespace-refs").start()
    agent.wait_for("gitsync started")
    kubectl("apply", "-f", "-", stdin=secret(namespace))
    elsewhere = [named("GitRepository", "a", namespace="default")]
    kubectl("apply", "-f", "-", stdin=receiver(namespace, resources=elsewhere))
    line = agent.wait_for("receiver takes no deliveries", receiver=f"{namespace}/push")
    assert "is in another namespace" in line.fields["why"]
    body = push_body("1")
    assert deliver(port, path_of("push", namespace), body, github(body))[0] == 404


def test_an_agent_of_one_namespace_goes_on_where_nobody_has_brought_receivers(
    new_agent: NewAgent, alone: AgentProcess, port: int, kubectl: Cli, namespace: str
) -> None:
    alone.stop()  # which has brought all of our kinds
    definition = Path(__file__).parents[2] / "config" / "crds" / "notification.toolkit.fluxcd.io_receivers.yaml"
    kubectl("delete", "-f", definition)
    agent = new_agent(None, f"--webhook-port={port}", f"--watch-namespace={namespace}").start()
    agent.wait_for("gitsync started")
    path = path_of("push", namespace)
    ask_until(lambda: deliver(port, path)[0], lambda status: status == 404, "it answers")
    kubectl("apply", "--server-side", "-f", definition)
    kubectl("wait", "--for=condition=Established", "crd/receivers.notification.toolkit.fluxcd.io")
    kubectl("apply", "-f", "-", stdin=secret(namespace))
    kubectl("apply", "-f", "-", stdin=receiver(namespace, resources=[named("GitRepository", "a")]))
    until_path(kubectl, namespace, path)
