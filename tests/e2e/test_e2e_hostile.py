"""One release's chart is meant to do harm, and the agent that serves everybody goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from gitsync.charts.serve import ChartServer
from tests.charts.servers import Server, serving
from tests.controlplane.cluster import Cli
from tests.e2e.background import Background
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostility import ENDLESS, GRACE, bad_chart, silent
from tests.e2e.limits import limited
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Watch, condition, is_ready
from tests.until import ask_until

__all__ = ["silent"]

BOMBS = {
    "huge": '{{ range until 20000 }}{{ "x" | repeat 1000000 }}{{ end }}',
    "recursive": "{{ tpl .Values.again . }}",
}


@pytest.fixture
def places(kubectl: Cli, namespace: str) -> Iterator[list[str]]:
    """More namespaces."""
    names = [f"{namespace}-{number}" for number in range(5)]
    for name in names:
        kubectl("create", "namespace", name)
    yield names
    for name in names:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.timeout(500)
def test_templates_that_never_end_or_take_all_memory_hold_up_nobody_else(
    agent: AgentProcess, fleet: Fleet, releases: Watch, namespace: str, places: list[str]
) -> None:
    *endless, huge, recursive = places
    files = chart_files() | bad_chart("endless", ENDLESS)
    for name, template in BOMBS.items():
        files |= bad_chart(name, template)
    for place in endless:
        files[f"fleet/{place}.yaml"] = in_git(place, "hostile", path="./charts/endless")
    again = {"again": "{{ tpl .Values.again . }}"}
    files[f"fleet/{huge}.yaml"] = in_git(huge, "hostile", path="./charts/huge")
    files[f"fleet/{recursive}.yaml"] = in_git(recursive, "hostile", path="./charts/recursive", values=again)
    files[f"fleet/{namespace}.yaml"] = in_git(namespace, "honest")
    fleet.commit(files, "one that is honest among five that are not")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("gitsync started")

    with limited(agent.pid) as memory:
        releases.first(f"{namespace}/honest", lambda seen: is_ready(seen.manifest))
        for place in endless:
            assert not is_ready(releases.get(f"{place}/hostile"))
            assert "not rendered within" not in condition(releases.get(f"{place}/hostile"), "Ready").get("message", "")
        # On a busy machine it counts as slow, and has to wait for those that never end.
        releases.first(f"{huge}/hostile", lambda seen: "192 MiB" in _message(seen.manifest), timeout=240)
        assert not is_ready(releases.get(f"{recursive}/hostile"))
        fleet.commit({f"fleet/{namespace}-2.yaml": in_git(namespace, "second")}, "another honest one")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest))

    memory.check()
    assert agent.stop(GRACE) == 0


def _message(manifest: dict[str, object]) -> str:
    return str(condition(manifest, "Ready").get("message", ""))


@pytest.mark.timeout(300)
def test_downloads_that_never_come_hold_up_nobody_else_and_end_with_their_releases(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    silent: Server,
    releases: Watch,
    kubectl: Cli,
    namespace: str,
    places: list[str],
) -> None:
    """As many as there are slots and more, with a timeout of a day; the honest one drops an object meanwhile."""
    bad = places[0]
    patient = repository(bad, silent.url).replace("  interval: 1h", "  interval: 1h\n  timeout: 1440m")
    files = {"fleet/bad.yaml": "---\n".join([patient, *(release(bad, f"r{number}") for number in range(20))])}
    fleet.commit(files, "charts that never come")
    agent.arguments += ["--path=fleet", "--concurrency=2"]
    waiting = {"for": f"an answer of {silent.url}/apps", "release": f"{bad}/r0"}
    agent.start().until(lambda line: line.says("waiting", **waiting), "a wait is said")

    with limited(agent.pid) as memory:
        source = repository(namespace, charts.url) + "---\n"
        fleet.commit({"fleet/good.yaml": source + release(namespace, "good")}, "an honest one")
        releases.first(f"{namespace}/good", lambda seen: is_ready(seen.manifest))
        fleet.commit({"fleet/good.yaml": source + release(namespace, "good", values={"changed": True})}, "and changed")
        agent.wait_for("release upgraded", release=f"{namespace}/good")

        kubectl("delete", "helmrelease", "--all", "-n", bad, "--timeout=60s")
        memory.check()
    assert agent.stop(GRACE) == 0


#: Repositories of one namespace, servers that they are at, each of which is asked eight times at once, and requests at
#: once for one namespace.
REPOSITORIES, SERVERS, TOGETHER = 40, 5, 32


def large_index(size: int) -> bytes:
    """An index as Helm writes it, of about so many bytes: no entry is one too many, and reading it takes long."""
    entry = """\
  - apiVersion: v2
    created: "2024-01-01T00:00:00Z"
    description: "{words}"
    digest: {number:064x}
    name: {name}
    urls:
    - {name}-1.{number}.0.tgz
    version: 1.{number}.0
"""
    words = "many words " * 270
    lines = ["apiVersion: v1\nentries:\n"]
    for chart in range(size // (100 * 3200)):
        name = f"chart-{chart}"
        lines += [f"  {name}:\n", *(entry.format(words=words, name=name, number=number) for number in range(100))]
    return "".join(lines).encode()


@dataclass
class Heavy:
    """Servers of nothing but a large index, and how often it has been sent."""

    urls: list[str]
    sent: int = 0


@pytest.fixture
def heavy(background: Background) -> Iterator[Heavy]:
    body = large_index(45_000_000)
    assert 44_000_000 < len(body) < 50 << 20
    found = Heavy([])

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for begin in range(0, len(body), 1 << 20):
            await response.write(body[begin : begin + (1 << 20)])
        await response.write_eof()
        found.sent += 1
        return response

    servers = [serving(handle) for _ in range(SERVERS)]
    found.urls += [background.run(server.__aenter__()).url for server in servers]
    yield found
    for server in servers:
        background.run(server.__aexit__(None, None, None))


@pytest.mark.timeout(600)
def test_large_indexes_that_wait_for_a_worker_take_no_memory(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    heavy: Heavy,
    releases: Watch,
    namespace: str,
    places: list[str],
) -> None:
    bad = places[0]
    files = {}
    for number in range(REPOSITORIES):
        text = repository(bad, heavy.urls[number % SERVERS]).replace("name: charts", f"name: heavy-{number}")
        files[f"fleet/heavy-{number}.yaml"] = text.replace("/apps", f"/{number}")
    fleet.commit(files, "forty repositories with indexes of 45 MB each")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("gitsync started")

    with limited(agent.pid) as memory:
        ask_until(lambda: heavy.sent, lambda sent: sent >= TOGETHER, "indexes sent", timeout=240)
        honest = repository(namespace, charts.url) + "---\n" + release(namespace, "honest")
        fleet.commit({"fleet/honest.yaml": honest}, "an honest one")
        releases.first(f"{namespace}/honest", lambda seen: is_ready(seen.manifest))

    memory.check()
    assert agent.stop(GRACE) == 0
