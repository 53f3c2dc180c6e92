"""Records as this agent knows them: its own writes at once, of others' only what can be trusted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gitsync.cluster import Cluster, WatchEvent
from gitsync.release.storage.record import CHART_DIGEST, VALUES_DIGEST, Digests, Record, digests_of, secret_key
from gitsync.release.storage.recordstore import RecordStore
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.release.late import LateWatch
from tests.until import until

DIGESTS = Digests("sha256:chart", "sha256:values")


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


def record(namespace: str) -> Record:
    annotations = {CHART_DIGEST: DIGESTS.chart, VALUES_DIGEST: DIGESTS.values}
    return Record("redis", namespace, 1, "pending-install", {}, {}, "", annotations=annotations)


async def test_what_somebody_else_changes_is_told_and_no_longer_trusted(cluster: Cluster, namespace: str) -> None:
    told: list[tuple[str, str]] = []
    store = RecordStore(cluster, "gitsync/us")

    def tell(*release: str) -> None:
        if release[0] == namespace:  # those of other tests go meanwhile, with their records
            told.append((release[0], release[1]))

    store.on_foreign_change(tell)
    key = secret_key(namespace, "redis", 1)

    async with store.watching():
        for _ in range(20):  # events and answers race; neither may be taken for somebody else's
            written = await store.create(record(namespace), namespace)
            await store.update(written.now("deployed", "Install complete"), namespace)
            await store.delete(namespace, "redis", 1)
        written = await store.create(record(namespace), namespace)
        await store.update(written.now("deployed", "Install complete"), namespace)

        await cluster.patch(key, {"metadata": {"labels": {"backup": "done"}}}, manager="somebody")
        await until(lambda: told)
        assert told == [(namespace, "redis")]
        latest = store.latest(namespace, "redis")
        assert latest is not None
        assert (latest.status, digests_of(latest)) == ("deployed", None)

        await store.mark(written, namespace, DIGESTS)
        latest = store.latest(namespace, "redis")
        assert latest is not None
        assert digests_of(latest) == DIGESTS, "also when that changes nothing in the cluster"

        await cluster.delete(key)
        await until(lambda: store.latest(namespace, "redis") is None)
        assert told == [(namespace, "redis")] * 2


async def test_what_is_known_from_the_beginning_is_trusted(cluster: Cluster, namespace: str) -> None:
    before = RecordStore(cluster, "gitsync/us")
    await before.create(record(namespace), namespace)

    store = RecordStore(cluster, "gitsync/us")
    async with store.watching(namespace):
        latest = store.latest(namespace, "redis")
        assert latest is not None
        assert digests_of(latest) == DIGESTS


async def test_of_own_deeds_nothing_is_told_however_late_the_watch_is(cluster: Cluster, namespace: str) -> None:
    told: list[tuple[str, str]] = []
    late = LateWatch(cluster)
    store = RecordStore(late, "gitsync/us")  # type: ignore[arg-type]
    store.on_foreign_change(lambda *release: told.append(release))

    async with store.watching(namespace):
        for _ in range(3):  # each under the name of the one before
            written = await store.create(record(namespace), namespace)
            await store.update(written.now("deployed", "Install complete"), namespace)
            await store.delete(namespace, "redis", 1)
        await until(lambda: len(late.held) == 9)
        for event in late.held:
            late.deliver(event)
            assert store.latest(namespace, "redis") is None, event.type
    assert not told


async def test_what_went_while_the_watch_was_away_is_gone_whichever_state_it_saw_last(
    cluster: Cluster, namespace: str
) -> None:
    late = LateWatch(cluster)
    store = RecordStore(late, "gitsync/us")  # type: ignore[arg-type]

    async with store.watching(namespace):
        written = await store.create(record(namespace), namespace)
        await until(lambda: late.held)
        await store.update(written.now("deployed", "Install complete"), namespace)
        (created,) = late.held[:1]
        late.deliver(WatchEvent("DELETED", created.key, created.manifest))
        assert store.latest(namespace, "redis") is None
