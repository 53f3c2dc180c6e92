"""The floor on a real control plane: it applies in order, waits for what it applied, and counts what it sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import floor
from bench.api import PATHS, Api
from bench.cases import QUICK
from bench.counters import Kind, since
from bench.errors import BenchError
from tests.controlplane.cluster import Cluster
from tests.until import until


async def test_it_ends_when_all_is_ready_and_the_api_server_counts_what_it_sent(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    rendering = await floor.render(QUICK, namespace, tmp_path)
    async with Api(control_plane) as api:
        before = await api.metrics()
        assert 0 < await floor.run(api, QUICK, rendering, namespace) < 30
        counted = since(before, await api.metrics())
        await until(lambda: _watched(api, before))  # a watch is counted when the server sees its end
        deployments = await api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")
    assert {item["metadata"]["name"] for item in deployments["items"]} == set(QUICK.releases)
    assert all(floor.is_ready(item) for item in deployments["items"])
    applied = {kind.resource: count for kind, count in counted.items() if kind.verb == "APPLY"}
    assert applied == {"configmaps": 3, "deployments": 3, "services": 3}
    assert api.requests == 9


async def _watched(api: Api, before: Counter[Kind]) -> bool:
    return since(before, await api.metrics())[Kind("WATCH", "deployments")] == 1


async def test_a_release_is_applied_when_those_above_it_are_ready(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    rendering = await floor.render(QUICK, namespace, tmp_path)
    ready: set[str] = set()
    ready_when_first_seen: dict[str, set[str]] = {}
    async with Api(control_plane) as api, api.watch(PATHS["Deployment"].format(namespace)) as deployments:
        running = asyncio.create_task(floor.run(api, QUICK, rendering, namespace))
        async for item in deployments:
            ready_when_first_seen.setdefault(item["metadata"]["name"], set(ready))
            if floor.is_ready(item):
                ready.add(item["metadata"]["name"])
                if ready == set(QUICK.releases):
                    break
        await running
    assert ready_when_first_seen["app-00-000"] == set()
    assert "app-00-000" in ready_when_first_seen["app-01-000"] & ready_when_first_seen["app-01-001"]


async def test_an_object_that_is_refused_ends_the_run(control_plane: Cluster, namespace: str, tmp_path: Path) -> None:
    rendering = await floor.render(QUICK, namespace, tmp_path)
    refused: list[Any] = [{**rendering["app-00-000"][0], "data": "no map"}]
    async with Api(control_plane) as api:
        with pytest.raises(BenchError, match="app-00-000"):
            await floor.run(api, QUICK, {**rendering, "app-00-000": refused}, namespace)
