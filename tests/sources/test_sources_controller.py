"""HelmRepositories of a real cluster: when they are looked at, and who is told that one holds something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_REPOSITORY, SOURCE_GROUP
from gitsync.charts.serve import ChartServer
from gitsync.charts.source import archive_from_files
from gitsync.cluster import Cluster
from gitsync.errors import SourceNotReady
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.sources.controller import Concerns, Sources
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifacts
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.sources.world import chart
from tests.until import until


class ByHand(Schedule):
    """A schedule whose intervals pass when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.intervals: dict[str, float] = {}
        self._due: dict[str, Callable[[], Any]] = {}

    def every(self, name: str, seconds: float, call: Callable[..., Any], *args: Any) -> None:
        if name.startswith("source "):  # nothing else is of interest here
            self.intervals[name] = seconds
            self._due[name] = lambda: call(*args)

    def cancel(self, name: str) -> None:
        self.intervals.pop(name, None)
        self._due.pop(name, None)

    def passes(self) -> None:
        """An interval of everything."""
        for call in list(self._due.values()):
            call()


class World:
    """A chart repository, a HelmRepository of it, and the sources of the namespace."""

    def __init__(
        self, cluster: Cluster, namespace: str, server: ChartServer, schedule: ByHand, sources: Sources
    ) -> None:
        self.cluster, self.namespace, self.server = cluster, namespace, server
        self.schedule, self.sources = schedule, sources
        self.told: asyncio.Queue[Concerns] = asyncio.Queue()
        self.key = ObjectKey(SOURCE_GROUP, HELM_REPOSITORY, namespace, "apps")

    async def apply(self, **spec: Any) -> None:
        manifest = {
            "apiVersion": f"{SOURCE_GROUP}/v1",
            "kind": HELM_REPOSITORY,
            "metadata": {"name": self.key.name, "namespace": self.namespace},
            "spec": {"url": f"{self.server.url}/apps", "interval": "1h", **spec},
        }
        await self.cluster.apply(manifest, manager="test")

    async def next_change(self) -> Concerns:
        async with asyncio.timeout(60):
            return await self.told.get()

    def release(self, source: str = "apps") -> HelmRelease:
        reference = {"kind": HELM_REPOSITORY, "name": source}
        return HelmRelease.parse(
            {
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "metadata": {"name": "app", "namespace": self.namespace},
                "spec": {"interval": "5m", "chart": {"spec": {"chart": "app", "sourceRef": reference}}},
            }
        )


def archive(version: str) -> bytes:
    return archive_from_files({"Chart.yaml": chart("app", version).encode()})


@pytest.fixture
async def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(serving_namespace(control_plane, namespace))
        server = await stack.enter_async_context(ChartServer({"apps": [archive("1.0.0")]}))
        fetched = ChartRepositories(tmp_path / "charts")
        stack.push_async_callback(fetched.close)
        events = await stack.enter_async_context(EventRecorder(cluster, "test").running())
        schedule = ByHand()
        sources = Sources(cluster, fetched, Artifacts(), events, schedule)
        world = World(cluster, namespace, server, schedule, sources)
        sources.subscribe(world.told.put_nowait)
        await stack.enter_async_context(sources.serving())
        yield world


async def test_an_interval_that_passes_finds_a_new_chart_and_those_that_use_it_are_told(world: World) -> None:
    await world.apply()
    await world.next_change()
    assert list(world.schedule.intervals.values()) == [3600.0]
    assert (await world.sources.locate(world.release())).version == "1.0.0"

    world.server.publish("apps", [archive("1.1.0")])
    world.schedule.passes()
    concerns = await world.next_change()
    assert concerns(world.release())
    assert not concerns(world.release("others"))
    assert (await world.sources.locate(world.release())).version == "1.1.0"


async def test_an_interval_that_is_changed_is_another_and_a_suspended_repository_has_none(world: World) -> None:
    await world.apply()
    await until(lambda: list(world.schedule.intervals.values()) == [3600.0])
    await world.apply(interval="10m")
    await until(lambda: list(world.schedule.intervals.values()) == [600.0])
    await world.apply(suspend=True)
    await until(lambda: not world.schedule.intervals)


async def test_a_repository_that_is_deleted_leaves_nothing_behind_and_one_of_its_name_is_another(world: World) -> None:
    await world.apply()
    await world.next_change()
    await world.cluster.delete(world.key)
    await until(lambda: not world.schedule.intervals)

    async def is_gone() -> bool:
        try:
            await world.sources.locate(world.release())
        except SourceNotReady:
            return True
        return False

    await until(is_gone)

    await world.apply()  # of the same generation as the first one
    await world.next_change()
    assert (await world.sources.locate(world.release())).version == "1.0.0"


async def test_a_secret_that_is_not_there_is_a_login_that_fails_as_with_flux(world: World) -> None:
    async def reason() -> tuple[str, str]:
        found = {
            item["type"]: item for item in (await world.cluster.get(world.key)).get("status", {}).get("conditions", ())
        }
        return str(found.get("Ready", {}).get("reason")), str(found.get("FetchFailed", {}).get("reason"))

    async def has(expected: str) -> bool:
        return await reason() == (expected, expected)

    for name in ("secretRef", "certSecretRef"):
        await world.apply(**{name: {"name": "nosuch"}})
        await until(lambda: has("AuthenticationFailed"))
        await world.apply(url=f"{world.server.url}/nowhere")
        await until(lambda: has("IndexationFailed"))


async def test_what_gitsync_writes_is_no_reason_to_look_again(world: World) -> None:
    await world.apply()
    await world.next_change()

    async def ready() -> bool:
        conditions = (await world.cluster.get(world.key)).get("status", {}).get("conditions", ())
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    await until(ready)
    asked = world.server.requests.total()
    await world.apply(timeout="50s")  # a change of the spec is one: by then the status has long been seen
    await until(lambda: world.server.requests.total() > asked)
    assert world.server.requests.total() == asked + 1
