from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply import deleted
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import DeletionRules, delete_objects
from gitsync.apply.deleted import wait_deleted
from gitsync.cluster import Cluster, WatchEvent
from tests.until import until


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
        await until(lambda: not answers)  # it is known for whom it stays
        await cluster.delete(held)
        await cluster.patch(inner, {"metadata": {"finalizers": []}}, manager="test")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(goes())
        deletion = await delete_objects(cluster, [above], DeletionRules(ours, wanted_by, leave_time=30.0))
    assert deletion.deleted == (above,)


class Going:
    """A cluster with one object, which is told to be gone when ``loop.time()`` is ``at``."""

    def __init__(self, manifest: Manifest, at: float) -> None:
        self._manifest, self._at = manifest, at

    async def find(self, key: ObjectKey) -> Manifest:
        return self._manifest

    @asynccontextmanager
    async def watch(self, *_: str, **__: str) -> AsyncIterator[Going]:
        yield self

    def get(self, key: ObjectKey) -> Manifest:
        return self._manifest

    def subscribe(self, listener: Callable[[WatchEvent], None]) -> Callable[[], None]:
        event = WatchEvent("DELETED", ObjectKey.of(self._manifest), self._manifest)
        return asyncio.get_running_loop().call_at(self._at, listener, event).cancel


@pytest.mark.parametrize("seconds", [0.1, 30.0], ids=["as the time is up", "as it would be reported"])
async def test_what_goes_at_the_very_moment_at_which_the_wait_for_it_ends_is_gone(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted, "SILENCE", 0.1)
    manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "n"}}
    loop = asyncio.get_running_loop()
    cluster = Going(manifest, at=loop.time() + 0.2)
    loop.call_later(0.05, time.sleep, 0.3)  # so that both are due at once, the end of the time first
    await wait_deleted(cast(Cluster, cluster), [ObjectKey.of(manifest)], seconds)
