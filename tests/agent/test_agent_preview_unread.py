"""What ``gitsync verify`` says of the sources of a sandbox that cannot be read: each once."""

from __future__ import annotations

from datetime import UTC, datetime

from gitsync.api.conditions import rfc3339
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.impliedchart import implied_chart
from gitsync.cluster import Cluster
from gitsync.preview.verify import unread
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane

WHY = "HelmRepository 'charts' does not exist"


async def test_a_chart_that_a_release_implies_is_told_by_its_release_alone(
    control_plane: ControlPlane, namespace: str
) -> None:
    source = {"kind": "HelmRepository", "name": "charts"}
    release = HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"interval": "1h", "chart": {"spec": {"chart": "app", "sourceRef": source}}},
        }
    )
    implied = implied_chart(release)
    assert implied is not None
    by_hand = {**implied, "metadata": {"name": "by-hand", "namespace": namespace}}
    async with serving_namespace(control_plane, namespace) as cluster:
        for chart in (implied, by_hand):
            await _create_unread(cluster, chart)
        told = [line for line in await unread(cluster) if namespace in line]
        assert told == [f"{ObjectKey.of(by_hand)}: {WHY}"]


async def _create_unread(cluster: Cluster, chart: Manifest) -> None:
    live = await cluster.create(chart, manager="test")
    condition = {"type": "Ready", "status": "False", "reason": "Failed", "message": WHY}
    condition["lastTransitionTime"] = rfc3339(datetime.now(UTC))
    await cluster.replace({**live, "status": {"conditions": [condition]}}, manager="test", subresource="status")
