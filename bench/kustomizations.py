"""Kustomizations in layers: their first apply, a commit that changes every object, one that changes a single file."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.agent import Agent
from bench.api import Api, Manifest
from bench.cases import FOLDER, NAMESPACE, Case, layered
from bench.counters import since
from bench.errors import BenchError
from bench.measure import AFTERMATH, CALM, PATIENCE, agent_at_rest, all_ready, source, warm_up
from bench.planes import control_plane
from bench.source import SourceRepository
from gitsync import kubeyaml
from gitsync.api.conditions import is_ready
from gitsync.kustomize import ENVIRONMENT, find_kubectl
from tests.controlplane.binaries import KUSTOMIZE, ensure

LAYERS = layered("kustomizations-100", "100 Kustomizations of 10 in 5 layers", 5, 20)
#: ConfigMaps of each Kustomization.
OBJECTS = 10
#: Seconds without a commit in which requests are counted.
IDLE = 10.0
PATH = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/kustomizations"
#: The folder with the directories, beside the one that the agent is pointed at.
_OVERLAYS = "overlays"
#: The namespace of the floor's objects when they are applied a second time, without a build.
_OTHER = "bench-applies"


@dataclass(frozen=True, slots=True)
class Step:
    """From the start of `git commit` until all Kustomizations are ready at it: ``seconds``; ``requests`` that the API
    server got and ``cpu`` of the agent with its children, in seconds, until AFTERMATH seconds later."""

    seconds: float
    requests: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Kustomizing:
    """``floor`` is how long the cheapest tool would take that has no kustomize of its own, in seconds: each directory
    built by `kubectl kustomize`, its objects applied as soon as they are there, one layer after the other, and nothing
    else done; ``quick_floor`` is the same with the kustomize of its own that the agent has; ``applies`` is how long the
    same objects take that need not be built; ``planned`` the time from the start of `git commit`, which changes one
    file, until it is known what that changes, in seconds; ``idle`` the requests in IDLE seconds without news, those of
    the control plane among them; ``memory`` the agent's peak RSS in bytes."""

    count: int
    floor: float
    quick_floor: float
    applies: float
    first: Step
    all_changed: Step
    one_file: Step
    planned: float
    idle: int
    memory: int

    @property
    def ratio(self) -> float:
        return self.first.seconds / self.floor

    @property
    def quick_ratio(self) -> float:
        """To the quick floor."""
        return self.first.seconds / self.quick_floor


async def measure_kustomizing(case: Case = LAYERS) -> Kustomizing:
    """Raises: BenchError."""
    floors = await _measure_floors(case)
    with control_plane() as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            await warm_up(plane, api)
            async with agent_at_rest(plane, api, repository) as agent:
                bench = _Bench(case, api, repository, agent)
                first = await bench.step(files(case, "one"))
                changed = await bench.step(files(case, "two"))
                single = await bench.step(files(case, "two", {case.releases[0]: "three"}))
                planned = bench.started(case.releases[0]) - bench.committed
                before = await api.metrics()
                await asyncio.sleep(IDLE)
                idle = since(before, await api.metrics()).total()
                memory = agent.peak_memory()
                return Kustomizing(len(case.releases), *floors, first, changed, single, planned, idle, memory)


def files(case: Case, value: str, changed: Mapping[str, str] | None = None, *, interval: str = "10m") -> dict[str, str]:
    """The repository: the Kustomizations, each of which depends on all of the layer above, and for each a directory
    with a kustomization. ``changed`` are those whose first object has another value."""
    found: dict[str, str] = {}
    above: Sequence[str] = ()
    for layer in case.layers:
        for name in layer:
            found[f"{FOLDER}/kustomizations/{name}.yaml"] = kustomization_file(name, above, interval)
            names = [f"item-{number:02}.yaml" for number in range(OBJECTS)]
            found[f"{_OVERLAYS}/{name}/kustomization.yaml"] = "resources:\n" + "".join(f"- {item}\n" for item in names)
            for number, item in enumerate(names):
                own = (changed or {}).get(name, value) if number == 0 else value
                found[f"{_OVERLAYS}/{name}/{item}"] = _config_map(name, number, own)
        above = layer
    return found


@dataclass(slots=True)
class _Bench:
    """``committed`` is when the last step's commit was begun, by the monotonic clock."""

    case: Case
    api: Api
    repository: SourceRepository
    agent: Agent
    committed: float = 0.0

    def started(self, name: str) -> float:
        """When the agent last said that it has begun to carry out a commit of this one."""
        lines = (line for line in self.agent.lines if line.event == "sync started")
        return [line.at for line in lines if line.fields.get("sync") == f"{NAMESPACE}/{name}"][-1]

    async def step(self, changed: dict[str, str]) -> Step:
        """Commits these files and looks on until all are ready at the commit."""
        self.repository.stage(changed)
        before, cpu = await self.api.metrics(), self.agent.cpu_seconds()
        self.committed = time.monotonic()
        await asyncio.to_thread(self.repository.commit, "a step")
        head = await asyncio.to_thread(self.repository.head)
        await all_ready(self.api, self.agent, PATH, set(self.case.releases), PATIENCE, is_at(head))
        seconds = time.monotonic() - self.committed
        await asyncio.sleep(AFTERMATH)
        requests = since(before, await self.api.metrics()).total()
        used = self.agent.cpu_seconds() - cpu
        await asyncio.sleep(CALM)
        return Step(seconds, requests, used)


def is_at(commit: str) -> Callable[[Manifest], bool]:
    """Returns a function that says whether a Kustomization is ready at a commit."""

    def is_done(item: Manifest) -> bool:
        return is_ready(item) and str(item["status"].get("lastAppliedRevision", "")).endswith(commit)

    return is_done


def kustomization_file(name: str, after: Sequence[str], interval: str) -> str:
    depends = "".join(f"    - name: {other}\n" for other in after)
    return f"""\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: {NAMESPACE}
spec:
  interval: {interval}
  path: ./{_OVERLAYS}/{name}
  prune: true
  wait: true
  sourceRef:
    kind: GitRepository
    name: flux-system
{"  dependsOn:" + chr(10) + depends if depends else ""}"""


def _config_map(name: str, number: int, value: str) -> str:
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}-{number:02}
  namespace: {NAMESPACE}
  labels:
    app.kubernetes.io/name: settings
    app.kubernetes.io/part-of: benchmark
data:
  number: "{number}"
  value: {value}
  application.properties: |
    log.level=info
    cache.size=100
    cache.host=redis-{number}.default.svc
"""


async def _measure_floors(case: Case) -> tuple[float, float, float]:
    """Seconds for the floor, for the quick one, and for the objects alone (see Kustomizing)."""
    floors = [
        await _with_builds(case, command) for command in ((find_kubectl(), "kustomize"), (ensure(KUSTOMIZE), "build"))
    ]
    with control_plane() as plane:
        async with Api(plane.cluster) as api:
            await warm_up(plane, api)
            plane.make_namespace(_OTHER)
            return floors[0], floors[1], await _floor(api, case, _written)


async def _with_builds(case: Case, kustomize: Command) -> float:
    with control_plane() as plane, tempfile.TemporaryDirectory(prefix="gitsync-bench-") as directory:
        root = Path(directory)
        await asyncio.to_thread(_write, root, files(case, "one"))
        async with Api(plane.cluster) as api:
            await warm_up(plane, api)
            plane.make_namespace(NAMESPACE)
            return await _floor(api, case, _Built(root, kustomize))


#: A program and its arguments for a build.
Command = tuple[Path, str]
#: Returns the objects of a Kustomization.
_Objects = Callable[[str], Awaitable[list[Manifest]]]


async def _floor(api: Api, case: Case, objects: _Objects) -> float:
    async def bring(name: str) -> None:
        async with asyncio.TaskGroup() as group:
            for manifest in await objects(name):
                group.create_task(api.apply(manifest))

    started = time.perf_counter()
    for layer in case.layers:
        async with asyncio.TaskGroup() as group:
            for name in layer:
                group.create_task(bring(name))
    return time.perf_counter() - started


async def _written(name: str) -> list[Manifest]:
    found = [kubeyaml.load(_config_map(name, number, "one")) for number in range(OBJECTS)]
    return [{**item, "metadata": {**item["metadata"], "namespace": _OTHER}} for item in found]


class _Built:
    """The objects that kustomize builds of the directories below ``root``: one process for each, as many at a time
    as there are processors."""

    def __init__(self, root: Path, kustomize: Command) -> None:
        self._root = root
        self._kustomize = kustomize
        self._places = asyncio.Semaphore(os.cpu_count() or 1)

    async def __call__(self, name: str) -> list[Manifest]:
        command = (*self._kustomize, str(self._root / _OVERLAYS / name))
        async with self._places:
            process = await asyncio.create_subprocess_exec(
                *command, env=dict(ENVIRONMENT), stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
        if process.returncode:
            raise BenchError(f"kustomize failed for {name}")
        return [kubeyaml.load(text) for text in output.decode().split("\n---\n")]


def _write(root: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
