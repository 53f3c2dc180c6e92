"""Following what a release has, on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.served import await_served
from gitsync.cluster import Cluster
from gitsync.release.drift.correct import Drift
from gitsync.release.drift.watch import FollowedRevision
from gitsync.release.revision import ReleaseRef
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.until import until

KEY = ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", "drifters.drift.example")
SCHEMA = {"openAPIV3Schema": {"type": "object"}}
DEFINITION: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": KEY.kind,
    "metadata": {"name": KEY.name},
    "spec": {
        "group": "drift.example",
        "names": {"kind": "Drifter", "plural": "drifters", "singular": "drifter", "listKind": "DrifterList"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
    },
}
RELEASE = HelmRelease.parse(
    {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {
            "interval": "5m",
            "chart": {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
            "driftDetection": {"mode": "enabled"},
        },
    }
)


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected
        await connected.delete(KEY)


async def test_a_definition_that_is_changed_while_it_is_compared_is_compared_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await await_served(cluster, [await cluster.apply(DEFINITION, manager="helm")])
    revision = ReleaseRef("app", "default", "default"), 1, True
    followed = FollowedRevision(cluster, revision, RELEASE, {}, {KEY: DEFINITION}, lambda: None)
    find = cluster.find

    async def find_before_another_writes(key: ObjectKey, *, version: str = "") -> Manifest | None:
        """What is read is another by the time that it has been compared, and the watch shows so."""
        found = await find(key, version=version)
        await cluster.patch(KEY, {"spec": {"names": {"shortNames": ["dr"]}}}, manager="somebody")
        await until(lambda: (watch.get(KEY) or DEFINITION)["metadata"].get("generation", 0) > 1)
        return found

    async with cluster.watch(KEY.group, KEY.kind, metadata_only=True) as watch:
        await followed.begin()
        monkeypatch.setattr(cluster, "find", find_before_another_writes)
        assert await Drift(lambda _: None)._drifted(followed, KEY, []) is None
        assert followed.differs(KEY)
        await followed.end()
