"""The figures beside the cases: polls without news, a restart, a small commit in a large repository."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.agent import Agent
from bench.api import Api
from bench.cases import Case, plain_files
from bench.counters import Asked, Kind
from bench.measure import CALM, PATIENCE, START, agent_at_rest, commit_to_ready, is_agent, source, warm_up
from bench.planes import Plane, control_plane
from bench.source import SourceRepository

#: Seconds without a request and without work after which the agent counts as idle.
QUIET = 3.0
#: Seconds between two looks at the agent's CPU time, and what it may use in between and still be called idle.
_TICK, _NOTHING = 0.2, 0.03
POLLS_WINDOW = 6.0


@dataclass(frozen=True, slots=True)
class Restart:
    """A start with everything in sync: the seconds from the start of the process until it is idle, and the requests
    that it sent. ``cpu`` is the agent's CPU time until then, in seconds: on a loaded machine it says more than
    ``seconds``."""

    releases: int
    seconds: float
    cpu: float
    writes: int
    kinds: Counter[Kind]


@dataclass(frozen=True, slots=True)
class Polls:
    """Polls of the remote without news, and the API requests of the agent meanwhile."""

    polls: int
    window: float
    requests: int


@dataclass(frozen=True, slots=True)
class Planning:
    """A commit that changes one of many manifests: seconds from the start of `git commit` until its plan is made, and
    until it has been applied."""

    manifests: int
    planned: list[float]
    finished: list[float]


async def measure_restart(case: Case) -> tuple[Restart, Polls]:
    """Brings a case in sync, starts the agent again, and once more to poll every second. Raises: BenchError."""
    with control_plane(audited=True) as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            await warm_up(plane, api)
            async with agent_at_rest(plane, api, repository) as agent:
                await commit_to_ready(case, agent, repository, plane, api)
                await _idle(agent, plane)  # also with the HelmCharts, which it reads beside the work
            await asyncio.sleep(CALM)
            return await _restart(case, plane, repository), await _polls(plane, repository)


async def measure_planning(manifests: int, commits: int = 3) -> Planning:
    """Raises: BenchError."""
    result = Planning(manifests, [], [])
    with control_plane() as plane:
        async with Api(plane.cluster) as api, source(plane) as repository:
            repository.stage(plain_files(manifests))
            repository.commit("many manifests")
            async with agent_at_rest(plane, api, repository) as agent:
                for number in range(commits):
                    repository.stage(plain_files(manifests, {manifests // 2: f"changed {number}"}))
                    await _commit_one(agent, repository, result)
                    await asyncio.sleep(CALM)
    return result


async def _commit_one(agent: Agent, repository: SourceRepository, result: Planning) -> None:
    seen, began = len(agent.lines), time.monotonic()
    await asyncio.to_thread(repository.commit, "one file")
    line = await agent.line(lambda line: line.event == "sync started", PATIENCE, "the plan", seen)
    result.planned.append(line.at - began)
    line = await agent.line(lambda line: line.event == "sync finished", PATIENCE, "the sync's end", seen)
    result.finished.append(line.at - began)


async def _restart(case: Case, plane: Plane, repository: SourceRepository) -> Restart:
    async with Agent.running(repository.path, plane.cluster.kubeconfig, plane.directory / "state") as agent:
        idle_at = await _idle(agent, plane)
        asked = _agents(plane, agent.started_at)
        writes = sum(request.writes for request in asked)
        kinds = Counter(request.kind for request in asked)
        return Restart(len(case.releases), idle_at - agent.started_at, agent.cpu_seconds(), writes, kinds)


async def _polls(plane: Plane, repository: SourceRepository) -> Polls:
    log = plane.directory / "git.log"
    shim = _counting_git(plane.directory / "shim", log)
    state = plane.directory / "state"
    async with Agent.running(repository.path, plane.cluster.kubeconfig, state, interval="1s", path=str(shim)) as agent:
        await agent.line(lambda line: line.event == "gitsync started", START, "its start")
        await asyncio.sleep(QUIET + CALM)
        polled, began = _count(log), time.time()
        await asyncio.sleep(POLLS_WINDOW)
        requests = len(_agents(plane, began))
        return Polls(_count(log) - polled, POLLS_WINDOW, requests)


async def _idle(agent: Agent, plane: Plane) -> float:
    """The moment (of the clock) since which the agent has neither asked the API server nor used the CPU."""
    busy, cpu = time.time(), 0.0
    deadline = busy + PATIENCE
    while time.time() < max(busy, _last(plane, agent)) + QUIET:
        await asyncio.sleep(_TICK)
        agent.check()
        used = agent.cpu_seconds()
        if used - cpu > _NOTHING:
            busy = time.time()
        cpu = used
        if busy > deadline:
            raise agent.failure(f"it was never idle for {QUIET:g} s")
    return max(busy, _last(plane, agent))


def _last(plane: Plane, agent: Agent) -> float:
    return max((asked.at for asked in _agents(plane, agent.started_at)), default=0.0)


def _agents(plane: Plane, since: float) -> list[Asked]:
    return [asked for asked in plane.asked() if asked.at >= since and is_agent(asked)]


def _counting_git(directory: Path, log: Path) -> Path:
    """A directory with a program ``git`` that writes down each poll and then runs the real git."""
    git = shutil.which("git")
    assert git is not None
    directory.mkdir()
    program = directory / "git"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *ls-remote*) echo poll >> {shlex.quote(str(log))};; esac\n'
        f'exec {shlex.quote(git)} "$@"\n'
    )
    program.chmod(0o755)
    log.touch()
    return directory


def _count(log: Path) -> int:
    return len(log.read_text().splitlines())
