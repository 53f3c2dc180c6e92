"""Events are written behind everybody's back: counted up, bounded, and never anybody's problem."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Cluster
from gitsync.runtime import recorder
from gitsync.runtime.event import Event
from gitsync.runtime.recorder import BURST, EventRecorder
from tests.controlplane.cluster import Cli
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.until import until

FAILED = Event("Warning", "InstallFailed", "no such image")


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


def about(namespace: str, name: str = "redis") -> Manifest:
    """An object that Events are about; it need not exist."""
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "resourceVersion": "1"},
    }


async def events(cluster: Cluster, namespace: str) -> list[Manifest]:
    """What was written."""
    found = await cluster.list("", "Event", namespace=namespace)
    return [item for item in found if item["involvedObject"]["kind"] == "HelmRelease"]


async def test_an_event_says_who_what_and_about_what(cluster: Cluster, namespace: str, kubectl: Cli) -> None:
    events_of = EventRecorder(cluster, "gitsync/test")
    async with events_of.running():
        events_of.record(about(namespace), FAILED)

    (event,) = await events(cluster, namespace)
    manifest = about(namespace)
    assert event["involvedObject"] == {
        **manifest["metadata"],
        "apiVersion": manifest["apiVersion"],
        "kind": "HelmRelease",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "InstallFailed", "no such image")
    assert (event["reportingComponent"], event["reportingInstance"]) == ("gitsync", "gitsync/test")
    shown = kubectl("get", "events", "--namespace", namespace, "--field-selector", "involvedObject.kind=HelmRelease")
    assert "helmrelease/redis" in shown
    assert "InstallFailed" in shown
    assert "<unknown>" not in shown


async def test_the_same_again_is_counted_up_at_one_request_each(cluster: Cluster, namespace: str) -> None:
    events_of = EventRecorder(cluster, "gitsync/test")
    async with events_of.running():
        for _ in range(2):
            events_of.record(about(namespace), FAILED)
        await until(lambda: cluster.requests["create"] == 1)
        events_of.record(about(namespace), FAILED)
        events_of.record(about(namespace, "other"), FAILED)

    counts = {item["involvedObject"]["name"]: item["count"] for item in await events(cluster, namespace)}
    assert counts == {"redis": 3, "other": 1}
    assert (cluster.requests["create"], cluster.requests["patch"]) == (2, 1)


async def test_what_happens_again_and_again_is_written_ever_more_rarely(cluster: Cluster, namespace: str) -> None:
    """In an hour, every forty seconds."""
    now = 0.0
    events_of = EventRecorder(cluster, "gitsync/test", lambda: now)

    async def count() -> int:
        return sum(item["count"] for item in await events(cluster, namespace))

    async with events_of.running():
        for number in range(90):
            now = number * 40.0
            events_of.record(about(namespace), FAILED)
            if number in (0, 1, 2, 4, 7, 13, 25, 37, 49, 61, 73, 85):
                await ask_until(count, number + 1)
            for _ in range(20):  # which is enough to be looked at
                await asyncio.sleep(0)
    assert (cluster.requests["create"], cluster.requests["patch"]) == (1, 11)
    assert await count() == 86


async def ask_until(ask: Callable[[], Awaitable[int]], wanted: int) -> None:
    async def is_so() -> bool:
        return await ask() == wanted

    await until(is_so)


async def test_an_event_that_somebody_deleted_is_written_anew(cluster: Cluster, namespace: str) -> None:
    events_of = EventRecorder(cluster, "gitsync/test")
    async with events_of.running():
        events_of.record(about(namespace), FAILED)
        await until(lambda: events(cluster, namespace))
        (event,) = await events(cluster, namespace)
        assert await cluster.delete(ObjectKey.of({**event, "apiVersion": "v1", "kind": "Event"}))
        events_of.record(about(namespace), FAILED)

    (again,) = await events(cluster, namespace)
    assert again["metadata"]["uid"] != event["metadata"]["uid"]


async def test_what_did_not_last_is_not_told(cluster: Cluster, namespace: str) -> None:
    events_of = EventRecorder(cluster, "gitsync/test")
    async with events_of.running():
        events_of.record(about(namespace), Event("Normal", "DependencyNotReady", "a is not ready", delay=30.0))
        events_of.record(about(namespace, "other"), Event("Normal", "DependencyNotReady", "waits", delay=0.1))
        events_of.record(about(namespace), Event("Normal", "InstallSucceeded", "done"))
        await until(lambda: cluster.requests["create"] == 2)

    told = {(item["involvedObject"]["name"], item["reason"]) for item in await events(cluster, namespace)}
    assert told == {("redis", "InstallSucceeded"), ("other", "DependencyNotReady")}


async def test_one_object_cannot_fill_the_cluster_with_events(cluster: Cluster, namespace: str) -> None:
    events_of = EventRecorder(cluster, "gitsync/test")
    for number in range(3 * BURST):
        events_of.record(about(namespace), Event("Warning", "InstallFailed", f"try {number}"))
    events_of.record(about(namespace, "other"), FAILED)
    async with events_of.running():
        pass

    names = [item["involvedObject"]["name"] for item in await events(cluster, namespace)]
    assert names.count("redis") == BURST
    assert names.count("other") == 1


async def test_events_that_cannot_be_written_hurt_nobody(cluster: Cluster, namespace: str) -> None:
    events_of = EventRecorder(cluster, "gitsync/test")
    async with events_of.running():
        events_of.record(about(namespace, "no%name"), FAILED)
        events_of.record(about(namespace), FAILED)

    assert [item["reason"] for item in await events(cluster, namespace)] == ["InstallFailed"]


async def test_the_end_does_not_wait_for_an_api_server_that_is_away(
    namespace: str, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "DRAIN", 0.1)
    cluster = await Cluster.connect(kubeconfig=control_plane.kubeconfig)
    monkeypatch.setattr(cluster, "create", lambda *_, **__: asyncio.sleep(3600))
    events_of = EventRecorder(cluster, "gitsync/test")
    async with asyncio.timeout(60), cluster, events_of.running():
        events_of.record(about(namespace), FAILED)
