"""What is there before Flux applies anything, because who sets it up makes it: the namespace flux-system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.manifests import ManifestReader
from gitsync.runtime.interrupt import Interrupt
from gitsync.sync import apply
from gitsync.sync.apply import SyncResult
from gitsync.tree import Tree
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.manifests.commits import Repository
from tests.sync.syncing import Place, places

COMMIT = "a" * 40
OWN = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: apps, namespace: {0}}}
spec: {{interval: 1h, suspend: true, path: ./apps, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}}}
"""
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {0}}}\n"
NAMESPACE = "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {0}, labels: {{from: git}}}}\n"


@pytest.fixture
async def place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    async with places(control_plane, namespace, ["fleet"]) as (found,):
        found.syncer.planner.spec = replace(found.syncer.planner.spec, is_root=True)
        yield found


@pytest.fixture
async def flux_system(place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ObjectKey]:
    """A namespace in its place that nobody has made; the name is everybody's."""
    key = ObjectKey("", "Namespace", "", f"{place.namespace}-flux")
    monkeypatch.setattr(apply, "WELL_KNOWN", key.name)
    monkeypatch.setattr(apply, "_FLUX_SYSTEM", key)
    yield key
    if await place.cluster.find(key) is not None:
        await place.cluster.delete(key)


async def synced(place: Place, text: str, name: str) -> SyncResult:
    files = Repository({"fleet/all.yaml": text.format(name)})
    tree = Tree(COMMIT, files.entries(), files.read_blobs)
    info = CommitInfo(COMMIT, "Ann", "all")
    desired = await ManifestReader().read(info, await tree.entries(), tree.read, root="fleet")
    return await place.syncer.sync(replace(desired, tree=tree), full=True, files=1, interrupt=Interrupt())


async def test_the_namespace_of_flux_is_made_for_what_comes_into_it(place: Place, flux_system: ObjectKey) -> None:
    result = await synced(place, OWN, flux_system.name)
    assert (result.result, result.problems) == ("succeeded", ())
    live = await place.cluster.find(flux_system)
    assert live is not None
    assert not live["metadata"].get("annotations")  # nobody's: whoever applies it has it
    assert flux_system not in (await place.inventory()).entries


async def test_it_is_left_to_the_commit_that_brings_it(place: Place, flux_system: ObjectKey) -> None:
    result = await synced(place, OWN + NAMESPACE, flux_system.name)
    assert (result.result, result.problems) == ("succeeded", ())
    live = await place.cluster.find(flux_system)
    assert live is not None
    assert live["metadata"]["labels"]["from"] == "git"
    assert live["metadata"]["annotations"]


async def test_it_is_made_for_nothing_else(place: Place, flux_system: ObjectKey) -> None:
    result = await synced(place, OTHER, flux_system.name)
    assert result.result == "failed"
    assert await place.cluster.find(flux_system) is None
