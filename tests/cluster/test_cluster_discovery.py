"""Which kinds are served: read once, read again when one is unknown, in both forms."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.cluster import Cluster
from gitsync.errors import ClusterUnavailable, KindUnknown
from tests.cluster.conftest import SHORT
from tests.cluster.faulty import CORE, FaultyApi, answer, failure, group, write_kubeconfig


async def test_two_requests_tell_everything_and_are_made_once(api: FaultyApi, cluster: Cluster) -> None:
    kinds = await asyncio.gather(*(cluster.resource("apps", "Deployment") for _ in range(20)))
    assert {(kind.version, kind.plural, kind.namespaced, kind.api_version) for kind in kinds} == {
        ("v1", "deployments", True, "apps/v1")
    }
    assert (await cluster.resource("", "Pod")).api_version == "v1"
    assert [seen.path for seen in api.seen] == ["/api", "/apis"]


async def test_the_server_s_first_version_is_taken_unless_one_is_named(api: FaultyApi, cluster: Cluster) -> None:
    versions = group("example.com", "v2", [("Thing", "things")])
    versions["versions"] += group("example.com", "v1beta1", [("Thing", "things"), ("Old", "olds")])["versions"]
    api.on("GET", "/apis", answer({"kind": "APIGroupDiscoveryList", "items": [versions]}))
    assert (await cluster.resource("example.com", "Thing")).version == "v2"
    assert (await cluster.resource("example.com", "Thing", "v1beta1")).version == "v1beta1"
    assert (await cluster.resource("example.com", "Old")).version == "v1beta1"
    with pytest.raises(KindUnknown) as caught:
        await cluster.resource("example.com", "Thing", "v1alpha1")
    assert caught.value.hint == "served: v2, v1beta1"


async def test_a_kind_whose_crd_has_just_come_is_found(api: FaultyApi, cluster: Cluster) -> None:
    with pytest.raises(KindUnknown):
        await cluster.resource("example.com", "Thing")
    items = [group("example.com", "v1", [("Thing", "things")])]
    api.on("GET", "/apis", answer({"kind": "APIGroupDiscoveryList", "items": items}))
    assert (await cluster.resource("example.com", "Thing")).plural == "things"


async def test_all_that_is_served_can_be_listed(api: FaultyApi, cluster: Cluster) -> None:
    api.on("GET", "/version", answer({"gitVersion": "v1.36.3"}))
    for _ in range(2):
        served = await cluster.served()
        assert served.version == "v1.36.3"
        assert sorted(served.kinds) == [
            ("", "v1", "ConfigMap"),
            ("", "v1", "Pod"),
            ("", "v1", "Secret"),
            ("apps", "v1", "Deployment"),
        ]
    assert len(api.seen) == 3


async def test_unknown_kinds_do_not_make_a_request_each(api: FaultyApi, tmp_path: Path) -> None:
    timings = replace(SHORT, discovery=5.0)
    async with await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=timings) as cluster:
        for _ in range(10):
            with pytest.raises(KindUnknown):
                await cluster.resource("example.com", "Thing")
    assert len(api.seen) == 2


async def test_a_server_without_the_aggregated_form_is_asked_group_by_group(api: FaultyApi, cluster: Cluster) -> None:
    api.on("GET", "/api", answer({"kind": "APIVersions", "versions": ["v1"]}))
    versions = [{"groupVersion": f"apps/{version}", "version": version} for version in ("v1beta1", "v1")]
    groups = [
        {"name": "apps", "versions": versions, "preferredVersion": versions[1]},
        {"name": "metrics.example", "versions": [{"groupVersion": "metrics.example/v1", "version": "v1"}]},
    ]
    api.on("GET", "/apis", answer({"kind": "APIGroupList", "groups": groups}))
    pods = {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["get"]}
    api.on("GET", "/api/v1", answer({"resources": [pods, pods | {"name": "pods/log"}]}))
    deployments = {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["get"]}
    for version in ("v1beta1", "v1"):
        api.on("GET", f"/apis/apps/{version}", answer({"resources": [deployments]}))
    api.on("GET", "/apis/metrics.example/v1", failure(503, "ServiceUnavailable"))
    assert (await cluster.resource("apps", "Deployment")).version == "v1"
    assert (await cluster.resource("", "Pod")).plural == "pods"
    # Nobody can say what the silent server serves: that is no reason to call its kinds unknown for good.
    with pytest.raises(ClusterUnavailable, match=r"metrics\.example"):
        await cluster.resource("metrics.example", "Load")


async def test_a_group_whose_server_is_away_is_not_unknown(api: FaultyApi, cluster: Cluster) -> None:
    stale = {"metadata": {"name": "metrics.example"}, "versions": [{"version": "v1", "freshness": "Stale"}]}
    api.on("GET", "/apis", answer({"kind": "APIGroupDiscoveryList", "items": [stale]}))
    with pytest.raises(ClusterUnavailable, match=r"metrics\.example"):
        await cluster.resource("metrics.example", "Load")


async def test_a_path_that_is_no_longer_served_is_looked_up_again(api: FaultyApi, cluster: Cluster) -> None:
    await cluster.resource("", "Secret")
    moved = group("", "v2", CORE)
    api.on("GET", "/api", answer({"kind": "APIGroupDiscoveryList", "items": [moved]}))
    with pytest.raises(KindUnknown):
        await cluster.list("", "Secret", namespace="default")
    assert (await cluster.resource("", "Secret")).version == "v2"
