"""python -m bench.webhooks: what a delivery takes until its sync starts, and what wrong ones cost a sync."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bench.agent import Agent, LogLine
from bench.cases import FOLDER
from bench.planes import control_plane
from bench.source import SourceRepository
from tests.controlplane.processes import free_ports
from tests.git.git_world import http_git

PUSHES = 20
#: Syncs of so many ConfigMaps, each of which a commit changes, with and without so many wrong deliveries a second.
SYNCS, OBJECTS, RATE = 20, 50, 1000.0
_TOKEN = "token-of-the-benchmark"
_PATIENCE = 120.0


def _files(text: str, count: int) -> dict[str, str]:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
    return {
        f"{FOLDER}/cm-{number}.yaml": f"{head}  name: cm-{number}\n  namespace: default\ndata: {{text: '{text}'}}\n"
        for number in range(count)
    }


class Rig:
    """An agent that polls once an hour, whose repository's webhook has a token."""

    def __init__(self, agent: Agent, source: SourceRepository, session: aiohttp.ClientSession, port: int) -> None:
        self.agent, self.source, self._session = agent, source, session
        path = hashlib.sha256(f"{_TOKEN}gitsyncgitsync-system".encode()).hexdigest()
        self.url = f"http://127.0.0.1:{port}/hook/{path}"

    async def push(self, text: str, count: int) -> tuple[float, float]:
        """Commit and deliver; seconds from the delivery until the sync has started, and until it has ended."""
        await asyncio.to_thread(self.source.stage, _files(text, count))
        await asyncio.to_thread(self.source.commit, text)
        commit, start = self.source.head()[:7], len(self.agent.lines)
        body = json.dumps({"after": commit}).encode()
        signature = hmac.new(_TOKEN.encode(), body, "sha256").hexdigest()
        headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
        began = time.monotonic()
        async with self._session.post(self.url, data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        started, ended = [await self._line(event, commit, start) for event in ("sync started", "sync finished")]
        return started.at - began, ended.at - began

    async def _line(self, event: str, commit: str, start: int) -> LogLine:
        def wanted(line: LogLine) -> bool:
            return line.event == event and line.fields.get("commit") == commit

        return await self.agent.line(wanted, _PATIENCE, event, start)


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Everything, ready: the first commit is synced."""
    with tempfile.TemporaryDirectory(prefix="gitsync-bench-") as name, control_plane() as plane:
        directory, port = Path(name), free_ports(1)[0]
        (directory / "served").mkdir()
        source = SourceRepository(directory / "served" / "fleet")
        source.stage(_files("first", OBJECTS))
        source.commit("first")
        (directory / "token").write_text(_TOKEN)
        flags = ["--webhook-port", str(port), "--webhook-secret-file", str(directory / "token")]
        async with http_git(directory / "served") as server, aiohttp.ClientSession() as session:
            running = Agent.running(
                f"{server.url}/fleet", plane.cluster.kubeconfig, directory / "state", interval="1h", flags=flags
            )
            async with running as agent:
                await agent.line(lambda line: line.event == "sync finished", _PATIENCE, "the first sync")
                yield Rig(agent, source, session, port)


@asynccontextmanager
async def flooding(url: str) -> AsyncIterator[None]:
    """Wrong deliveries, sent by a process of their own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.flood", url, str(RATE), "3600"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await asyncio.wait_for(process.stdout.readline(), _PATIENCE)  # it has begun
        yield
    finally:
        process.send_signal(signal.SIGINT)
        told = json.loads(await process.stdout.read() or b"{}")
        await process.wait()
        print("  flood:", told, file=sys.stderr)


@asynccontextmanager
async def sink() -> AsyncIterator[str]:
    """A server in a process of its own that refuses everything: what the machine alone makes of such a flood."""
    port = free_ports(1)[0]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.flood", "sink", str(port))
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        await process.wait()


async def _measure_flood(it: Rig) -> None:
    calm, beside, flooded = [], [], []
    async with sink() as elsewhere:
        for number in range(SYNCS):
            calm.append((await it.push(f"calm {number}", OBJECTS))[1])
            async with flooding(elsewhere):
                beside.append((await it.push(f"beside {number}", OBJECTS))[1])
            async with flooding(it.url):
                flooded.append((await it.push(f"flooded {number}", OBJECTS))[1])
            print(f"  {calm[-1]:.3f} {beside[-1]:.3f} {flooded[-1]:.3f}", file=sys.stderr)
    for what, seconds in (("calm", calm), ("flood of another process", beside), ("flood of the agent", flooded)):
        print(f"sync of {OBJECTS} ConfigMaps, {what}: median {statistics.median(seconds):.3f} s")
    for what, others in (("calm", calm), ("a flood of another process", beside)):
        ratios = [one / other for one, other in zip(flooded, others, strict=True)]
        print(f"flooded against {what}: ratio {statistics.median(ratios):.2f}")


async def main() -> None:
    async with rig() as it:
        starts = [(await it.push(f"push {number}", 1))[0] for number in range(PUSHES)]
        print(f"delivery to `sync started`: median {statistics.median(starts):.3f} s, longest {max(starts):.3f} s")
        await _measure_flood(it)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
