from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import delete_objects
from gitsync.cluster import Cluster


def ours(live: Manifest) -> bool:
    return True


async def test_a_namespace_waits_for_a_kustomization_that_has_let_go_of_what_is_inside_and_has_yet_to_delete_it(
    cluster: Cluster, namespace: str
) -> None:
    """As one does that is being removed: it wants nothing any more, then deletes what it has, and is gone itself."""
    await ensure_crds(cluster)
    inside = f"{namespace}-inside"
    spec = {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "none"}}
    metadata = {"name": "inner", "namespace": namespace, "finalizers": ["test.dev/it-goes"]}
    manifests: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inside}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": inside}},
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": metadata,
            "spec": spec,
        },
    ]
    for manifest in manifests:
        await cluster.apply(manifest, manager="test")
    above, held, inner = map(ObjectKey.of, manifests)
    holder = Claimant("sync", inner.namespaced_name, inside=held, leaves=(held,))
    answers = [{above: holder}]

    async def wanted_by(keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        return answers.pop() if answers else {}

    async def goes() -> None:
        await cluster.delete(inner)
        await asyncio.sleep(2.0)
        await cluster.delete(held)
        await cluster.patch(inner, {"metadata": {"finalizers": []}}, manager="test")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(goes())
        deletion = await delete_objects(cluster, [above], ours, wanted_by, leave_time=30.0)
    assert deletion.deleted == (above,)
