"""Who looks on at a terminal is told how things stand; without one nothing is counted."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gitsync import logs
from gitsync.agent.onlooker import telling_onlookers
from gitsync.api.identity import ObjectKey
from gitsync.cluster import WatchEvent
from gitsync.release.dependencies.index import ReleaseIndex
from tests.screen import Terminal
from tests.until import until


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm")
    yield
    logs.shutdown()


class Watch:
    """A watch of Kustomizations in which there are none, and of which somebody else may be told."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[WatchEvent], None]] = []

    def items(self) -> list[Any]:
        return []

    def subscribe(self, listener: Callable[[WatchEvent], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)


def release(name: str, status: str, version: int) -> tuple[ObjectKey, dict[str, Any]]:
    manifest = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "default", "generation": 1, "resourceVersion": str(version)},
        "spec": {
            "interval": "1h",
            "chart": {"spec": {"chart": "a", "sourceRef": {"kind": "HelmRepository", "name": "a"}}},
        },
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": status}]},
    }
    return ObjectKey.of(manifest), manifest


async def test_the_counts_follow_the_releases_while_something_is_synced_and_are_gone_after_it() -> None:
    terminal, index, watch = Terminal(80), ReleaseIndex(), Watch()
    syncing: str | None = "syncing bea210c"
    with os.fdopen(os.dup(terminal.slave), "w") as stream:
        logs.configure("auto", stream=stream)
        index.update(*release("redis", "False", 1))
        async with telling_onlookers(index, watch, lambda: syncing):  # type: ignore[arg-type]
            await until(lambda: "bea210c: 0 ready, 1 waiting, 0 failed" in terminal.screen.rows[-1])
            index.update(*release("redis", "True", 2))
            index.update(*release("backend", "False", 3))
            await until(lambda: "bea210c: 1 ready, 1 waiting, 0 failed" in terminal.screen.rows[-1])
            index.forget(release("backend", "", 0)[0])
            await until(lambda: "bea210c: 1 ready, 0 waiting, 0 failed" in terminal.screen.rows[-1])
            syncing = None
            await until(lambda: terminal.screen.rows == [""])
        assert watch.listeners == []
        logs.shutdown()
    terminal.close()
    assert terminal.screen.rows == [""]


async def test_without_a_terminal_nothing_is_counted_and_nobody_looks() -> None:
    logs.configure("auto", stream=io.StringIO())
    watch = Watch()
    async with telling_onlookers(ReleaseIndex(), watch, lambda: "syncing"):  # type: ignore[arg-type]
        assert watch.listeners == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
