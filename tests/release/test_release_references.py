"""What releases refer to is watched: by one watch for each kind and namespace, while somebody refers to it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.charts.workers import Workers
from gitsync.cluster import Cluster
from gitsync.cluster.timings import Timings
from gitsync.errors import RetryableError, ValuesError, ValuesMissing
from gitsync.release.values.references import References
from gitsync.sources.watch.datawatch import data_only
from tests.controlplane.cluster import Cluster as Plane
from tests.until import until


def release(namespace: str, name: str, *references: dict[str, Any]) -> HelmRelease:
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "interval": "5m",
                "chart": {"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
                "valuesFrom": list(references),
            },
        }
    )


class Woken:
    """Who was told of changes, and why; ``wait`` returns the next."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[ObjectKey, str]] = asyncio.Queue()

    def __call__(self, key: ObjectKey, why: str) -> None:
        self.queue.put_nowait((key, why))

    async def wait(self) -> tuple[str, str]:
        key, why = await asyncio.wait_for(self.queue.get(), 60)
        return key.name, why


@pytest.fixture
async def cluster(control_plane: Plane) -> AsyncIterator[Cluster]:
    """gitsync's own client, that lets go of watches soon."""
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig, timings=Timings(linger=0.1)) as connected:
        yield connected


async def apply(cluster: Cluster, namespace: str, name: str, **data: str) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }
    await cluster.apply(manifest, manager="test")


BASE = {"kind": "ConfigMap", "name": "base"}


async def test_a_change_wakes_those_who_refer_to_it_and_nobody_else(cluster: Cluster, namespace: str) -> None:
    woken = Woken()
    references = References(cluster, woken)
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 1", "other": "x"})
    await apply(cluster, namespace, "more", **{"values.yaml": "b: 1"})
    one, two = release(namespace, "one", BASE), release(namespace, "two", BASE, {"kind": "ConfigMap", "name": "more"})
    assert await references.values(one) == {"a": 1}
    assert await references.values(two) == {"a": 1, "b": 1}
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 1", "other": "y"})  # a key that nobody refers to
    await apply(cluster, namespace, "more", **{"values.yaml": "b: 2"})
    assert await woken.wait() == ("two", f"ConfigMap/{namespace}/more was changed")
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 2"})
    assert sorted([await woken.wait(), await woken.wait()]) == [
        ("one", f"ConfigMap/{namespace}/base was changed"),
        ("two", f"ConfigMap/{namespace}/base was changed"),
    ]
    assert await references.values(two) == {"a": 2, "b": 2}
    await references.close()


async def test_what_is_missing_wakes_when_it_comes(cluster: Cluster, namespace: str) -> None:
    woken = Woken()
    references = References(cluster, woken)
    with pytest.raises(ValuesMissing):
        await references.values(release(namespace, "one", BASE))
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 1"})
    assert await woken.wait() == ("one", f"ConfigMap/{namespace}/base was changed")
    assert await references.values(release(namespace, "one", BASE)) == {"a": 1}
    await references.close()


async def test_passes_without_news_cost_no_request_and_watches_are_shared(cluster: Cluster, namespace: str) -> None:
    references = References(cluster, Woken())
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 1"})
    before = cluster.requests.copy()
    for number in range(5):
        for _ in range(3):
            assert await references.values(release(namespace, f"release-{number}", BASE)) == {"a": 1}
    assert cluster.requests - before == {"list": 1, "watch": 1}
    await references.close()


async def test_a_watch_ends_when_nobody_refers_to_it_any_more(cluster: Cluster, namespace: str) -> None:
    woken = Woken()
    references = References(cluster, woken)
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 1"})
    await references.values(release(namespace, "one", BASE))
    await references.values(release(namespace, "two", BASE))
    assert watching(namespace) == 1
    assert await references.values(release(namespace, "one")) == {}
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 2"})
    assert (await woken.wait())[0] == "two", "the other one goes on to hear of it"
    assert watching(namespace) == 1
    await references.forget(release(namespace, "two").key)
    await until(lambda: watching(namespace) == 0)


def watching(namespace: str) -> int:
    return sum(namespace in task.get_name() for task in asyncio.all_tasks())


async def test_a_release_without_references_starts_no_watch(cluster: Cluster, namespace: str) -> None:
    references = References(cluster, Woken())
    assert await references.values(release(namespace, "one")) == {}
    assert cluster.requests.total() == 0


LARGE = "# " + "x" * (64 << 10) + "\n"


async def test_what_is_large_is_not_kept_and_wakes_when_it_changes(cluster: Cluster, namespace: str) -> None:
    woken = Woken()
    references = References(cluster, woken)
    await apply(cluster, namespace, "base", **{"values.yaml": f"{LARGE}a: 1"})
    one = release(namespace, "one", BASE)
    assert await references.values(one) == {"a": 1}
    async with cluster.watch("", "ConfigMap", namespace=namespace, keep=data_only) as watch:
        assert "data" not in (watch.get(ObjectKey("", "ConfigMap", namespace, "base")) or {"data": ""})
    await apply(cluster, namespace, "base", **{"values.yaml": f"{LARGE}a: 2"})
    assert await woken.wait() == ("one", f"ConfigMap/{namespace}/base was changed")
    assert await references.values(one) == {"a": 2}
    await apply(cluster, namespace, "base", **{"values.yaml": "a: 3"})
    assert await woken.wait() == ("one", f"ConfigMap/{namespace}/base was changed")
    assert await references.values(one) == {"a": 3}
    await apply(cluster, namespace, "base", **{"values.yaml": f"{LARGE}a: 4"})
    assert await woken.wait() == ("one", f"ConfigMap/{namespace}/base was changed")
    assert await references.values(one) == {"a": 4}
    await references.close()


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers()
    yield made
    await made.close()


FLOW = "a: [" + ",".join(["{a: 0}"] * 110_000) + "]"
UNFOLDING = "a: &a [" + "0," * 2000 + "]\nb: [" + "*a," * 4000 + "]"


@pytest.mark.parametrize("text", [FLOW, UNFOLDING], ids=["flow", "aliases"])
async def test_values_that_come_to_too_much_are_refused(
    cluster: Cluster, namespace: str, workers: Workers, text: str
) -> None:
    references = References(cluster, Woken(), workers)
    await apply(cluster, namespace, "base", **{"values.yaml": text})
    with pytest.raises(ValuesError, match=r"MiB of memory|holds no YAML mapping"):  # the parser counts aliases
        await references.values(release(namespace, "one", BASE))
    await references.close()


async def test_places_that_make_long_lists_are_refused(cluster: Cluster, namespace: str, workers: Workers) -> None:
    references = References(cluster, Woken(), workers)
    await apply(cluster, namespace, "base", x="1")
    far = [{**BASE, "valuesKey": "x", "targetPath": f"k{number}" + "[65535]" * 30} for number in range(100)]
    with pytest.raises(ValuesError, match="MiB"):
        await references.values(release(namespace, "one", *far))
    await references.close()


async def test_values_of_one_namespace_leave_room_for_others(
    cluster: Cluster, namespace: str, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.runtime.memory.PATIENCE", 0.2)
    references = References(cluster, Woken(), workers)
    await apply(cluster, namespace, "base", **{"values.yaml": "a: [" + ",".join(["{a: 0}"] * 40_000) + "]"})
    held = []

    async def hold_them() -> None:
        for number in range(20):
            held.append(await references.values(release(namespace, f"r{number}", BASE)))

    with pytest.raises(RetryableError, match=f"the values of namespace {namespace} that are worked with would take"):
        await hold_them()
    assert 1 < len(held) < 20
    held.clear()
    assert len((await references.values(release(namespace, "last", BASE)))["a"]) == 40_000
    await references.close()


async def test_large_ones_are_in_memory_within_a_bound_however_many_read_them_at_once(
    cluster: Cluster, namespace: str, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each release refers to 4 MiB, and 24 of them begin in the same moment."""
    monkeypatch.setattr("gitsync.runtime.memory.PATIENCE", 60.0)
    references = References(cluster, Woken(), workers)
    text = "# " + "x" * (1000 << 10) + "\na: 1"
    names = [f"part-{number}" for number in range(4)]
    for name in names:
        await apply(cluster, namespace, name, **{"values.yaml": text})
    releases = [
        release(namespace, f"r{number}", *({"kind": "ConfigMap", "name": name} for name in names))
        for number in range(24)
    ]
    await references.values(releases[0])
    gc.collect()
    tracemalloc.start()
    found = await asyncio.gather(*map(references.values, releases))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [{"a": 1}] * 24
    assert peak < 90 << 20, f"{peak >> 20} MiB"
    await references.close()


async def test_who_refers_to_too_much_is_told_before_any_of_it_is_read(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.sources.watch.referred.MOST", 150 << 10)
    references = References(cluster, Woken())
    for name in ("base", "more", "most"):
        await apply(cluster, namespace, name, **{"values.yaml": LARGE})
    before = cluster.requests["get"]
    named = [{"kind": "ConfigMap", "name": name} for name in ("base", "more", "most")]
    with pytest.raises(RetryableError, match="the ConfigMaps and Secrets that it refers to have more than"):
        await references.values(release(namespace, "one", *named))
    assert cluster.requests["get"] == before
    await references.close()


async def test_for_its_cluster_no_values_are_read(cluster: Cluster, namespace: str) -> None:
    references = References(cluster, Woken())
    await apply(cluster, namespace, "base", **{"values.yaml": f"{LARGE}a: 1"})
    one = release(namespace, "one", BASE)
    assert await references.values(one) == {"a": 1}
    before = cluster.requests.copy()
    assert await references.remote(one) is None
    assert cluster.requests == before
    await references.close()


ODD = f"a: {{b: 0644, c: [x, {{y: z}}]}}\nbig: {10**30}\n"


async def test_large_values_are_read_as_small_ones_are(cluster: Cluster, namespace: str, workers: Workers) -> None:
    here, elsewhere = References(cluster, Woken()), References(cluster, Woken(), workers)
    await apply(cluster, namespace, "base", **{"values.yaml": LARGE + ODD})
    await cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "secret", "namespace": namespace},
            "stringData": {"p": "correct-horse", "values.yaml": "user: {name: shown-name, password: hunter2-x}"},
        },
        manager="test",
    )
    secret = {"kind": "Secret", "name": "secret"}
    wanted = release(
        namespace, "shown-name", BASE, secret, {**secret, "valuesKey": "p", "targetPath": "a.c[3]", "literal": True}
    )
    assert await here.values(wanted) == await elsewhere.values(wanted)
    assert here.secrets(wanted.key) == elsewhere.secrets(wanted.key) == {"correct-horse", "hunter2-x"}
    for references in (here, elsewhere):
        await references.close()
