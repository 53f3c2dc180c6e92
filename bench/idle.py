"""1,000 Kustomizations that are in sync: what they cost while nothing happens. ``python -m bench.idle``"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass

from bench.agent import Agent
from bench.api import Api
from bench.cases import Case, layered
from bench.counters import Asked, Kind, since
from bench.kustomizations import PATH, files, is_at
from bench.measure import agent_at_rest, all_ready, is_agent, source, warm_up
from bench.planes import Plane, control_plane

#: Seconds in which requests and the CPU are counted, and those for the agent to come to rest before.
WINDOW, REST = 60.0, 30.0
#: Seconds for all to become ready.
PATIENCE = 1500.0
#: An interval so long that nothing is due while it is measured.
INTERVAL = "1h"


@dataclass(frozen=True, slots=True)
class Window:
    """The requests within ``WINDOW`` seconds: of the whole control plane by its counter, of the agent by the audit
    log."""

    all: int
    agent: Counter[Kind]

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.agent.most_common())
        return f"{self.all} requests, {self.agent.total()} of them the agent's{f' ({kinds})' if kinds else ''}"


async def measure(count: int) -> str:
    """The measured figures, in words. Raises: BenchError."""
    case = layered(f"kustomizations-{count}", f"{count} Kustomizations", 1, count)
    with control_plane(audited=True) as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            await warm_up(plane, api)
            async with agent_at_rest(plane, api, repository) as agent:
                background = await _window(plane, api)
                repository.stage(files(case, "one", interval=INTERVAL))
                began = time.monotonic()
                await asyncio.to_thread(repository.commit, "all of them")
                head = await asyncio.to_thread(repository.head)
                await all_ready(api, agent, PATH, set(case.releases), PATIENCE, is_at(head))
                ready = time.monotonic() - began
                await asyncio.sleep(REST)
                cpu = agent.cpu_seconds()
                window = await _window(plane, api)
                used = agent.cpu_seconds() - cpu
                return _told(case, agent, ready, background, window, used)


async def _window(plane: Plane, api: Api) -> Window:
    before, began = await api.metrics(), time.time()
    await asyncio.sleep(WINDOW)
    return Window(since(before, await api.metrics()).total(), agents_since(plane.asked(), began))


def agents_since(requests: list[Asked], began: float) -> Counter[Kind]:
    """The agent's requests from a time on, by kind."""
    return Counter(asked.kind for asked in requests if asked.at >= began and is_agent(asked))


def _told(case: Case, agent: Agent, ready: float, background: Window, window: Window, used: float) -> str:
    return (
        f"{len(case.releases)} Kustomizations, all ready after {ready:.0f} s; in {WINDOW:.0f} s without news "
        f"{window} (without any Kustomization {background}), and {used:.2f} s of a processor; "
        f"RSS {agent.memory() >> 20} MiB, at most {agent.peak_memory() >> 20} MiB"
    )


if __name__ == "__main__":
    print(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)))
