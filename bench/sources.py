"""python -m bench.sources: releases from a registry against the same from a chart repository, many sources without
news, and a chart that is far too large.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from bench.agent import Agent
from bench.api import Api, Manifest
from bench.cases import CHART, CHART_VERSION, FOLDER, NAMESPACE, Case, layered, release_files
from bench.measure import AgentRun, agent_at_rest, all_ready, commit_to_ready, source, warm_up
from bench.planes import Plane, control_plane
from bench.source import SourceRepository
from gitsync.api.conditions import condition_of
from gitsync.charts.serve import files_below
from gitsync.charts.source import archive_from_files
from tests.controlplane import binaries
from tests.controlplane.processes import free_ports
from tests.controlplane.registry import PASSWORD, USER, Registry

_SOURCES = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}"
#: Of sources without news, in seconds. So long their questions and the CPU are counted: each is due once.
INTERVAL = 600
#: Seconds for the agent to come to rest before, and those in which it is looked at without any source.
REST, BARE = 30.0, 60.0
PATIENCE = 900.0
LARGE = 200 << 20
#: What is to be reached: times the seconds of one HelmRepository; bytes of the agent with all sources, be they 200 with
#: a release each or 1,000 without news; of a processor; and bytes more by what is refused.
GOAL_RATIO, GOAL_RSS, GOAL_CPU, GOAL_MORE = 1.3, 250e6, 0.02, 50e6
_MIB_OF_RSS = int(GOAL_RSS / 2**20)
_MEDIA_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@contextmanager
def registry(directory: Path, names: list[str]) -> Iterator[Registry]:
    """A registry over TLS and with a login, which has the chart under each of these names."""
    server = Registry(directory, binaries.ensure(binaries.REGISTRY), binaries.ensure(binaries.HELM))
    server.start()
    try:
        archive = directory / f"app-{CHART_VERSION}.tgz"
        archive.write_bytes(archive_from_files(files_below(CHART)))
        server.push(archive, "first")
        repositories = server.storage / "docker" / "registry" / "v2" / "repositories"
        for name in names:
            shutil.copytree(repositories / "first", repositories / name)
        yield server
    finally:
        server.stop()


def secrets(server: Registry) -> str:
    """The login and the authority."""
    found = []
    for name, data in (("login", {"username": USER, "password": PASSWORD}), ("certs", {"ca.crt": server.ca})):
        metadata = {"name": name, "namespace": NAMESPACE}
        found.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    return "\n---\n".join(map(json.dumps, found))


def oci_repository(server: Registry, name: str, interval: str) -> str:
    """The repository of this name."""
    spec = {
        "url": server.url(f"{name}/app"),
        "interval": interval,
        "ref": {"tag": CHART_VERSION},
        "layerSelector": {"mediaType": _MEDIA_TYPE, "operation": "copy"},
        "secretRef": {"name": "login"},
        "certSecretRef": {"name": "certs"},
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    kind = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository"}
    return json.dumps({**kind, "metadata": metadata, "spec": spec})


def by_reference(case: Case) -> dict[str, str]:
    """The releases of a case, each of an OCIRepository of its own name."""
    found = {}
    for path, text in release_files(case).items():
        head, _, rest = text.partition("  chart:\n")
        _, _, tail = rest.partition("        name: charts\n")
        name = Path(path).stem
        found[path] = f"{head}  chartRef: {{kind: OCIRepository, name: {name}}}\n{tail}"
    return found


@asynccontextmanager
async def at_rest(plane: Plane) -> AsyncIterator[tuple[Api, SourceRepository, Agent]]:
    """An agent that has nothing to do."""
    async with Api(plane.cluster) as api, source(plane) as repository:
        await warm_up(plane, api)
        async with agent_at_rest(plane, api, repository) as agent:
            yield api, repository, agent


async def from_repository(case: Case) -> AgentRun:
    """All charts from one HelmRepository. Raises: BenchError."""
    with control_plane() as plane:
        async with at_rest(plane) as (api, repository, agent):
            return await commit_to_ready(case, agent, repository, plane, api)


async def from_registry(case: Case) -> AgentRun:
    """Each of an OCIRepository of its own, which the commit brings, too. Raises: BenchError."""
    with control_plane() as plane, registry(plane.directory / "registry", case.releases) as server:
        async with at_rest(plane) as (api, repository, agent):
            files = {f"{FOLDER}/sources/{name}.yaml": oci_repository(server, name, "15m") for name in case.releases}
            repository.stage({f"{FOLDER}/secrets.yaml": secrets(server)})
            repository.commit("a login")
            await agent.line(lambda line: line.fields.get("subject") == "a login", PATIENCE, "a login")
            repository.stage(files)
            return await commit_to_ready(case, agent, repository, plane, api, by_reference(case))


async def pairs(count: int, runs: int) -> None:
    """Both ways in turns, so that they see the same machine."""
    case = layered(f"independent-{count}", f"{count} independent", 1, count)
    ratios = []
    for number in range(runs):
        index, oci = await from_repository(case), await from_registry(case)
        ratios.append(oci.seconds / index.seconds)
        for what, run in (("HelmRepository", index), ("OCIRepositories", oci)):
            print(
                f"pair {number + 1}, {count} releases of {what}: {run.seconds:.1f} s, {run.cpu:.1f} s of a processor, "
                f"{run.requests / count:.1f} requests a release, peak {run.memory >> 20} MiB (goal with sources: "
                f"{_MIB_OF_RSS} MiB)",
                flush=True,
            )
    print(f"ratio: median {statistics.median(ratios):.2f}, of " + ", ".join(f"{ratio:.2f}" for ratio in ratios))
    print(f"goal: at most {GOAL_RATIO}")


async def idle(count: int) -> None:
    """Sources that are all read, and of which each is due as often as its interval says."""
    names = [f"source-{number:04}" for number in range(count)]
    with control_plane() as plane, registry(plane.directory / "registry", names) as server:
        async with at_rest(plane) as (api, repository, agent):
            before, bare = agent.memory(), await _cpu(agent, BARE)
            files = {f"{FOLDER}/{name}.yaml": oci_repository(server, name, f"{INTERVAL}s") for name in names}
            repository.stage({f"{FOLDER}/secrets.yaml": secrets(server), **files})
            began = time.monotonic()
            repository.commit("all of them")
            await all_ready(api, agent, f"{_SOURCES}/ocirepositories", set(names), PATIENCE)
            ready = time.monotonic() - began
            await asyncio.sleep(REST)
            asked = _answers(server)
            used = await _cpu(agent, INTERVAL)
            asked = _answers(server) - asked
            print(
                f"{count} OCIRepositories, all read after {ready:.0f} s; in {INTERVAL} s without news, which is their "
                f"interval, {asked} answers of the registry; {used / INTERVAL:.1%} of a core ({bare / BARE:.1%} "
                f"without any); RSS {agent.memory() >> 20} MiB ({before >> 20} MiB without any), at most "
                f"{agent.peak_memory() >> 20} MiB (goals: {count} answers, {GOAL_CPU:.0%}, {_MIB_OF_RSS} MiB)",
                flush=True,
            )


def _answers(server: Registry) -> int:
    return sum("response completed" in line for line in server.log.splitlines())


async def _cpu(agent: Agent, seconds: float) -> float:
    used = agent.cpu_seconds()
    await asyncio.sleep(seconds)
    return agent.cpu_seconds() - used


async def too_large() -> None:
    """A chart repository and a registry that send 200 MB, and do not say so before where that can be left out."""
    with control_plane() as plane:
        async with at_rest(plane) as (api, repository, agent), endless() as port:
            before = agent.peak_memory()
            host = f"localhost:{port}"
            sources = [
                _source("HelmRepository", "large", url=f"http://{host}", interval="1h"),
                _source("OCIRepository", "said", url=f"oci://{host}/said", interval="1h", insecure=True),
                _source("OCIRepository", "unsaid", url=f"oci://{host}/unsaid", interval="1h", insecure=True),
            ]
            case = layered("large", "one", 1, 1)
            release = next(iter(release_files(case).values())).replace("name: charts", "name: large")
            files = {f"{FOLDER}/sources.yaml": "\n---\n".join(sources), f"{FOLDER}/release.yaml": release}
            repository.stage(files)
            repository.commit("too large")
            refused = replace(case, layers=(("said", "unsaid"),))
            await all_ready(api, agent, f"{_SOURCES}/ocirepositories", set(refused.releases), PATIENCE, _is_refused)
            await agent.line(lambda line: "app.tgz is larger than" in line.text, PATIENCE, "a refusal")
            more = (agent.peak_memory() - before) / 2**20
            goal = f"goal: {GOAL_MORE / 2**20:.0f}"
            print(f"a chart and two artifacts of 200 MB refused; peak {more:.1f} MiB more ({goal})")


def _is_refused(manifest: Manifest) -> bool:
    return condition_of(manifest, "Ready").get("status") == "False"


def _source(kind: str, name: str, **spec: object) -> str:
    metadata = {"name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "metadata": metadata, "spec": spec})


@asynccontextmanager
async def endless() -> AsyncIterator[int]:
    """A server of such a chart, by an index and as a layer."""
    digest = hashlib.sha256(b"never to be seen").hexdigest()
    index = {
        "apiVersion": "v1",
        "entries": {"app": [{"name": "app", "version": CHART_VERSION, "urls": ["app.tgz"], "apiVersion": "v2"}]},
    }

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/index.yaml":
            return web.json_response(index)
        if "/manifests/" in request.path:
            size = LARGE if "/said/" in request.path else 1000
            layer = {"mediaType": _MEDIA_TYPE, "digest": f"sha256:{digest}", "size": size}
            body = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "layers": [layer]})
            return web.Response(text=body, content_type=_MANIFEST_TYPE)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client has gone
            for _ in range(LARGE >> 20):
                await response.write(bytes(1 << 20))
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner, port = web.AppRunner(app, access_log=None, shutdown_timeout=0.1), free_ports(1)[0]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sources", description="what sources cost; takes minutes")
    parser.add_argument("--runs", type=int, default=2, help="pairs of runs (2)")
    parser.add_argument("--releases", type=int, default=200, help="releases of each run (200)")
    parser.add_argument("--sources", type=int, default=1000, help="sources without news (1000)")
    parser.add_argument("--only", choices=["pairs", "idle", "large"], help="one of the three figures")
    options = parser.parse_args()
    if options.only in (None, "pairs"):
        asyncio.run(pairs(options.releases, options.runs))
    if options.only in (None, "idle"):
        asyncio.run(idle(options.sources))
    if options.only in (None, "large"):
        asyncio.run(too_large())
    return 0


if __name__ == "__main__":
    sys.exit(main())
