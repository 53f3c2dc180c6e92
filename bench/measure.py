"""One measurement of one case on a control plane of its own: of the floor, or of the agent."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench import floor
from bench.agent import Agent
from bench.api import USER_AGENT, Api, Manifest
from bench.cases import CHART, NAMESPACE, QUICK, Case, base_files, release_files
from bench.counters import Asked, Kind, since
from bench.planes import Plane, control_plane
from bench.source import SourceRepository
from gitsync.api.conditions import is_ready
from gitsync.charts.serve import ChartServer
from tests.controlplane.binaries import KUSTOMIZE, ensure

#: Seconds after the last release is ready in which its further requests are still counted (events, records, journal).
AFTERMATH = 2.0
#: Seconds for one case, after which it counts as failed.
PATIENCE = 300.0
#: Seconds that the agent gets to come up, and that it is left alone before it is measured.
START, CALM = 60.0, 1.0
_REPOSITORIES = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/helmrepositories"
RELEASES = f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{NAMESPACE}/helmreleases"


@dataclass(frozen=True, slots=True)
class FloorRun:
    """``requests`` is what the API server counted within ``window`` seconds, ``own`` how many of them the floor sent.

    ``idle`` is what it counted within as many seconds afterwards, when nobody did anything. ``plane_cpu`` is the
    control plane's CPU time within the window, in seconds.
    """

    seconds: float
    window: float
    requests: int
    own: int
    idle: int
    plane_cpu: float


@dataclass(frozen=True, slots=True)
class AgentRun:
    """As FloorRun; ``cpu`` in seconds, ``memory`` the peak of the agent's RSS since its start, in bytes."""

    seconds: float
    window: float
    requests: int
    plane_cpu: float
    cpu: float
    memory: int
    kinds: Counter[Kind] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Audit:
    """Who asked for what during one case: requests by client, and those of the agent by kind."""

    clients: Counter[str]
    agent: Counter[Kind]


async def measure_floor(case: Case) -> FloorRun:
    """The control plane's own speed. Raises: BenchError."""
    with control_plane() as plane:
        plane.make_namespace(NAMESPACE)
        rendering = await floor.render(case, NAMESPACE, plane.directory / "charts")
        async with Api(plane.cluster) as api:
            await warm_up(plane, api)
            before, sent, cpu, began = await api.metrics(), api.requests, plane.cpu_seconds(), time.monotonic()
            async with asyncio.timeout(PATIENCE):
                seconds = await floor.run(api, case, rendering, NAMESPACE)
            await asyncio.sleep(AFTERMATH)
            window, used = time.monotonic() - began, plane.cpu_seconds() - cpu
            after = await api.metrics()
            await asyncio.sleep(window)
            idle = since(after, await api.metrics()).total()
            own = api.requests - sent + 1  # the watch
            return FloorRun(seconds, window, since(before, after).total(), own, idle, used)


async def measure_agent(case: Case) -> AgentRun:
    """From the commit to all releases ready. Raises: BenchError."""
    with control_plane() as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            await warm_up(plane, api)
            async with agent_at_rest(plane, api, repository) as agent:
                return await commit_to_ready(case, agent, repository, plane, api)


async def audit(case: Case) -> Audit:
    """Measures the agent once more, on a control plane that logs who sends requests. Raises: BenchError."""
    with control_plane(audited=True) as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            await warm_up(plane, api)
            async with agent_at_rest(plane, api, repository) as agent:
                began = time.time()
                await commit_to_ready(case, agent, repository, plane, api)
                return sorted_out([asked for asked in plane.asked() if asked.at >= began])


def sorted_out(requests: list[Asked]) -> Audit:
    """Requests by who sent them. Whoever is neither the bench nor a part of the control plane is the agent: it may use
    libraries that go by names of their own."""
    theirs = [asked for asked in requests if asked.client != USER_AGENT]
    agents = [asked for asked in theirs if is_agent(asked)]
    clients = Counter(asked.client for asked in theirs)
    return Audit(clients, Counter(asked.kind for asked in agents))


def is_agent(asked: Asked) -> bool:
    """Whether a request of the audit log is the agent's."""
    return asked.client not in (USER_AGENT, "etcd", "kwok", "unnamed") and not asked.client.startswith("kube-")


async def warm_up(plane: Plane, api: Api) -> None:
    """Runs a few workloads first: the API server is slower when it gets its first Deployments."""
    plane.make_namespace("warm-up")
    await floor.run(api, QUICK, await floor.render(QUICK, "warm-up", plane.directory / "charts"), "warm-up")


@asynccontextmanager
async def source(plane: Plane) -> AsyncIterator[SourceRepository]:
    """A repository with a namespace and a chart repository in it, which is served meanwhile."""
    async with ChartServer({"charts": [CHART]}) as charts:
        repository = SourceRepository(plane.directory / "source")
        repository.stage(base_files(f"{charts.url}/charts"))
        repository.commit("a namespace and a chart repository")
        yield repository


@asynccontextmanager
async def agent_at_rest(plane: Plane, api: Api, repository: SourceRepository, *flags: str) -> AsyncIterator[Agent]:
    """An agent, with these ``flags``, that has synced the repository for the first time and has nothing to do."""
    programs = str(ensure(KUSTOMIZE).parent)  # as in the image
    state = plane.directory / "state"
    async with Agent.running(repository.path, plane.cluster.kubeconfig, state, path=programs, flags=flags) as agent:
        await agent.line(lambda line: line.event == "sync finished", START, "the first sync's end")
        await all_ready(api, agent, _REPOSITORIES, {"charts"}, START)
        await asyncio.sleep(CALM)
        yield agent


async def commit_to_ready(
    case: Case,
    agent: Agent,
    repository: SourceRepository,
    plane: Plane,
    api: Api,
    files: Mapping[str, str] | None = None,
) -> AgentRun:
    """Commits the case's releases, or ``files`` that hold them in another form, and measures until all are ready.

    Raises: BenchError.
    """
    repository.stage(files or release_files(case))
    before, began = await api.metrics(), time.monotonic()
    plane_cpu, cpu = plane.cpu_seconds(), agent.cpu_seconds()
    waiting = asyncio.create_task(all_ready(api, agent, RELEASES, set(case.releases), PATIENCE))
    await asyncio.sleep(0.1)  # until the watch is there
    committed = time.perf_counter()
    await asyncio.to_thread(repository.commit, case.title)
    await waiting
    seconds = time.perf_counter() - committed
    await asyncio.sleep(AFTERMATH)
    window = time.monotonic() - began
    plane_cpu, cpu = plane.cpu_seconds() - plane_cpu, agent.cpu_seconds() - cpu
    kinds = since(before, await api.metrics())
    kinds[Kind("WATCH", "helmreleases")] -= 1  # the bench's own watch
    return AgentRun(seconds, window, kinds.total(), plane_cpu, cpu, agent.peak_memory(), kinds)


async def all_ready(
    api: Api,
    agent: Agent,
    path: str,
    names: set[str],
    patience: float,
    is_done: Callable[[Manifest], bool] = is_ready,
) -> None:
    """Watches until these are ready at their generation, or ``is_done`` says so of all.

    Raises: BenchError.
    """
    waiting = set(names)
    latest: dict[str, Manifest] = {}
    try:
        async with asyncio.timeout(patience):
            while waiting:  # the API server ends the watches of a kind when its CRD is published anew
                agent.check()
                async with api.watch(path) as objects:
                    await _look_on(objects, waiting, latest, is_done)
    except TimeoutError:
        raise agent.failure(_unready(waiting, latest, patience)) from None


async def _look_on(
    objects: AsyncIterator[Manifest],
    waiting: set[str],
    latest: dict[str, Manifest],
    is_done: Callable[[Manifest], bool],
) -> None:
    wanted = waiting | latest.keys()
    async for item in objects:
        name = item["metadata"]["name"]
        if name not in wanted:
            continue
        latest[name] = item
        if not is_done(item):
            waiting.add(name)  # one that was ready may not be any more
        else:
            waiting.discard(name)
            if not waiting:
                return


def _unready(waiting: set[str], latest: dict[str, Manifest], patience: float) -> str:
    name = min(waiting)
    conditions = (latest.get(name, {}).get("status") or {}).get("conditions") or []
    said = [condition.get("message", "") for condition in conditions if condition.get("type") == "Ready"]
    return f"{len(waiting)} not ready after {patience:g} s; {name}: {said[0] if said else 'no condition Ready'}"
