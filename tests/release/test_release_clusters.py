"""Target clusters are made for those who need one, shared by all who need the same, and closed with the last."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster, KubeconfigText
from gitsync.errors import (
    ClusterUnavailable,
    CrossNamespaceRefused,
    Forbidden,
    GitsyncError,
    KubeConfigMissing,
    KubeConfigRefused,
    ServiceAccountMissing,
)
from gitsync.release.access import PLAIN, AccessRules
from gitsync.release.clusters import AgentIdentity, TargetClusters
from gitsync.release.values.references import References
from tests.controlplane.cluster import Cluster as Plane
from tests.until import until

REMOTE: dict[str, Any] = {"kubeConfig": {"secretRef": {"name": "remote", "key": "config"}}}


def release(namespace: str, name: str = "redis", *, source: str = "", **spec: Any) -> HelmRelease:
    reference = {"kind": "HelmRepository", "name": "charts", **({"namespace": source} if source else {})}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"interval": "5m", "chart": {"spec": {"chart": "redis", "sourceRef": reference}}, **spec},
        }
    )


@pytest.fixture
async def cluster(control_plane: Plane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


@pytest.fixture
async def clusters(cluster: Cluster) -> AsyncIterator[TargetClusters]:
    async with made(cluster, PLAIN) as running:
        yield running


def made(cluster: Cluster, rules: AccessRules) -> TargetClusters:
    return TargetClusters(cluster, AgentIdentity("test", 4), References(cluster, lambda *_: None), rules)


def secret(plane: Plane, namespace: str, comment: str = "") -> dict[str, Any]:
    """A kubeconfig for the same cluster; with another comment it is another one."""
    authority = base64.b64encode(plane.ca_file.read_bytes()).decode()
    kubeconfig = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": plane.server, "certificate-authority-data": authority}}],
        "users": [{"name": "it", "user": {"token": plane.token}}],
        "preferences": {"comment": comment},
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "remote", "namespace": namespace},
        "data": {"config": base64.b64encode(json.dumps(kubeconfig).encode()).decode()},
    }


async def test_a_release_that_asks_for_nothing_costs_nothing(
    cluster: Cluster, clusters: TargetClusters, namespace: str
) -> None:
    before = cluster.requests.total()
    assert await clusters.of(release(namespace)) is clusters.own
    assert clusters.at(release(namespace).key) is clusters.own
    assert cluster.requests.total() == before


async def may_list_secrets(cluster: Cluster, namespace: str) -> bool:
    """Whether the account `default` may, by now."""
    async with cluster.impersonating(namespace, "default") as account:
        try:
            await account.list("", "Secret", namespace=namespace)
        except Forbidden:
            return False
        return True


async def test_releases_of_one_account_share_a_target_cluster(
    cluster: Cluster, clusters: TargetClusters, namespace: str
) -> None:
    one, two = (release(namespace, name, serviceAccountName="default") for name in ("one", "two"))
    bound = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "roleRef": role,
        "subjects": [bound],
    }
    await cluster.apply({**binding, "metadata": {"name": "all", "namespace": namespace}}, manager="test")
    await until(partial(may_list_secrets, cluster, namespace))  # the authorizer hears of the binding a little later

    target = await clusters.of(one)
    before = cluster.requests.total()
    assert await clusters.of(two) is target
    assert await clusters.of(one) is target is clusters.at(one.key)
    assert cluster.requests.total() == before, "watches are shared, and what is known is not asked for again"

    await clusters.forget(one.key)
    assert clusters.at(one.key) is clusters.own
    assert await clusters.of(two) is target
    await clusters.of(release(namespace, "two"))  # it asks for no account any more
    with pytest.raises(ClusterUnavailable):
        async with target.cluster.watch("", "Secret", namespace=namespace):
            pass
    assert await cluster.served(), "the agent's own connection goes on"


async def test_the_default_account_is_for_those_that_name_none(cluster: Cluster, namespace: str) -> None:
    async with made(cluster, AccessRules(default_service_account="nobody")) as clusters:
        with pytest.raises(ServiceAccountMissing, match=f"ServiceAccount {namespace}/nobody does not exist"):
            await clusters.of(release(namespace))
        with pytest.raises(ServiceAccountMissing, match=f"ServiceAccount {namespace}/other does not exist"):
            await clusters.of(release(namespace, serviceAccountName="other"))


async def test_another_kubeconfig_is_another_target_cluster(
    cluster: Cluster, control_plane: Plane, clusters: TargetClusters, namespace: str
) -> None:
    one, two = release(namespace, "one", **REMOTE), release(namespace, "two", **REMOTE)
    wanted = f"Secret/{namespace}/remote with key config does not exist"
    with pytest.raises(KubeConfigMissing, match=wanted) as missing:
        await clusters.of(one)
    assert "create that Secret" in missing.value.hint
    await cluster.apply(secret(control_plane, namespace), manager="test")
    await watched(clusters, one)
    target = await clusters.of(one)
    assert await clusters.of(two) is target
    assert target.cluster is not cluster
    assert await target.cluster.find(ObjectKey("", "Secret", namespace, "remote"))

    await cluster.apply(secret(control_plane, namespace, "another"), manager="test")
    await watched(clusters, one, "another")
    other = await clusters.of(one)
    assert other is not target
    assert await target.cluster.find(ObjectKey("", "Secret", namespace, "remote")), "the other release uses it still"
    assert await clusters.of(two) is other
    with pytest.raises(ClusterUnavailable, match="closed"):
        await target.cluster.find(ObjectKey("", "Secret", namespace, "remote"))


async def test_a_kubeconfig_that_was_taken_away_is_not_used_to_uninstall_either(
    cluster: Cluster, control_plane: Plane, clusters: TargetClusters, namespace: str
) -> None:
    await cluster.apply(secret(control_plane, namespace), manager="test")
    one = release(namespace, "one", **REMOTE)
    await watched(clusters, one)
    assert await clusters.of(one) is not clusters.own
    await cluster.delete(ObjectKey("", "Secret", namespace, "remote"))
    going = HelmRelease.parse(one.manifest | {"metadata": {**one.manifest["metadata"], "deletionTimestamp": "now"}})

    async def refused() -> bool:
        with suppress(KubeConfigMissing):
            await clusters.of(going)
            return False
        return True

    await until(refused)


async def test_a_kubeconfig_that_is_refused_is_refused_until_it_is_another(
    cluster: Cluster, control_plane: Plane, clusters: TargetClusters, namespace: str
) -> None:
    bad = secret(control_plane, namespace)
    bad["data"]["config"] = base64.b64encode(b"current-context: none").decode()
    await cluster.apply(bad, manager="test")
    for _ in range(2):
        with pytest.raises(KubeConfigRefused, match="it has no context of the name that is used"):
            await clusters.of(release(namespace, **REMOTE))
    await cluster.apply(secret(control_plane, namespace), manager="test")
    await watched(clusters, release(namespace, **REMOTE), "token")
    assert await clusters.of(release(namespace, **REMOTE)) is not clusters.own


async def watched(clusters: TargetClusters, of: HelmRelease, containing: str = "") -> None:
    """Wait until the watch of the Secret has brought a kubeconfig with this in it."""

    async def brought() -> bool:
        try:
            found = await clusters._references.remote(of)
            return isinstance(found, KubeconfigText) and containing in found.text
        except KubeConfigMissing:
            return False

    await until(brought)


def test_what_may_be_referred_to() -> None:
    closed = AccessRules(cross_namespace_refs=False)
    elsewhere = release("shop", source="flux-system")
    PLAIN.check(elsewhere)
    closed.check(release("shop", source="shop", dependsOn=[{"name": "db", "namespace": "data"}]))
    with pytest.raises(CrossNamespaceRefused) as caught:
        closed.check(elsewhere)
    assert caught.value.message == (
        "spec.chart.spec.sourceRef: cross-namespace references are not allowed: cannot access "
        "HelmRepository/flux-system/charts"
    )
    with pytest.raises(CrossNamespaceRefused, match=r"spec\.dependsOn\[0\]\.readyExpr"):
        closed.check(release("shop", dependsOn=[{"name": "data/db", "readyExpr": "true"}]))


async def test_a_cluster_that_a_config_map_describes_is_worked_on_with_tokens_of_an_account(
    cluster: Cluster, control_plane: Plane, clusters: TargetClusters, namespace: str
) -> None:
    """The cluster is the same once more, which takes tokens of its own."""
    there = release(namespace, kubeConfig={"configMapRef": {"name": "spoke"}})
    with pytest.raises(KubeConfigMissing, match=f"kubeConfig: ConfigMap/{namespace}/spoke does not exist"):
        await clusters.of(there)
    await cluster.apply(described(control_plane, namespace, provider="aws"), manager="test")
    await described_as(clusters, there, "provider aws of ConfigMap/[^ ]+ is not supported: no cloud's credentials")
    await cluster.apply(described(control_plane, namespace, serviceAccountName="nobody"), manager="test")
    await described_as(clusters, there, f"ServiceAccount {namespace}/nobody does not exist")
    await cluster.apply(described(control_plane, namespace), manager="test")
    await described_as(clusters, there, f'User "system:serviceaccount:{namespace}:default" cannot list resource')
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "deployer", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    await cluster.apply(binding, manager="test")
    await described_as(clusters, there, "")
    target = await clusters.of(there)
    assert target is not clusters.own
    assert await target.cluster.find(ObjectKey("", "ConfigMap", namespace, "spoke"))
    assert await clusters.of(release(namespace, "two", kubeConfig={"configMapRef": {"name": "spoke"}})) is target


async def test_a_kubeconfig_that_names_nothing_is_not_the_own_cluster(clusters: TargetClusters, namespace: str) -> None:
    with pytest.raises(KubeConfigRefused, match="kubeConfig names no cluster") as refused:
        await clusters.of(release(namespace, kubeConfig={}))
    assert "secretRef" in refused.value.hint


def described(plane: Plane, namespace: str, **data: str) -> dict[str, Any]:
    """A ConfigMap that describes the cluster of the tests."""
    of_it = {"provider": "generic", "address": plane.server, "ca.crt": plane.ca_file.read_text()}
    how = {"audiences": "\nhttps://kubernetes.default.svc\n", "serviceAccountName": "default"}
    metadata = {"name": "spoke", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {**of_it, **how, **data}}


async def described_as(clusters: TargetClusters, of: HelmRelease, complaint: str) -> None:
    """Wait until the watch has brought the ConfigMap that leads to this, or ("") to a cluster."""

    async def said() -> bool:
        try:
            await clusters.of(of)
        except GitsyncError as error:
            return complaint != "" and re.search(complaint, error.message) is not None
        return complaint == ""

    await until(said)
