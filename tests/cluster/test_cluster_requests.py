"""Requests that meet faults: what is sent again, what is not, and what is raised."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from gitsync.api.identity import ObjectKey
from gitsync.budget import Budget
from gitsync.cluster import Cluster, KubeconfigAllowance, retry_on_conflict
from gitsync.cluster.bounds import OWN
from gitsync.errors import (
    AlreadyExists,
    ApiError,
    ClusterUnavailable,
    Conflict,
    Invalid,
    KindUnknown,
    NotFound,
    WebhookUnavailable,
)
from gitsync.weight import json_weight
from tests.cluster.conftest import SHORT
from tests.cluster.faulty import (
    CONFIGMAPS,
    FaultyApi,
    a_list,
    answer,
    configmap,
    failure,
    hang,
    reset,
    write_kubeconfig,
)
from tests.until import until

KEY = ObjectKey("", "ConfigMap", "default", "a")
PATH = f"{CONFIGMAPS}/a"
DESIRED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "default"},
    "data": {"x": "1"},
}
FOUND = answer(configmap("a", 7))
MISSING = failure(404, "NotFound", 'configmaps "a" not found', details={"name": "a", "kind": "configmaps"})


async def test_overload_is_waited_out_for_as_long_as_the_server_asks(api: FaultyApi, cluster: Cluster) -> None:
    api.on("GET", PATH, failure(429, "TooManyRequests", headers={"Retry-After": "1"}), FOUND)
    started = time.monotonic()
    assert (await cluster.get(KEY))["metadata"]["name"] == "a"
    assert time.monotonic() - started >= 1.0


@pytest.mark.parametrize("wait", ["600", "a date"])
async def test_a_wait_longer_than_our_patience_is_handed_to_the_caller(
    api: FaultyApi, cluster: Cluster, wait: str
) -> None:
    header = wait if wait.isdigit() else format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    api.on("GET", PATH, failure(503, "ServiceUnavailable", headers={"Retry-After": header}))
    with pytest.raises(ClusterUnavailable) as caught:
        await cluster.get(KEY)
    assert caught.value.retry_after == pytest.approx(600, abs=2)
    assert caught.value.status == 503
    assert len(api.requests("GET", PATH)) == 1


@pytest.mark.parametrize("fault", [failure(500, "InternalError"), failure(504, "Timeout"), reset])
async def test_a_passing_fault_is_not_seen_by_the_caller(api: FaultyApi, cluster: Cluster, fault: Any) -> None:
    api.on("PATCH", PATH, fault, fault, FOUND)
    applied = await cluster.apply(DESIRED, manager="gitsync")
    assert applied["metadata"]["resourceVersion"] == "7"
    assert cluster.requests["apply"] == 3


async def test_a_fault_that_lasts_is_raised_with_verb_object_and_cause(api: FaultyApi, cluster: Cluster) -> None:
    api.on("PATCH", PATH, failure(500, "InternalError", "failed calling webhook: connection refused"))
    with pytest.raises(ClusterUnavailable) as caught:
        await cluster.apply(DESIRED, manager="gitsync")
    assert caught.value.message == (
        "cannot apply ConfigMap/default/a: the API server failed (500): failed calling webhook: connection refused"
    )


async def test_a_webhook_that_does_not_answer_is_told_at_once(api: FaultyApi, cluster: Cluster) -> None:
    said = 'Internal error occurred: failed calling webhook "check.example": failed to call webhook: connection refused'
    api.on("PATCH", PATH, failure(500, "InternalError", said))
    with pytest.raises(WebhookUnavailable, match=r'webhook "check.example" does not answer: connection refused'):
        await cluster.apply(DESIRED, manager="gitsync")
    assert cluster.requests["apply"] == 1


async def test_a_server_that_does_not_answer_is_given_up_in_time(api: FaultyApi, tmp_path: Path) -> None:
    api.on("GET", PATH, hang)
    timings = replace(SHORT, request=0.1, total=0.4)
    async with await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=timings) as cluster:
        await cluster.resource("", "ConfigMap")
        with pytest.raises(ClusterUnavailable, match="does not answer"):
            await cluster.get(KEY)


async def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=replace(SHORT, total=0.2)) as cluster:
        with pytest.raises(ClusterUnavailable, match=r"http://127\.0\.0\.1:1 cannot be reached \(Connection refused\)"):
            await cluster.get(KEY)


async def test_a_server_whose_name_means_nothing_is_said_so(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://nowhere.invalid:1")
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=replace(SHORT, total=0.2)) as cluster:
        with pytest.raises(ClusterUnavailable, match=r"cannot be reached \(its name cannot be resolved\)"):
            await cluster.get(KEY)


async def test_a_create_that_may_have_happened_is_not_sent_twice(api: FaultyApi, cluster: Cluster) -> None:
    api.on("POST", CONFIGMAPS, reset, FOUND)
    with pytest.raises(ClusterUnavailable):
        await cluster.create(DESIRED, manager="gitsync")
    assert len(api.requests("POST", CONFIGMAPS)) == 1


async def test_a_create_that_was_turned_away_is_sent_again(api: FaultyApi, cluster: Cluster) -> None:
    api.on("POST", CONFIGMAPS, failure(429, "TooManyRequests"), answer(configmap("a", 7), status=201))
    assert (await cluster.create(DESIRED, manager="gitsync"))["metadata"]["resourceVersion"] == "7"


async def test_an_existing_object_is_told_from_a_changed_one(api: FaultyApi, cluster: Cluster) -> None:
    api.on("POST", CONFIGMAPS, failure(409, "AlreadyExists", 'configmaps "a" already exists'))
    with pytest.raises(AlreadyExists) as caught:
        await cluster.create(DESIRED, manager="gitsync")
    assert caught.value.key == KEY
    assert caught.value.verb == "create"


async def test_an_apply_that_met_another_writer_is_sent_again(api: FaultyApi, cluster: Cluster) -> None:
    api.on("PATCH", PATH, failure(409, "Conflict"), FOUND)
    await cluster.apply(DESIRED, manager="gitsync")
    assert cluster.requests["apply"] == 2


async def test_fields_of_another_manager_are_a_conflict_at_once(api: FaultyApi, cluster: Cluster) -> None:
    causes = [{"reason": "FieldManagerConflict", "message": 'conflict with "kubectl"', "field": ".data.x"}]
    api.on("PATCH", PATH, failure(409, "Conflict", details={"causes": causes}))
    with pytest.raises(Conflict) as caught:
        await cluster.apply(DESIRED, manager="gitsync", force=False)
    assert caught.value.reason == "FieldManagerConflict"
    assert caught.value.causes == ((".data.x", 'conflict with "kubectl"'),)
    assert len(api.requests("PATCH", PATH)) == 1


async def test_a_replace_of_a_changed_object_is_a_conflict_which_reading_again_solves(
    api: FaultyApi, cluster: Cluster
) -> None:
    api.on("GET", PATH, answer(configmap("a", 7)), answer(configmap("a", 8)))
    api.on("PUT", PATH, failure(409, "Conflict", "the object has been modified"), answer(configmap("a", 9)))

    async def change() -> Any:
        return await cluster.replace(await cluster.get(KEY) | {"data": {"x": "2"}}, manager="gitsync")

    assert (await retry_on_conflict(change))["metadata"]["resourceVersion"] == "9"
    assert [b'"8"' in seen.body for seen in api.requests("PUT", PATH)] == [False, True]


async def test_apply_says_who_wants_what_as_the_api_expects_it(api: FaultyApi, cluster: Cluster) -> None:
    api.on("PATCH", PATH, FOUND)
    await cluster.apply(DESIRED, manager="gitsync", dry_run=True)
    (seen,) = api.requests("PATCH", PATH)
    assert dict(seen.query) == {
        "fieldManager": "gitsync",
        "force": "true",
        "dryRun": "All",
    }
    assert seen.headers["Content-Type"] == "application/apply-patch+yaml"
    assert seen.headers["Authorization"] == "Bearer letmein"


async def test_warnings_reach_the_caller(api: FaultyApi, cluster: Cluster) -> None:
    header = r'299 - "unknown field \"spec.replcias\"", 299 - "second"'
    api.on("PATCH", PATH, answer(configmap("a", 7), headers={"Warning": header}))
    warnings: list[str] = []
    await cluster.apply(DESIRED, manager="gitsync", warn=warnings.append)
    assert warnings == ['unknown field "spec.replcias"', "second"]


async def test_delete_says_whether_there_was_something(api: FaultyApi, cluster: Cluster) -> None:
    api.on("DELETE", PATH, answer({"kind": "Status", "status": "Success"}), MISSING)
    assert await cluster.delete(KEY, uid="u1", grace=0) is True
    assert await cluster.delete(KEY) is False
    assert api.requests("DELETE", PATH)[0].body == (
        b'{"propagationPolicy":"Background","preconditions":{"uid":"u1"},"gracePeriodSeconds":0}'
    )


async def test_delete_spares_an_object_that_took_the_name(api: FaultyApi, cluster: Cluster) -> None:
    api.on("DELETE", PATH, failure(409, "Conflict"))
    api.on("GET", PATH, answer(configmap("a", 7, uid="new")))
    assert await cluster.delete(KEY, uid="old") is False


async def test_an_object_that_is_going_already_counts_as_deleted(api: FaultyApi, cluster: Cluster) -> None:
    going = configmap("a", 7)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.on("DELETE", PATH, failure(409, "Conflict", "it is being deleted"))
    api.on("GET", PATH, answer(going), FOUND)
    assert await cluster.delete(KEY) is True
    with pytest.raises(Conflict):
        await cluster.delete(KEY)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "%2e%2e"])
async def test_a_name_that_is_no_name_never_becomes_a_request(api: FaultyApi, cluster: Cluster, name: str) -> None:
    with pytest.raises(Invalid):
        await cluster.delete(KEY._replace(name=name))
    with pytest.raises(Invalid):
        await cluster.get(ObjectKey("", "ConfigMap", name, "a"))
    assert [seen for seen in api.seen if not seen.path.startswith(("/api", "/apis")) or "configmaps" in seen.path] == []


async def test_what_json_cannot_hold_is_refused_with_the_object_named(api: FaultyApi, cluster: Cluster) -> None:
    with pytest.raises(Invalid, match="cannot apply ConfigMap/default/a"):
        await cluster.apply(DESIRED | {"data": {"x": 2**70}}, manager="gitsync")


async def test_find_is_none_only_for_an_object_that_is_missing(api: FaultyApi, cluster: Cluster) -> None:
    api.on("GET", PATH, MISSING)
    assert await cluster.find(KEY) is None
    with pytest.raises(NotFound):
        await cluster.get(KEY)
    with pytest.raises(KindUnknown):
        await cluster.find(ObjectKey("nowhere.example", "Thing", "default", "a"))


async def test_a_list_is_read_page_by_page_and_begun_anew_when_its_token_ran_out(
    api: FaultyApi, cluster: Cluster
) -> None:
    first = {"metadata": {"resourceVersion": "5", "continue": "next"}, "items": [{"metadata": {"name": "a"}}]}
    last = {"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "b"}}]}
    gone = failure(410, "Expired", "The provided continue parameter is too old")
    api.on("GET", CONFIGMAPS, answer(first), gone, answer(first), answer(last))
    found = await cluster.list("", "ConfigMap", namespace="default", labels="app=a,tier!=b", fields="metadata.name=a")
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [("ConfigMap", "a"), ("ConfigMap", "b")]
    queries = [seen.query for seen in api.requests("GET", CONFIGMAPS)]
    assert [query.get("continue") for query in queries] == [None, "next", None, "next"]
    assert {query["labelSelector"] for query in queries} == {"app=a,tier!=b"}


async def test_a_request_that_is_cancelled_leaves_nothing_behind(api: FaultyApi, cluster: Cluster) -> None:
    arrived = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hang(request)

    api.on("GET", PATH, hold)
    await cluster.resource("", "ConfigMap")
    before = asyncio.all_tasks()
    request = asyncio.create_task(cluster.get(KEY))
    await arrived.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await until(lambda: asyncio.all_tasks() <= before)  # the server notices a moment later


async def test_a_page_too_large_to_be_read_is_asked_for_in_smaller_ones(
    api: FaultyApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster._transport, "bounds", replace(OWN, answer=10_000))

    async def pages(request: web.Request) -> web.StreamResponse:
        start = int(request.query.get("continue", "0"))
        end = min(start + int(request.query["limit"]), 30)
        items = [configmap(f"a{number}", number, x="y" * 500) for number in range(start, end)]
        return web.json_response(a_list(*items, version=5, token=str(end) if end < 30 else ""))

    api.on("GET", CONFIGMAPS, pages)
    found = await cluster.list("", "ConfigMap", namespace="default")
    assert [item["metadata"]["name"] for item in found] == [f"a{number}" for number in range(30)]


async def test_an_object_too_large_to_be_read_is_an_error(
    api: FaultyApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.resource("", "ConfigMap")
    monkeypatch.setattr(cluster._transport, "bounds", replace(OWN, answer=1000))
    api.on("GET", PATH, answer(configmap("a", 7, x="y" * 2000)))
    with pytest.raises(ApiError, match="cannot get ConfigMap/default/a: the answer is larger than"):
        await cluster.get(KEY)
    api.on("GET", CONFIGMAPS, answer(a_list(configmap("a", 7, x="y" * 2000))))
    with pytest.raises(ApiError, match="cannot list ConfigMap in default: the answer is larger than"):
        await cluster.list("", "ConfigMap", namespace="default")


async def test_an_answer_of_countless_small_values_is_refused_before_it_is_decoded(
    api: FaultyApi, cluster: Cluster
) -> None:
    """A remote API server is whatever a tenant's kubeConfig names: 54 MB of it would come to 1.6 GB."""
    bomb = b'{"items":[' + b",".join([b'{"a":0}'] * 1_500_000) + b"]}"
    await cluster.resource("", "ConfigMap")

    async def explode(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, content_type="application/json")

    api.on("GET", CONFIGMAPS, explode)
    tracemalloc.start()
    with pytest.raises(ApiError, match="cannot list ConfigMap in default: the answer would take more than 192 MiB"):
        await cluster.list("", "ConfigMap", namespace="default")
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


async def test_of_a_server_that_a_kube_config_names_less_is_taken_in(api: FaultyApi, tmp_path: Path) -> None:
    """Anybody may name as many as he likes, and all may answer at once."""
    kubeconfig, allowed = write_kubeconfig(tmp_path, api.url), KubeconfigAllowance(insecure_tls=True)
    large = answer({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "y" * (9 << 20)}})
    api.on("GET", f"{CONFIGMAPS}/a", large)
    async with await Cluster.remote(kubeconfig.read_text(), allowed) as remote:
        with pytest.raises(ApiError, match="the answer is larger than 8 MiB"):
            await remote.get(ObjectKey("", "ConfigMap", "default", "a"))


async def test_what_servers_of_kube_configs_have_answered_is_bounded_together(api: FaultyApi, tmp_path: Path) -> None:
    """Each has a share, and a little whatever the others have; what is not needed any more is given back."""
    kubeconfig, allowed = write_kubeconfig(tmp_path, api.url), KubeconfigAllowance(insecure_tls=True)
    heavy = [configmap(f"a{number}", 5, x="y" * 200_000) for number in range(12)]
    api.on("GET", CONFIGMAPS, answer(a_list(*heavy, version=5)))
    api.on("GET", PATH, answer(configmap("a", 7)))
    budget = Budget(9 << 20, 1 << 20)
    async with AsyncExitStack() as stack:
        one, two, three = [
            await stack.enter_async_context(await Cluster.remote(kubeconfig.read_text(), allowed, budget))
            for _ in range(3)
        ]
        async with one.watch("", "ConfigMap", namespace="default") as watch:
            assert len(watch.items()) == 12
            assert 2 << 20 < budget.taken < 3 << 20
            with pytest.raises(ClusterUnavailable, match="kubeconfigs have answered would take more than 9 MiB"):
                async with asyncio.timeout(20):
                    await two.list("", "ConfigMap", namespace="default")
            assert (await three.get(KEY))["metadata"]["name"] == "a"
        await one.close()
        assert budget.taken == 0
        assert len(await two.list("", "ConfigMap", namespace="default")) == 12
        assert budget.taken == 0


@pytest.mark.parametrize("label", [1, None])
async def test_an_object_of_countless_mistakes_is_refused_for_the_first_one(
    api: FaultyApi, cluster: Cluster, label: object
) -> None:
    """All of them would take gigabytes."""
    await cluster.resource("", "ConfigMap")
    odd = configmap("a", 7)
    odd["metadata"]["labels"] = {f"a{number}": label for number in range(30_000)}
    api.on("GET", PATH, answer(odd))
    tracemalloc.start()
    with pytest.raises(ClusterUnavailable, match=r"no object .*labels: Input should be a mapping of strings"):
        await cluster.get(KEY)
    assert tracemalloc.get_traced_memory()[1] < 15 << 20, "with each of them it would be 20 MiB"
    tracemalloc.stop()


@pytest.mark.parametrize("items", [0, 40])
async def test_a_list_without_end_is_given_up(
    api: FaultyApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, items: int
) -> None:
    monkeypatch.setattr(cluster._transport, "bounds", replace(OWN, whole=2 << 20))
    page = [configmap(f"a{number}", 5, x="y" * 500) for number in range(items)]
    api.on("GET", CONFIGMAPS, answer(a_list(*page, version=5, token="more")))
    with pytest.raises(ApiError, match="cannot list ConfigMap in default: the list would take more than 2 MiB"):
        await cluster.list("", "ConfigMap", namespace="default")


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b'{"a":0},' * 30_000 + b"0]",
        b"[" + b"12345," * 100_000 + b"0]",
        b"[" + b'"ab",' * 100_000 + b"0]",
        b"[" + b'"\\\\",' * 100_000 + b"0]",
        b"[" + b"[1]," * 100_000 + b"0]",
        b"{" + b",".join(b'"k%d":%d' % (number, number + 1000) for number in range(50_000)) + b"}",
        '["😀'.encode() + b"a" * 2_000_000 + b'"]',
        b'["\\ud83d\\ude00' + b"a" * 2_000_000 + b'"]',
        '["€'.encode() + b"a" * 2_000_000 + b'"]',
    ],
    ids=["objects", "numbers", "texts", "escapes", "lists", "keys", "smiley", "escaped smiley", "euro"],
)
def test_json_weighs_about_what_it_comes_to(text: bytes) -> None:
    tracemalloc.start()
    decoded = orjson.loads(text)
    real = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert decoded
    assert json_weight(text) > 0.7 * real


def test_json_in_texts_weighs_little_more_than_its_length() -> None:
    text = orjson.dumps({"data": {"dashboard.json": orjson.dumps([{"a": {"b": "c"}}] * 100_000).decode()}})
    assert len(text) < json_weight(text) < 3 * len(text)


async def test_closing_ends_requests_under_way_at_once(api: FaultyApi, tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hang(request)

    api.on("GET", PATH, hold)
    timings = replace(SHORT, request=200.0, total=600.0, backoff=200.0, backoff_max=200.0)
    async with await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=timings) as cluster:
        request = asyncio.create_task(cluster.get(KEY))
        await arrived.wait()
        await cluster.close()
        async with asyncio.timeout(60):
            with pytest.raises(ClusterUnavailable):
                await request
    assert len(api.requests("GET", PATH)) == 1


async def test_a_closed_cluster_says_so(api: FaultyApi, cluster: Cluster) -> None:
    await cluster.close()
    with pytest.raises(ClusterUnavailable, match="closed"):
        await cluster.get(KEY)


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": {"name": "a"}},
        {"metadata": {"name": "a"}, "apiVersion": 1, "kind": "ConfigMap"},
        {"metadata": {"name": "a"}, "apiVersion": "v1", "kind": "Secret"},
        {"metadata": {"name": "b"}, "apiVersion": "v1", "kind": "ConfigMap"},
    ],
    ids=str,
)
async def test_another_object_than_was_asked_for_is_said(api: FaultyApi, cluster: Cluster, odd: Any) -> None:
    api.on("GET", PATH, answer(odd))
    with pytest.raises(ClusterUnavailable, match="is not understood: it is an object of another"):
        await cluster.get(KEY)


@pytest.mark.parametrize(
    "odd",
    [
        [],
        "text",
        7,
        None,
        {},
        {"metadata": None},
        {"metadata": {"name": 7}},
        {"metadata": {"name": "a", "labels": ["x"]}},
        {"metadata": {"name": ""}, "apiVersion": "v1", "kind": "ConfigMap"},
    ],
    ids=str,
)
async def test_what_is_no_object_is_said_and_not_tripped_over(api: FaultyApi, cluster: Cluster, odd: Any) -> None:
    await cluster.resource("", "ConfigMap")
    api.on("GET", PATH, answer(odd))
    with pytest.raises(ClusterUnavailable):
        await cluster.get(KEY)
    for body in ({"metadata": {}, "items": [odd]}, {"metadata": {}, "items": odd}, odd):
        if isinstance(body, dict) and not body.get("items"):
            continue  # an empty list
        api.on("GET", CONFIGMAPS, answer(body))
        with pytest.raises(ClusterUnavailable):
            await cluster.list("", "ConfigMap", namespace="default")


@pytest.mark.parametrize("metadata", [1, ["x"], "x", {"continue": 1}, {"resourceVersion": {}}], ids=str)
async def test_a_list_that_says_odd_things_of_itself_is_not_understood(
    api: FaultyApi, cluster: Cluster, metadata: Any
) -> None:
    api.on("GET", CONFIGMAPS, answer({"kind": "ConfigMapList", "items": [], "metadata": metadata}))
    with pytest.raises(ClusterUnavailable, match="is not understood: it is no list"):
        await cluster.list("", "ConfigMap", namespace="default")


@pytest.mark.parametrize("version", [{}, [], 1, {"gitVersion": 1}, {"gitVersion": None}], ids=str)
async def test_a_server_that_does_not_say_its_version_is_not_understood(
    api: FaultyApi, cluster: Cluster, version: Any
) -> None:
    api.on("GET", "/version", answer(version))
    with pytest.raises(ClusterUnavailable, match="is not understood: it is no version"):
        await cluster.served()
