"""100 overlays of a base, 2,000 manifests: their first build, whether the agent's loop goes on meanwhile, and a commit
of one file. ``python -m bench.overlays``"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.agent import Agent
from bench.api import Api
from bench.cases import NAMESPACE, layered
from bench.kustomizations import PATH, is_at, kustomization_file
from bench.measure import agent_at_rest, all_ready, source, warm_up
from bench.planes import control_plane
from bench.source import SourceRepository
from tests.controlplane.processes import free_ports

CASE = layered("overlays-100", "100 overlays of a base", 1, 100)
#: Manifests of the base, and of each overlay beside it.
SHARED, OWN = 10, 10
#: Seconds for all to become ready.
PATIENCE = 900.0
#: Seconds between two questions to the agent's loop.
BEAT = 0.02


def files(value: str, one: str = "") -> dict[str, str]:
    """The repository: a base, and overlays with a namespace, a prefix, a patch, labels and manifests of their own.
    ``one`` is the value of a single manifest of the first overlay."""
    base = [f"shared-{number:02}.yaml" for number in range(SHARED)]
    found = {"base/kustomization.yaml": _resources(base)}
    found |= {f"base/{name}": _config_map(name.removesuffix(".yaml"), value) for name in base}
    for name in CASE.releases:
        own = [f"own-{number:02}.yaml" for number in range(OWN)]
        found[f"fleet/overlays/{name}.yaml"] = kustomization_file(name, (), "1h")
        found[f"overlays/{name}/kustomization.yaml"] = _resources(["../../base", *own]) + (
            f"namespace: {NAMESPACE}\nnamePrefix: {name}-\n"
            f"labels:\n- pairs: {{app: {name}}}\n"
            "patches:\n- target: {kind: ConfigMap, name: shared-00}\n"
            f'  patch: \'[{{"op": "add", "path": "/data/overlay", "value": "{name}"}}]\'\n'
        )
        found |= {f"overlays/{name}/{item}": _config_map(item.removesuffix(".yaml"), value) for item in own}
    if one:
        found[f"overlays/{CASE.releases[0]}/own-00.yaml"] = _config_map("own-00", one)
    return found


def _resources(names: list[str]) -> str:
    return "resources:\n" + "".join(f"- {name}\n" for name in names)


def _config_map(name: str, value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: {value}\n"


@dataclass
class Answers:
    """How long the agent's loop took to answer, in seconds."""

    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        found = sorted(self.seconds)
        worst, rare = found[-1], found[int(len(found) * 0.99)]
        within = f"99 % were answered within {rare * 1000:.0f} ms, all within {worst * 1000:.0f} ms"
        return f"of {len(found)} questions to its loop {within}"


@contextmanager
def asking(port: int) -> Iterator[Answers]:
    """While entered, the agent's loop is asked every BEAT seconds whether it is ready, by a thread."""
    answers, done = Answers(), threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not done.wait(BEAT):
            began = time.perf_counter()
            connection.request("GET", "/readyz")
            connection.getresponse().read()
            answers.seconds.append(time.perf_counter() - began)
        connection.close()

    thread = threading.Thread(target=ask, name="questions")
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


async def measure() -> str:
    """The measured figures, in words. Raises: BenchError."""
    (port,) = free_ports(1)
    with control_plane() as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            await warm_up(plane, api)
            async with agent_at_rest(plane, api, repository, "--probe-port", str(port)) as agent:
                with asking(port) as answers:
                    built, ready = await _commit(api, agent, repository, files("one"))
                planned, _ = await _commit(api, agent, repository, files("one", "two"), first=CASE.releases[0])
                return (
                    f"{len(CASE.releases)} overlays, {len(CASE.releases) * (SHARED + OWN)} manifests: all built "
                    f"after {built:.2f} s, all ready after {ready:.2f} s; {answers}; a commit of one file planned "
                    f"after {planned:.2f} s; peak RSS {agent.peak_memory() / 1e6:.0f} MB"
                )


async def _commit(
    api: Api, agent: Agent, repository: SourceRepository, changed: dict[str, str], first: str = ""
) -> tuple[float, float]:
    """Seconds from `git commit` until the last build has its plan, or that of ``first``; and until all are ready."""
    repository.stage(changed)
    seen, began = len(agent.lines), time.monotonic()
    await asyncio.to_thread(repository.commit, "overlays")
    head = await asyncio.to_thread(repository.head)
    await all_ready(api, agent, PATH, set(CASE.releases), PATIENCE, is_at(head))
    ready = time.monotonic() - began
    started = {
        str(line.fields["sync"]).removeprefix(f"{NAMESPACE}/"): line.at - began
        for line in agent.lines[seen:]
        if line.event == "sync started" and line.fields.get("sync")
    }
    return started[first] if first else max(started.values()), ready


if __name__ == "__main__":
    print(asyncio.run(measure()))
