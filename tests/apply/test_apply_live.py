"""What is live of the objects that a plan asks about, on a real API server: also for who may not list them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.live import LIST_FROM, LiveReader
from gitsync.cluster import Cluster
from tests.controlplane.cluster import Cluster as ControlPlane

RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


async def test_who_may_read_objects_and_not_list_them_sees_those_that_are_there(
    cluster: Cluster, namespace: str
) -> None:
    """Taken as not there, somebody else's would be written over."""
    names = [f"map-{number}" for number in range(LIST_FROM + 1)]
    role = {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    manifests: list[Manifest] = [
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "rules": [rule(["get"])], **named(namespace, "reader")},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "name": "team", "namespace": namespace}],
            **named(namespace, "reader"),
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", **named(namespace, "team")},
        *({"apiVersion": "v1", "kind": "ConfigMap", **named(namespace, name)} for name in names[1:]),
    ]
    for manifest in manifests:
        await cluster.apply(manifest, manager="test")
    keys = [ObjectKey("", "ConfigMap", namespace, name) for name in names]
    found = await LiveReader(cluster.impersonating(namespace, "team"), {}).read(keys)
    assert [key.name for key in keys if found[key] is not None] == names[1:]


def rule(verbs: list[str]) -> dict[str, list[str]]:
    return {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}


def named(namespace: str, name: str) -> dict[str, dict[str, str]]:
    return {"metadata": {"name": name, "namespace": namespace}}
