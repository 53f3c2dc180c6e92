"""What Kustomizations will want that have yet to take up a revision, by what they are built of at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.status import KustomizationStatus
from gitsync.apply.live import LiveReader
from gitsync.build import Builder
from gitsync.cluster import Cluster
from gitsync.cluster.timings import Timings
from gitsync.errors import ValuesMissing
from gitsync.kustomize import Kustomizer
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.comingsync import ComingSync
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.watch.referred import ReferredData
from gitsync.sync.factory import SyncerFactory
from gitsync.sync.kustomization.coming import ComingSyncs, Present
from gitsync.sync.kustomization.inputs.inputs import Inputs
from gitsync.sync.kustomization.reconcile.finalizer import nothing
from gitsync.sync.kustomization.syncers import Syncers
from gitsync.sync.storage.inventory import Entry, Inventory
from gitsync.tree import Tree
from tests.controlplane.cluster import Cluster as Plane
from tests.manifests.commits import Repository
from tests.release.reconciling import finds_nothing, renders_nothing
from tests.until import until

COMMIT = CommitInfo("a" * 40)
NAMED = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '${name}', namespace: default}\n"


@dataclass
class Trees:
    """One tree for every source."""

    files: Repository = field(default_factory=lambda: Repository({"app/map.yaml": NAMED}))

    def __post_init__(self) -> None:
        self.tree = Tree(COMMIT.id, self.files.entries(), self.files.read_blobs)

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        return TreeArtifact("main@sha1:" + COMMIT.id, COMMIT, "https://git.example/fleet", self.tree)

    def revision_of(self, source: ObjectKey) -> str:
        return "main@sha1:" + COMMIT.id

    def is_coming(self, source: ObjectKey) -> bool:
        return False


def kustomization(namespace: str, *names: str) -> Kustomization:
    references = [{"kind": "ConfigMap", "name": name} for name in names]
    source = {"kind": "GitRepository", "name": "fleet"}
    spec = {"interval": "1h", "path": "./app", "prune": True, "sourceRef": source}
    return Kustomization.parse(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {**spec, "postBuild": {"substituteFrom": references}},
        }
    )


@pytest.fixture
async def cluster(control_plane: Plane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig, timings=Timings(linger=0.1)) as connected:
        yield connected


async def variables(cluster: Cluster, namespace: str, name: str, data: Mapping[str, str]) -> None:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, manager="test")


async def test_another_variable_and_what_was_missing_are_heard_of(cluster: Cluster, namespace: str) -> None:
    item = kustomization(namespace, "values")
    inputs = Inputs(cluster, lambda *_: None)
    present = Present(lambda: {item.key: item}, lambda _: False)
    coming = ComingSyncs(cluster, Trees(), Builder(Kustomizer()), inputs, present)

    async def wanted(found: str) -> ComingSync:
        async def is_there() -> bool:
            (sync,) = await coming()
            return found in {key.name for key in sync.keys} or found in sync.claimant.doubt

        await until(is_there)
        (sync,) = await coming()
        return sync

    assert not (await wanted("does not exist")).keys
    await variables(cluster, namespace, "values", {"other": "one"})
    assert "name" in (await wanted("app/map.yaml")).claimant.doubt
    for name in ("one", "two"):
        await variables(cluster, namespace, "values", {"name": name})
        assert not (await wanted(name)).claimant.doubt
    await inputs.close()


async def test_one_that_has_yet_to_say_what_it_wants_is_on_its_way_whatever_its_status_says(
    cluster: Cluster, namespace: str
) -> None:
    """It may have an object for somebody else, to whom it was about to hand it over when the agent was killed."""
    await variables(cluster, namespace, "values", {"name": "wanted"})
    item = kustomization(namespace, "values")
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"lastAppliedRevision": Trees().revision_of(item.source), "conditions": conditions}
    cases: tuple[tuple[dict[str, Any], set[ObjectKey], int], ...] = (
        ({}, set(), 1),
        ({}, {item.key}, 0),
        ({"suspend": True}, set(), 0),
    )
    for spec, said, count in cases:
        known = Kustomization.parse({**item.manifest, "spec": {**item.manifest["spec"], **spec}, "status": status})
        inputs = Inputs(cluster, lambda *_: None)
        present = Present(partial(dict, [(item.key, known)]), lambda _: False, has_said=said.__contains__)
        assert len(await ComingSyncs(cluster, Trees(), Builder(Kustomizer()), inputs, present)()) == count
        await inputs.close()


async def test_who_is_asked_about_at_once_as_it_is_and_as_it_will_be_is_told_of_each(
    cluster: Cluster, namespace: str
) -> None:
    await variables(cluster, namespace, "old", {"name": "old"})
    await variables(cluster, namespace, "new", {"name": "new"})
    old, new = (ObjectKey("", "ConfigMap", namespace, name) for name in ("old", "new"))
    who, referred = kustomization(namespace).key, ReferredData(cluster, lambda *_: None)
    asked = [(old,), (new,), (old, new)] * 3
    for named, found in zip(asked, await asyncio.gather(*(referred.of(who, named) for named in asked)), strict=True):
        assert {key: (manifest or {})["data"]["name"] for key, manifest in found.items()} == {
            key: key.name for key in named
        }
    await referred.close()
    with pytest.raises(ValuesMissing):
        await Inputs(cluster, lambda *_: None).spec_of(kustomization(namespace, "nothing"))


async def test_one_of_the_same_name_that_comes_at_once_has_an_inventory_of_its_own(
    cluster: Cluster, namespace: str
) -> None:
    """What is known of the one that is gone is not written in the status of the other one."""
    await ensure_crds(cluster)
    item, live = kustomization(namespace), dict[ObjectKey, Manifest]()
    wanted = WantedObjects(ReleaseIndex(), ObjectClaims(), renders_nothing, finds_nothing, lambda _: None)
    syncers = Syncers(SyncerFactory(cluster, wanted, LiveReader(cluster, {})), live.get)
    applied = ObjectKey("", "ConfigMap", namespace, "one")
    inventory = Inventory().with_entries([Entry(applied, "v1", "d", COMMIT.id, "one.yaml:1")])
    for _ in range(2):
        live[item.key] = await cluster.create(item.manifest, manager="test")
        syncer = await syncers.of(Kustomization.parse(live[item.key]), "", nothing(COMMIT))
        await syncer.store.save_inventory(inventory)
        found = KustomizationStatus.read((await cluster.get(item.key))["status"]).inventory
        assert found is not None
        assert [entry.id for entry in found.entries] == [f"{namespace}_one__ConfigMap"]
        await cluster.delete(item.key)
    await syncers.close()
