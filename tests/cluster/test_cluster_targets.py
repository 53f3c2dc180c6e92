"""Clusters as some user: shared by all objects that ask for the same, and closed after the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.cluster import CONFINED, Cluster, KubeconfigText
from gitsync.cluster.targets import Target, Targets
from gitsync.errors import ClusterUnavailable, KubeConfigRefused, MissingRight, ServiceAccountMissing
from tests.controlplane.cluster import Cluster as ControlPlane


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


async def test_a_target_is_shared_and_what_was_put_on_it_ends_before_its_connection(
    cluster: Cluster, namespace: str
) -> None:
    released: list[str] = []

    async def on_release(key: ObjectKey) -> None:
        released.append(key.name)

    targets = Targets(cluster, CONFINED, on_release)
    one, two = (ObjectKey("example", "Sync", namespace, name) for name in ("one", "two"))
    assert await targets.acquire(one, None, "") is targets.own

    found = await targets.acquire(one, None, "default")
    assert (found, found.remote) == (await targets.acquire(two, None, "default"), False)
    assert targets.at(one) is targets.at(two) is found
    assert released == ["one", "two"], "each gave up the own cluster"
    ended: list[bool] = []
    found.closing.push_async_callback(_open, found, ended)

    assert await targets.acquire(one, None, "") is targets.own
    assert ended == []
    await targets.release(two)
    assert ended == [True], "it could still be asked"
    with pytest.raises(ClusterUnavailable):
        await _watch(found)
    assert targets.at(two) is targets.own
    assert await cluster.served(), "the own connection goes on"
    assert released == ["one", "two", "one", "two"]


async def test_what_cannot_be_reached_is_said_and_tried_anew(cluster: Cluster, namespace: str) -> None:
    async def on_release(_key: ObjectKey) -> None:
        return

    targets = Targets(cluster, CONFINED, on_release)
    key = ObjectKey("example", "Sync", namespace, "one")
    with pytest.raises(ServiceAccountMissing, match=f"ServiceAccount {namespace}/nobody does not exist"):
        await targets.acquire(key, None, "nobody")
    assert targets.at(key) is targets.own
    with pytest.raises(KubeConfigRefused):
        await targets.acquire(key, KubeconfigText("current-context: none"), "")
    assert (await targets.acquire(key, None, "default")).cluster is not cluster
    await targets.close()
    assert targets.at(key) is targets.own


async def test_a_target_is_closed_also_when_who_gives_it_up_is_cancelled_meanwhile(
    cluster: Cluster, control_plane: ControlPlane
) -> None:
    """A release whose kubeconfig changes gives one cluster up for another, and the next change interrupts that."""

    async def on_release(_key: ObjectKey) -> None:
        return

    targets = Targets(cluster, CONFINED, on_release)
    key = ObjectKey("example", "Sync", "default", "one")
    found = await targets.acquire(key, KubeconfigText(control_plane.kubeconfig.read_text()), "")
    assert found.cluster is not cluster
    assert await found.cluster.served()
    begun, go = asyncio.Event(), asyncio.Event()

    async def linger() -> None:
        begun.set()
        await go.wait()

    found.closing.push_async_callback(linger)
    giving_up = asyncio.create_task(targets.acquire(key, None, ""))
    await begun.wait()
    giving_up.cancel()
    await asyncio.wait([giving_up])
    assert giving_up.cancelled()
    go.set()
    await targets.close()
    with pytest.raises(ClusterUnavailable, match="has been closed"):
        await found.cluster.find(ObjectKey("", "Namespace", "", "default"))


async def _open(target: Target, ended: list[bool]) -> None:
    with pytest.raises(MissingRight):  # an answer, from somebody who has no rights
        await _watch(target)
    ended.append(True)


async def _watch(target: Target) -> None:
    async with target.cluster.watch("", "ServiceAccount", namespace="nowhere"):
        pass
