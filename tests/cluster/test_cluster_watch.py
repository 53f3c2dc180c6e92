"""A shared watch that meets every fault it can: the store stays right, and those who listen hear each change once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.budget import Budget
from gitsync.cluster import Cluster, Informer, KubeconfigAllowance, WatchEvent
from gitsync.cluster.bounds import FOREIGN
from gitsync.errors import ApiError, ClusterUnavailable, Forbidden
from tests.cluster.conftest import SHORT, SOON_SILENT
from tests.cluster.faulty import (
    CONFIGMAPS,
    Answer,
    FaultyApi,
    a_list,
    answer,
    bookmark,
    configmap,
    event,
    failure,
    group,
    hang,
    reset,
    stream,
    write_kubeconfig,
)
from tests.until import until

A = ObjectKey("", "ConfigMap", "default", "a")
EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


def on_watch(api: FaultyApi, lists: list[Answer], streams: list[Answer]) -> None:
    """Lists and watches have one path: the query tells them apart."""
    turns = {"list": 0, "watch": 0}

    async def give(request: web.Request) -> web.StreamResponse:
        kind, answers = ("watch", streams) if "watch" in request.query else ("list", lists)
        turn = min(turns[kind], len(answers) - 1)
        turns[kind] += 1
        return await answers[turn](request)

    api.on("GET", CONFIGMAPS, give)


def watches(api: FaultyApi) -> list[dict[str, str]]:
    return [dict(seen.query) for seen in api.requests("GET", CONFIGMAPS) if "watch" in seen.query]


def lists(api: FaultyApi) -> list[dict[str, str]]:
    return [dict(seen.query) for seen in api.requests("GET", CONFIGMAPS) if "watch" not in seen.query]


class Listener:
    """Notes events as (type, name, resourceVersion) and lets a test wait for a number of them."""

    def __init__(self, watch: Informer) -> None:
        self.events: list[tuple[str, str, str]] = []
        self._news = asyncio.Event()
        watch.subscribe(self._heard)

    def _heard(self, event: WatchEvent) -> None:
        self.events.append((event.type, event.key.name, event.manifest["metadata"]["resourceVersion"]))
        self._news.set()

    async def wait(self, count: int) -> list[tuple[str, str, str]]:
        async with asyncio.timeout(60):
            while len(self.events) < count:
                self._news.clear()
                await self._news.wait()
        return self.events


def watch_default(cluster: Cluster, **options: Any) -> Informer:
    return cluster.watch("", "ConfigMap", namespace="default", **options)


async def test_entering_gives_the_list_and_then_come_the_changes_in_order(api: FaultyApi, cluster: Cluster) -> None:
    changes = [event("ADDED", configmap("b", 6)), event("MODIFIED", configmap("a", 7, x="2")), bookmark(8)]
    changes += [event("DELETED", configmap("b", 9))]
    on_watch(api, [answer(a_list(configmap("a", 3), version=5))], [stream(*changes, then="hang", pause=0.01)])
    async with watch_default(cluster) as watch:
        assert [(key.name, manifest["kind"]) for key, manifest in watch.items()] == [("a", "ConfigMap")]
        events = await Listener(watch).wait(3)
        assert events == [("ADDED", "b", "6"), ("MODIFIED", "a", "7"), ("DELETED", "b", "9")]
        found = watch.get(A)
        assert found is not None
        assert found["data"] == {"x": "2"}
        assert "managedFields" not in found["metadata"]
    (query,) = watches(api)
    assert query["resourceVersion"] == "5"
    assert query["allowWatchBookmarks"] == "true"
    assert 240 <= int(query["timeoutSeconds"]) <= 480


async def test_the_store_is_changed_before_those_who_listen_hear_of_it(api: FaultyApi, cluster: Cluster) -> None:
    changes = [event("MODIFIED", configmap("a", 7)), event("DELETED", configmap("a", 8))]
    on_watch(api, [answer(a_list(configmap("a", 3), version=5))], [stream(*changes, then="hang", pause=0.01)])
    seen = []
    async with watch_default(cluster) as watch:
        watch.subscribe(lambda event: seen.append((event.manifest["metadata"]["resourceVersion"], watch.get(A))))
        await Listener(watch).wait(2)
    (first, second) = seen
    assert first[1] is not None
    assert first[1]["metadata"]["resourceVersion"] == "7"
    assert second == ("8", None)


@pytest.mark.parametrize("end", ["end", "reset"])
async def test_a_stream_that_ends_goes_on_where_it_was(api: FaultyApi, cluster: Cluster, end: str) -> None:
    streams = [
        stream(event("ADDED", configmap("a", 6)), bookmark(20), then=end),
        stream(event("ADDED", configmap("b", 21)), then="hang"),
    ]
    on_watch(api, [answer(a_list(version=5))], streams)
    async with watch_default(cluster) as watch:
        assert await Listener(watch).wait(2) == [("ADDED", "a", "6"), ("ADDED", "b", "21")]
    assert [query["resourceVersion"] for query in watches(api)] == ["5", "20"]
    assert len(lists(api)) == 1


@pytest.fixture
async def impatient(api: FaultyApi, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A Cluster that takes a watch for dead after a short silence."""
    async with await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=SOON_SILENT) as connected:
        yield connected


async def test_a_stream_gone_silent_is_noticed_and_taken_up_again(api: FaultyApi, impatient: Cluster) -> None:
    streams = [
        stream(then="hang"),
        stream(event("ADDED", configmap("a", 6)), then="hang"),
        stream(event("ADDED", configmap("b", 7)), then="hang"),
    ]
    on_watch(api, [answer(a_list(version=5))], streams)
    async with watch_default(impatient) as watch:
        await Listener(watch).wait(2)
    assert [query["resourceVersion"] for query in watches(api)][:3] == ["5", "5", "6"]


async def test_bookmarks_keep_a_quiet_stream_alive(api: FaultyApi, impatient: Cluster) -> None:
    quiet = [bookmark(number) for number in range(6, 12)]
    on_watch(api, [answer(a_list(version=5))], [stream(*quiet, then="end", pause=SOON_SILENT.silence / 4), hang])
    async with watch_default(impatient):
        await until(lambda: len(watches(api)) == 2)
    assert watches(api)[1]["resourceVersion"] == "11"


@pytest.mark.parametrize("how", [stream(EXPIRED), failure(410, "Expired", "too old resource version")])
async def test_what_was_missed_is_found_by_listing_again(api: FaultyApi, cluster: Cluster, how: Answer) -> None:
    before = [configmap("kept", 1), configmap("changed", 2), configmap("removed", 3), configmap("remade", 4, uid="old")]
    after = [configmap("kept", 1), configmap("changed", 12), configmap("remade", 13, uid="new"), configmap("new", 14)]
    ready = asyncio.Event()

    async def first(request: web.Request) -> web.StreamResponse:
        await ready.wait()
        return await how(request)

    on_watch(
        api, [answer(a_list(*before, version=5)), answer(a_list(*after, version=20))], [first, stream(then="hang")]
    )
    async with watch_default(cluster) as watch:
        listener = Listener(watch)
        ready.set()
        assert sorted(await listener.wait(5)) == [
            ("ADDED", "new", "14"),
            ("ADDED", "remade", "13"),
            ("DELETED", "remade", "4"),
            ("DELETED", "removed", "3"),
            ("MODIFIED", "changed", "12"),
        ]
        assert listener.events.index(("DELETED", "remade", "4")) < listener.events.index(("ADDED", "remade", "13"))
        assert {key.name for key, _ in watch.items()} == {"kept", "changed", "remade", "new"}
        await until(lambda: len(watches(api)) == 2)
    assert watches(api)[1]["resourceVersion"] == "20"


async def test_a_server_restored_from_a_backup_is_listed_again(api: FaultyApi, cluster: Cluster) -> None:
    answers = [answer(a_list(configmap("a", 100), version=100)), answer(a_list(configmap("a", 40), version=50))]
    on_watch(api, answers, [stream(bookmark(50)), stream(then="hang")])
    async with watch_default(cluster) as watch:
        assert await Listener(watch).wait(1) == [("MODIFIED", "a", "40")]


async def test_an_api_server_that_is_away_is_tried_again_with_growing_pauses(api: FaultyApi, cluster: Cluster) -> None:
    down = [reset, failure(500, "InternalError"), failure(429, "TooManyRequests"), stream()]
    on_watch(api, [answer(a_list(version=5))], [*down, stream(event("ADDED", configmap("a", 6)), then="hang")])
    async with watch_default(cluster) as watch:
        await Listener(watch).wait(1)
        assert watch.error is None
    assert [query["resourceVersion"] for query in watches(api)] == ["5"] * 5


async def test_a_kind_that_is_not_served_is_nothing_until_it_is(api: FaultyApi, cluster: Cluster) -> None:
    things = "/apis/example.com/v1/things"
    async with cluster.watch("example.com", "Thing") as watch:
        assert watch.items() == []
        listener = Listener(watch)
        api.on("GET", things, answer(a_list(configmap("a", 1), version=5)), stream(then="hang"))
        items = [group("example.com", "v1", [("Thing", "things")])]
        api.on("GET", "/apis", answer({"kind": "APIGroupDiscoveryList", "items": items}))
        assert await listener.wait(1) == [("ADDED", "a", "1")]
        assert [(key.group, key.kind) for key, _ in watch.items()] == [("example.com", "Thing")]


async def test_a_kind_that_goes_away_leaves_nothing_and_is_found_again(api: FaultyApi, cluster: Cluster) -> None:
    things = "/apis/example.com/v1/things"
    present = answer({"kind": "APIGroupDiscoveryList", "items": [group("example.com", "v1", [("Thing", "things")])]})
    absent = answer({"kind": "APIGroupDiscoveryList", "items": []})
    gone = answer("404 page not found", status=404)
    api.on("GET", "/apis", present)
    api.on("GET", things, answer(a_list(configmap("a", 1), version=5)), stream(pause=0.0), gone)
    async with cluster.watch("example.com", "Thing") as watch:
        listener = Listener(watch)
        api.on("GET", "/apis", absent)
        assert await listener.wait(1) == [("DELETED", "a", "1")]
        api.on("GET", things, answer(a_list(configmap("b", 7), version=8)), stream(then="hang"))
        api.on("GET", "/apis", present)
        assert (await listener.wait(2))[1] == ("ADDED", "b", "7")


async def test_a_watch_we_have_no_right_to_is_said_so_and_can_be_tried_again(api: FaultyApi, cluster: Cluster) -> None:
    on_watch(api, [failure(403, "Forbidden", "configmaps is forbidden")], [hang])
    with pytest.raises(Forbidden, match="cannot list ConfigMap in default"):
        async with watch_default(cluster):
            pass
    on_watch(api, [answer(a_list(version=5))], [stream(then="hang")])
    async with watch_default(cluster) as watch:
        assert watch.items() == []


async def test_entering_gives_up_in_time_when_nothing_answers(api: FaultyApi, tmp_path: Path) -> None:
    on_watch(api, [failure(500, "InternalError")], [hang])
    timings = replace(SHORT, sync=0.3, total=0.1)
    async with await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=timings) as cluster:
        with pytest.raises(ClusterUnavailable, match="cannot list ConfigMap in default: the API server failed"):
            async with watch_default(cluster):
                pass


async def test_an_object_of_several_megabytes_is_one_event(api: FaultyApi, cluster: Cluster) -> None:
    large = json.dumps(event("ADDED", configmap("large", 6, x="y" * 3_000_000))).encode() + b"\n"
    parts = [large[:10], large[10:2_000_000], large[2_000_000:]]
    on_watch(api, [answer(a_list(version=5))], [stream(*parts, then="hang", pause=0.01)])
    async with watch_default(cluster) as watch:
        await Listener(watch).wait(1)
        found = watch.get(A._replace(name="large"))
        assert found is not None
        assert len(found["data"]["x"]) == 3_000_000


async def test_an_event_that_is_not_understood_is_not_taken_for_the_end_of_the_world(
    api: FaultyApi, cluster: Cluster
) -> None:
    streams = [
        stream(b"<html>\n"),
        stream(b'{"type":"ADDED"}\n'),
        stream(event("ADDED", configmap("a", 6)), then="hang"),
    ]
    on_watch(api, [answer(a_list(version=5))], streams)
    async with watch_default(cluster) as watch:
        assert await Listener(watch).wait(1) == [("ADDED", "a", "6")]


async def test_equal_watches_share_one_stream_which_lingers(api: FaultyApi, cluster: Cluster) -> None:
    on_watch(api, [answer(a_list(configmap("a", 3), version=5))], [stream(then="hang")])
    async with watch_default(cluster) as one, watch_default(cluster) as two:
        assert one.get(A) is two.get(A) is not None
        await until(lambda: len(watches(api)) == 1)
    async with watch_default(cluster) as three:
        assert three.get(A) is not None
    assert (len(lists(api)), len(watches(api))) == (1, 1)
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch ")])
    async with watch_default(cluster):
        assert len(lists(api)) == 2


async def test_other_arguments_are_another_stream(api: FaultyApi, cluster: Cluster) -> None:
    on_watch(api, [answer(a_list(version=5))], [stream(then="hang")])
    async with watch_default(cluster), watch_default(cluster, labels="app=a"):
        await until(lambda: len(watches(api)) == 2)
    assert {query.get("labelSelector") for query in watches(api)} == {None, "app=a"}


async def test_each_object_is_trimmed_before_it_is_stored(api: FaultyApi, cluster: Cluster) -> None:
    def names_only(manifest: Manifest) -> Manifest:
        return {"metadata": manifest["metadata"]}

    changes = stream(event("ADDED", configmap("b", 6, x="1")), then="hang")
    on_watch(api, [answer(a_list(configmap("a", 3, x="1"), version=5))], [changes])
    async with watch_default(cluster, keep=names_only) as watch:
        await Listener(watch).wait(1)
        assert [set(manifest) for _, manifest in watch.items()] == [{"metadata"}, {"metadata"}]


async def test_metadata_alone_is_asked_for_where_it_is_enough(api: FaultyApi, cluster: Cluster) -> None:
    on_watch(api, [answer(a_list(configmap("a", 3), version=5))], [stream(then="hang")])
    async with watch_default(cluster, metadata_only=True) as watch:
        assert [manifest["kind"] for _, manifest in watch.items()] == ["ConfigMap"]
        await until(lambda: len(watches(api)) == 1)
    accepted = [seen.headers["Accept"] for seen in api.requests("GET", CONFIGMAPS)]
    assert ["PartialObjectMetadataList" in accept for accept in accepted] == [True, False]
    assert "PartialObjectMetadata" in accepted[1]


async def test_what_is_asked_for_as_metadata_is_kept_as_that_whatever_comes(api: FaultyApi, cluster: Cluster) -> None:
    events = [event("ADDED", configmap("b", 6, x="y"))]
    on_watch(api, [answer(a_list(configmap("a", 3, x="y"), version=5))], [stream(*events, then="hang")])
    async with watch_default(cluster, metadata_only=True) as watch:
        await until(lambda: len(watch.items()) == 2)
        assert [set(manifest) for _, manifest in watch.items()] == [{"apiVersion", "kind", "metadata"}] * 2


async def test_a_watch_of_a_server_of_others_keeps_no_more_than_its_share(
    api: FaultyApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists again when too much has come: mostly that has taken the place of what was there."""
    monkeypatch.setattr("gitsync.cluster.cluster.FOREIGN", replace(FOREIGN, whole=1 << 20))
    kubeconfig, allowed = write_kubeconfig(tmp_path, api.url), KubeconfigAllowance(insecure_tls=True)
    changes = [event("MODIFIED", configmap("a", 10 + number, x="y" * 100_000)) for number in range(30)]
    now = answer(a_list(configmap("a", 99, x="last"), version=100))
    on_watch(
        api, [answer(a_list(configmap("a", 3), version=5)), now], [stream(*changes, then="hang"), stream(then="hang")]
    )
    budget = Budget(8 << 20, 0)
    async with await Cluster.remote(kubeconfig.read_text(), allowed, budget) as remote:
        async with watch_default(remote) as watch:
            await until(lambda: [found["data"] for _, found in watch.items()] == [{"x": "last"}])
            assert budget.taken < 10_000
        many = [configmap(f"a{number}", 3, x="y" * 1_000) for number in range(20)]
        on_watch(api, [answer(a_list(*many, version=5, token="more"))], [])
        with pytest.raises(ApiError, match="would take more than 1 MiB of memory"):
            async with remote.watch("", "ConfigMap", namespace="default", labels="other") as watch:
                pass
    assert budget.taken == 0


async def test_who_left_hears_nothing_more(api: FaultyApi, cluster: Cluster) -> None:
    more = asyncio.Event()

    async def later(request: web.Request) -> web.StreamResponse:
        await more.wait()
        return await stream(event("ADDED", configmap("b", 6)), then="hang")(request)

    on_watch(api, [answer(a_list(version=5))], [later])
    async with watch_default(cluster) as stays:
        staying = Listener(stays)
        unsubscribe_events: list[WatchEvent] = []
        stays.subscribe(unsubscribe_events.append)()
        async with watch_default(cluster) as leaves:
            left = Listener(leaves)
        more.set()
        await staying.wait(1)
    assert left.events == []
    assert unsubscribe_events == []


async def test_a_listener_that_fails_does_not_take_the_others_with_it(
    api: FaultyApi, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(event: WatchEvent) -> None:
        raise RuntimeError("a defect")

    changes = stream(event("ADDED", configmap("a", 6)), event("ADDED", configmap("b", 7)), then="hang", pause=0.01)
    on_watch(api, [answer(a_list(version=5))], [changes])
    async with watch_default(cluster) as watch:
        watch.subscribe(broken)
        assert len(await Listener(watch).wait(2)) == 2
    assert "a defect in gitsync" in capsys.readouterr().out


async def test_a_defect_in_trimming_is_told_to_who_enters(
    api: FaultyApi, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(manifest: Manifest) -> Manifest:
        raise RuntimeError("a defect")

    on_watch(api, [answer(a_list(configmap("a", 3), version=5))], [hang])
    with pytest.raises(Exception, match="the watch of ConfigMap in default failed: RuntimeError"):
        async with watch_default(cluster, keep=broken):
            pass
    assert "a defect in gitsync" in capsys.readouterr().out


async def test_closing_ends_watches_and_who_waits_for_one(api: FaultyApi, cluster: Cluster) -> None:
    on_watch(api, [hang], [hang])
    before = asyncio.all_tasks()

    async def enter() -> None:
        async with watch_default(cluster):
            pass

    waiting = asyncio.create_task(enter())
    await until(lambda: len(lists(api)) == 1)
    await cluster.close()
    with pytest.raises(ClusterUnavailable, match="ended"):
        await waiting
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_watch_must_be_entered_before_it_is_used(cluster: Cluster) -> None:
    with pytest.raises(RuntimeError, match="entered"):
        watch_default(cluster).items()
