"""The API servers that kubeconfigs name are anybody's: what they answer hurts nobody but who named them."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.charts.servers import Server, serving
from tests.cluster.faulty import group
from tests.controlplane.cluster import Cli
from tests.e2e.background import Background
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostility import GRACE
from tests.e2e.limits import limited
from tests.e2e.watching import Watch, is_ready, says
from tests.until import ask_until

#: Kubeconfigs, each of another user, for each kind of server.
USERS = 8
KINDS = ("countless", "pages", "events")
COUNT = 6_900_000

Json = dict[str, Any]


def secret_like(name: str, size: int) -> Json:
    """Metadata of a record, as large as one likes."""
    metadata = {"name": name, "namespace": "default", "uid": name, "resourceVersion": "5"}
    labels = {"name": name, "owner": "helm", "status": "deployed", "version": "1"}
    return {"metadata": {**metadata, "labels": labels, "annotations": {"a": "x" * size}}}


@functools.cache
def countless_items() -> bytes:
    """54 MB, which are made for this test alone: all others' workers read this module, too."""
    return b'{"items":[' + b",".join([b'{"a":0}'] * COUNT) + b"]}"


async def countless(request: web.Request) -> web.StreamResponse:
    """Whatever is asked for."""
    return web.Response(body=countless_items(), content_type="application/json")


async def _discovery(request: web.Request) -> web.StreamResponse | None:
    if request.path == "/version":
        return web.json_response({"gitVersion": "v1.36.3"})
    if request.path in ("/api", "/apis"):
        kinds = [("Secret", "secrets"), ("ConfigMap", "configmaps"), ("Namespace", "namespaces"), ("Pod", "pods")]
        core, apps = group("", "v1", kinds), group("apps", "v1", [("Deployment", "deployments")])
        items = [core if request.path == "/api" else apps]
        return web.json_response({"kind": "APIGroupDiscoveryList", "items": items})
    return None


async def pages(request: web.Request) -> web.StreamResponse:
    """Lists that never end, of half a megabyte an object."""
    number = int(request.query.get("continue", "0"))
    items = [secret_like(f"a{number}-{item}", 500_000) for item in range(12)]
    token = {"resourceVersion": "5", "continue": str(number + 1)}
    return await _discovery(request) or web.json_response({"kind": "SecretList", "metadata": token, "items": items})


async def events(request: web.Request) -> web.StreamResponse:
    """A list of nothing, and then objects without end."""
    if "watch" not in request.query:
        empty = {"kind": "SecretList", "metadata": {"resourceVersion": "5"}, "items": []}
        return await _discovery(request) or web.json_response(empty)
    response = web.StreamResponse()
    await response.prepare(request)
    number = 5
    while True:
        number += 1
        manifest = secret_like(f"b{number}", 500_000)
        manifest["metadata"]["resourceVersion"] = str(number)
        await response.write(json.dumps({"type": "ADDED", "object": manifest}).encode() + b"\n")
        await asyncio.sleep(0.01)  # a server that this process would spend all its time on would harm nobody else


@pytest.fixture
def servers(background: Background) -> Iterator[dict[str, Server]]:
    contexts = {kind: serving(handler) for kind, handler in zip(KINDS, (countless, pages, events), strict=True)}
    yield {kind: background.run(context.__aenter__()) for kind, context in contexts.items()}
    for context in contexts.values():
        background.run(context.__aexit__(None, None, None))


def kubeconfig(server: str, user: str) -> str:
    return json.dumps(
        {
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "users": [{"name": "a", "user": {"token": user}}],
        }
    )


@pytest.fixture
def bad(kubectl: Cli, namespace: str, servers: dict[str, Server]) -> Iterator[str]:
    """A namespace with a Secret for each user of each server."""
    where = f"{namespace}-bad"
    kubectl("create", "namespace", where)
    for kind, server in servers.items():
        for number in range(USERS):
            text = kubeconfig(server.url, f"user-{number}")
            kubectl("create", "secret", "generic", f"{kind}-{number}", "-n", where, f"--from-literal=value={text}")
    yield where
    kubectl("delete", "namespace", where, "--wait=false")


def elsewhere(namespace: str, name: str) -> str:
    """A release in the cluster that the Secret of its name leads to."""
    text = in_git(namespace, name)
    return text.replace("spec:\n", f"spec:\n  kubeConfig:\n    secretRef: {{name: {name}}}\n", 1)


@pytest.mark.timeout(600)
def test_servers_that_answer_without_end_hold_up_nobody_else(
    agent: AgentProcess,
    fleet: Fleet,
    servers: dict[str, Server],
    releases: Watch,
    namespace: str,
    bad: str,
) -> None:
    files = chart_files()
    for kind in KINDS:
        for number in range(USERS):
            files[f"fleet/{kind}-{number}.yaml"] = elsewhere(bad, f"{kind}-{number}")
    fleet.commit({**chart_files(), f"fleet/{namespace}.yaml": in_git(namespace, "first")}, "an honest one")
    agent.arguments += ["--path=fleet", "--insecure-kubeconfig-tls"]
    agent.start().wait_for("release installed", release=f"{namespace}/first")

    with limited(agent.pid) as memory:
        fleet.commit(files, "releases in clusters that answer without end")
        for kind, server in servers.items():
            asked = functools.partial(len, server.requests)
            ask_until(asked, lambda seen: seen >= 3 * USERS, kind, timeout=240)
        fleet.commit({f"fleet/{namespace}-2.yaml": in_git(namespace, "second")}, "another honest one")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest))
        said = {"countless": "larger than 8 MiB", "pages": "Secret in"}
        for kind, words in said.items():
            releases.first(f"{bad}/{kind}-0", says(words), timeout=120)

    memory.check()
    assert agent.stop(GRACE) == 0
