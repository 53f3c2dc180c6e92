"""Worker processes that do not go on, and what ``/healthz`` makes of it: of those that are merely busy, nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from gitsync.charts import Charts, Rendered
from gitsync.charts.workers import WORKERS
from gitsync.errors import RenderError
from gitsync.runtime import bounded, places
from gitsync.web.probes import Probes
from tests.charts.hostility import CONTEXT, ENDLESS, chart, honest
from tests.charts.processes import busy, workers
from tests.until import until
from tests.web.asking import asked, port

__all__ = ["port"]


async def at_work(charts: Charts) -> list[asyncio.Task[Rendered]]:
    """All worker processes, at templates that never end."""
    hostile = [await chart(charts, f"{ENDLESS}# {number}") for number in range(WORKERS)]
    rendering = [asyncio.create_task(charts.render(item, {}, CONTEXT)) for item in hostile]
    await until(lambda: len(busy()) == WORKERS)
    return rendering


async def test_processes_that_are_stopped_are_replaced_at_their_deadlines(
    charts: Charts, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 8.0)
    monkeypatch.setattr(places, "LATE", 2.0)
    probes = Probes()
    probes.stuck = lambda: charts.workers.places.stuck
    rendering = await at_work(charts)
    stopped = workers()
    for process in stopped:
        process.suspend()
    async with probes.serving(port):
        for task in rendering:
            with pytest.raises(RenderError, match="was not rendered within 8 s"):
                await task
            assert await asked(port, "/healthz") == (200, "ok\n")
        assert not any(process.is_running() for process in stopped)
        assert await honest(charts, "b") == "b"


@pytest.fixture
def unkillable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Processes that do not end when they are killed, as in a sleep that the kernel does not interrupt. At the end they
    do."""
    killed: list[int] = []

    class Deaf:
        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def kill(self, pid: int, _number: int) -> None:
            killed.append(pid)

    monkeypatch.setattr(bounded, "os", Deaf())
    yield killed
    for pid in killed:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


async def test_a_pool_of_which_nothing_comes_any_more_ends_life_and_one_that_is_busy_does_not(
    charts: Charts, port: int, monkeypatch: pytest.MonkeyPatch, unkillable: list[int]
) -> None:
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 4.0)
    monkeypatch.setattr(places, "LATE", 1.0)
    probes = Probes()
    probes.stuck = lambda: charts.workers.places.stuck
    rendering = await at_work(charts)
    async with probes.serving(port):
        assert await asked(port, "/healthz") == (200, "ok\n"), "they are at work"
        for process in workers():
            process.suspend()
        await until(lambda: len(unkillable) == WORKERS)
        assert await asked(port, "/healthz") == (200, "ok\n"), "they have just been killed"
        await until(lambda: charts.workers.places.stuck)
        status, text = await asked(port, "/healthz")
        assert (status, text) == (503, "no worker process has come to its end within 1 s of its deadline\n")
        for pid in unkillable:
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*rendering, return_exceptions=True)
        assert await asked(port, "/healthz") == (200, "ok\n")
