"""What large objects of gitsync's own kinds come to in memory, namespace by namespace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gitsync.cluster import Cluster
from gitsync.cluster.watching import crowd
from gitsync.cluster.watching.crowd import Crowd
from gitsync.weight import object_weight
from tests.charts.hostility import Peak
from tests.cluster.conftest import SHORT
from tests.cluster.faulty import FaultyApi, answer, event, group, stream, write_kubeconfig
from tests.until import until

GROUP = "helm.toolkit.fluxcd.io"
#: HelmReleases of 900 KB each, which would come to a gigabyte.
MANY, MAPS = 40, 110_000
MIB = 1 << 20


def release(name: str, maps: int, namespace: str = "apps", **metadata: str) -> dict[str, Any]:
    spec = {"values": {"a": [{"a": 0} for _ in range(maps)]}}
    return {"kind": "HelmRelease", "metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """With room for two that have a thousand maps."""
    monkeypatch.setattr(crowd, "LARGE", object_weight(release("a", 100)))
    monkeypatch.setattr(crowd, "TOGETHER", object_weight(release("a", 2050)))
    return Crowd("HelmRelease")


def test_of_a_namespace_that_has_too_much_the_next_one_counts_as_invalid(
    small: Crowd, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = [small.taken(release(name, 1000)) for name in "abcd"]
    assert [it["spec"] is None for it in taken] == [False, False, True, True]
    assert small.taken(release("e", 1000, "others"))["spec"] is not None
    assert small.taken(release("f", 10))["spec"] is not None, "what is small does not count"
    assert capsys.readouterr().out.count("large objects are too many") == 1


def test_what_goes_or_becomes_smaller_makes_room(small: Crowd) -> None:
    for name in "ab":
        small.taken(release(name, 1000))
    small.left(release("a", 1000))
    assert small.taken(release("c", 1000))["spec"] is not None
    assert small.taken(release("d", 1000))["spec"] is None
    small.taken(release("b", 10))
    assert small.taken(release("d", 1000))["spec"] is not None
    small.clear()
    assert small.taken(release("x", 1000))["spec"] is not None


def test_what_changes_is_not_counted_twice(small: Crowd) -> None:
    for _ in range(5):
        assert small.taken(release("a", 1000))["spec"] is not None


def test_what_is_being_deleted_is_taken_as_it_is(small: Crowd) -> None:
    for name in "ab":
        small.taken(release(name, 1000))
    assert small.taken(release("c", 1000, deletionTimestamp="2026-01-01T00:00:00Z"))["spec"] is not None


def as_text(name: str, maps: int) -> bytes:
    metadata = f'{{"name":"{name}","namespace":"apps","uid":"{name}","resourceVersion":"3"}}'
    values = ",".join(['{"a":0}'] * maps)
    return f'{{"metadata":{metadata},"spec":{{"values":{{"a":[{values}]}}}}}}'.encode()


async def in_pages(request: web.Request) -> web.StreamResponse:
    """A list, as an API server gives it."""
    if "watch" in request.query:
        changed = release("r0", 1, "apps", uid="r0", resourceVersion="7")
        gone = release("r1", 1, "apps", uid="r1", resourceVersion="8")
        again = release(f"r{MANY - 1}", 10_000, "apps", uid=f"r{MANY - 1}", resourceVersion="9")
        events = [event("MODIFIED", changed), event("DELETED", gone), event("MODIFIED", again)]
        return await stream(*events, then="hang")(request)
    begin = int(request.query.get("continue", "0"))
    end = min(begin + int(request.query["limit"]), MANY)
    token = f',"continue":"{end}"' if end < MANY else ""
    items = b",".join(as_text(f"r{number}", MAPS) for number in range(begin, end))
    text = b'{"metadata":{"resourceVersion":"5"%s},"items":[%s]}' % (token.encode(), items)
    return web.Response(body=text, content_type="application/json")


async def test_a_namespace_with_a_gigabyte_of_them_takes_what_it_may(api: FaultyApi, tmp_path: Path) -> None:
    kinds = answer({"kind": "APIGroupDiscoveryList", "items": [group(GROUP, "v2", [("HelmRelease", "helmreleases")])]})
    api.on("GET", "/apis", kinds)
    api.on("GET", f"/apis/{GROUP}/v2/helmreleases", in_pages)
    timings = replace(SHORT, request=60.0, total=120.0, silence=60.0, sync=100.0)
    connecting = Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=timings)
    peak = Peak()
    async with await connecting as cluster, cluster.watch(GROUP, "HelmRelease") as watch:
        assert len(watch.items()) == MANY
        await until(lambda: len(watch.items()) == MANY - 1)
        last = f"r{MANY - 1}"
        await until(lambda: any(key.name == last and it["spec"] for key, it in watch.items()))
        served = [key.name for key, manifest in watch.items() if manifest["spec"] is not None]
    print(f"grown by {peak.grown // MIB} MiB")
    assert peak.grown < 450 * MIB
    assert served == ["r0", last], "what has become smaller is served again"
