"""gitsync in this process: everything but Git, serving the HelmReleases of one cluster from charts on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE
from gitsync.charts.serve import ChartServer
from gitsync.cluster import Cluster
from gitsync.metering import METER
from gitsync.release.controller import Releases
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.sources.controller import Sources
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifacts
from tests.e2e.background import Background


class Serving:
    """The one agent on the cluster, in a thread of its own. Use as a context manager.

    ``lines`` are its log lines, ``url`` is where its charts are.
    """

    def __init__(self, kubeconfig: Path, directory: Path, charts: Iterable[Path | bytes]) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self._server = ChartServer({"charts": charts})
        self._kubeconfig = kubeconfig
        self._directory = directory
        self._background = Background()
        self._stop = asyncio.Event()
        self._life: Future[None] | None = None

    @property
    def url(self) -> str:
        """The chart repository."""
        return f"{self._server.url}/charts"

    def passes(self, namespace: str, name: str) -> int:
        """How often a HelmRelease has been worked on, to the end."""
        key = ObjectKey(HELM_GROUP, HELM_RELEASE, namespace, name)

        async def counted() -> int:
            known = METER.queue("release").of_keys[key]
            return sum(known.counts) if known is not None else 0

        return self._background.run(counted())

    def __enter__(self) -> Serving:
        self._old_processors = structlog.get_config()["processors"]
        structlog.configure(processors=[structlog.processors.format_exc_info, self._keep])
        self._background.__enter__()
        started: Future[None] = Future()
        self._life = self._background.start(self._live(started))
        # A start that fails ends the life, and with it the wait.
        self._life.add_done_callback(lambda life: _fail(started, life.exception()))
        started.result(60)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._life is not None
        self._background.run(self._set_stop())
        self._life.result(30)
        self._background.__exit__()
        structlog.configure(processors=self._old_processors)

    async def _set_stop(self) -> None:
        self._stop.set()

    async def _live(self, started: Future[None]) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._server)
            cluster = await stack.enter_async_context(await Cluster.connect(kubeconfig=self._kubeconfig))
            charts = ChartRepositories(self._directory)
            stack.push_async_callback(charts.close)
            await ensure_crds(cluster)
            schedule = Schedule()
            schedule.start()
            stack.callback(schedule.stop)
            events = await stack.enter_async_context(EventRecorder(cluster, "gitsync/parity").running())
            sources = Sources(cluster, charts, Artifacts(), events, schedule)
            releases = Releases(cluster, sources, events, schedule, holder="gitsync/parity", concurrency=8)
            await stack.enter_async_context(sources.serving())
            await stack.enter_async_context(releases.serving())
            started.set_result(None)
            await self._stop.wait()

    def _keep(self, _logger: Any, method: str, line: Any) -> Any:
        self.lines.append({**line, "level": method})
        raise structlog.DropEvent


def _fail(started: Future[None], error: BaseException | None) -> None:
    if not started.done():
        started.set_exception(error or RuntimeError("ended before it had started"))
