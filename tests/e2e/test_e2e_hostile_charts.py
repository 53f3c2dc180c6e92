"""What a chart repository sends is small, and unfolds: an index in any layout, archives in archives, what templates
write."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from gitsync.charts.serve import ChartServer
from tests.charts.build import chart_files, packed
from tests.charts.servers import Server, serving
from tests.e2e.background import Background
from tests.e2e.badnamespace import bad
from tests.e2e.gitcharts import chart_files as git_chart
from tests.e2e.gitcharts import in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostility import GRACE, bad_chart
from tests.e2e.limits import limited
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Seen, Watch, condition, is_ready, says

__all__ = ["bad"]

MIB = 1 << 20
ENTRY = '{"version": "1.0.0", "urls": ["a.tgz"]}'
INDEXES = ("json", "flow", "block")


def index(layout: str) -> str:
    """42 to 48 MB with more than a million entries of one chart."""
    return {
        "json": '{"apiVersion": "v1", "entries": {"app": [' + f"{ENTRY}, " * 1_060_000 + ENTRY + "]}}",
        "flow": "apiVersion: v1\nentries: {app: [" + f"{ENTRY}, " * 1_060_000 + "]}",
        "block": "apiVersion: v1\nentries:\n  app:\n" + "  - {version: 1.0.0, urls: [a]}\n" * 1_400_000,
    }[layout]


@functools.cache
def unfolding_chart(name: str) -> bytes:
    """A chart whose archive, or what is written by its templates, unfolds."""
    if name == "written":
        return packed(chart_files(templates__a_yaml='{{ range until 500 }}{{ "x" | repeat 1000000 }}{{ end }}'))
    inner = packed(chart_files("inner", files__x_bin="\0" * (5 * MIB)))
    return packed(chart_files() | {f"charts/inner{number}-1.0.0.tgz": inner for number in range(40)})


WORDS = {
    "json": ("200,000 versions", "of memory", "within"),
    "flow": ("200,000 versions", "of memory", "within"),
    "block": ("200,000 versions", "of memory", "within"),
    "nested": ("larger than", "of memory"),
    "written": ("of memory",),
}


async def _answer(request: web.Request) -> web.StreamResponse:
    name = request.path.split("/")[1]
    if name in INDEXES:
        return web.Response(body=index(name).encode())
    if request.path.endswith("index.yaml"):
        entry = {"name": "app", "version": "1.0.0", "urls": ["app-1.0.0.tgz"]}
        return web.json_response({"apiVersion": "v1", "entries": {"app": [entry]}})
    return web.Response(body=unfolding_chart(name))


@pytest.fixture
def unfolding(background: Background) -> Iterator[Server]:
    server = serving(_answer)
    yield background.run(server.__aenter__())
    background.run(server.__aexit__(None, None, None))


@pytest.mark.timeout(500)
def test_what_unfolds_is_an_error_of_its_own_release(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, unfolding: Server, releases: Watch, namespace: str, bad: str
) -> None:
    assert all(42_000_000 < len(index(layout)) < 50 * MIB for layout in INDEXES)
    assert len(unfolding_chart("nested")) < 300_000
    first = repository(namespace, charts.url) + "---\n" + release(namespace, "first")
    fleet.commit({"fleet/first.yaml": first}, "an honest one")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("release installed", release=f"{namespace}/first")
    files = {}
    for name in WORDS:
        text = repository(bad, unfolding.url).replace("/apps", f"/{name}") + "---\n" + release(bad, name)
        files[f"fleet/{name}.yaml"] = text.replace("name: charts", f"name: {name}")

    with limited(agent.pid) as memory:
        fleet.commit(files, "five that unfold")
        agent.wait_for("object created", object=f"HelmRelease/{bad}/written")
        fleet.commit({"fleet/second.yaml": release(namespace, "second")}, "another honest one")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest))
        for name, words in WORDS.items():
            said = releases.first(f"{bad}/{name}", _any_of(words), timeout=120)
            assert not is_ready(said.manifest)

    memory.check()
    assert agent.stop(GRACE) == 0


def _any_of(words: tuple[str, ...]) -> Callable[[Seen], bool]:
    """Whether a Ready condition has some of these words in its message."""
    return lambda seen: any(says(word)(seen) for word in words)


#: A manifest of 5 MB that is made of as many small maps as there may be, and releases with such a chart.
DENSE = "apiVersion: v1\nkind: Dense\nmetadata: {name: a}\na: [{{ range until 600000 }}{a: 0},{{ end }}]\n"
DENSE_RELEASES = 12


@pytest.mark.timeout(400)
def test_renderings_that_come_to_much_leave_others_their_memory(
    agent: AgentProcess, fleet: Fleet, releases: Watch, namespace: str, bad: str
) -> None:
    files: dict[str, str | None] = {**git_chart(), **bad_chart("dense", DENSE)}
    fleet.commit({**files, "fleet/first.yaml": in_git(namespace, "first")}, "an honest one")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("release installed", release=f"{namespace}/first")
    for number in range(DENSE_RELEASES):
        # Values of their own, so that none has the rendering of another.
        text = in_git(bad, f"dense-{number}", path="./charts/dense", values={"number": number})
        files[f"fleet/dense-{number}.yaml"] = text

    with limited(agent.pid) as memory:
        fleet.commit(files, "charts that come to much")
        agent.wait_for("object created", object=f"HelmRelease/{bad}/dense-9")
        fleet.commit({"fleet/second.yaml": in_git(namespace, "second")}, "another honest one")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest))
        for number in range(DENSE_RELEASES):
            releases.first(f"{bad}/dense-{number}", _has_failed, timeout=200)

    memory.check()
    assert agent.stop(GRACE) == 0


def _has_failed(seen: Seen) -> bool:
    return condition(seen.manifest, "Ready").get("status") == "False"
