"""The event loop goes on while the state of a sync is packed and unpacked, and while much is compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.apply.live import LiveReader
from gitsync.cluster import Cluster
from gitsync.live.wishes import known_wishes
from gitsync.manifests import DesiredObject, parse_file
from gitsync.manifests.desired import assemble
from gitsync.manifests.select import Selection
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.fairslots import FairSlots
from gitsync.sources.resolve.artifacts import Artifacts, Head
from gitsync.sync.apply import Syncer
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import verdict_of
from gitsync.sync.planner import Planner
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage import history as journals
from gitsync.sync.storage import inventory as inventories
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import MAX_CHANGES, MAX_COMMITS, JournalChange, JournalEntry
from gitsync.sync.storage.inventory import Entry, Inventory
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.lag import goes_on

OWNER = Owner("fleet", "gitsync-system", "https://git.example/fleet.git")
COMMIT = CommitInfo("c" * 40, "Ann", "many objects")
FULL = tuple(
    JournalEntry(
        f"{number:040x}",
        "Ann",
        "many objects",
        1.0,
        2.0,
        "failed",
        {"failed": MAX_CHANGES},
        tuple(
            JournalChange(
                "failed", f"ConfigMap/apps/part-{n}", f"fleet/part-{n}.yaml:1:1", f"it was refused: {n} " * 20
            )
            for n in range(MAX_CHANGES)
        ),
    )
    for number in range(MAX_COMMITS)
)
LARGE = Inventory("c" * 40).with_entries(
    Entry(ObjectKey("", "ConfigMap", "apps", f"part-{n}"), "v1", f"{n % 9}" * 64, "c" * 40, f"fleet/part-{n}.yaml:1:1")
    for n in range(10_000)
)


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


async def test_a_full_journal_does_not_hold_the_loop_up(cluster: Cluster, namespace: str) -> None:
    async def write_and_read() -> None:
        await SyncStore(cluster, namespace, "fleet").save_journal(FULL)
        assert await SyncStore(cluster, namespace, "fleet").journal() == FULL

    packed = {"metadata": {"name": "fleet-journal"}, **journals.encode(FULL)}
    await goes_on(write_and_read, partial(journals.decode, packed))


async def test_an_inventory_of_many_objects_does_not_hold_the_loop_up(cluster: Cluster, namespace: str) -> None:
    store = SyncStore(cluster, namespace, "fleet")

    async def write_and_read() -> None:
        await store.save_inventory(replace(LARGE, commit="d" * 40))
        assert len(await store.inventory()) == len(LARGE)

    await goes_on(write_and_read, partial(inventories.encode, LARGE))


def pod_template(namespace: str, number: int) -> Manifest:
    """An object with much to compare, of which no controller makes anything."""
    env = [{"name": f"NAME_{n}", "value": f"value {n}"} for n in range(30)]
    containers = [
        {
            "name": f"app-{n}",
            "image": "app:1",
            "env": env,
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        }
        for n in range(6)
    ]
    metadata = {"name": f"app-{number}", "namespace": namespace}
    template = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": containers}}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template}


async def test_comparing_all_of_a_large_commit_with_the_cluster_does_not_hold_the_loop_up(
    cluster: Cluster, namespace: str
) -> None:
    text = "\n---\n".join(json.dumps(pod_template(namespace, number)) for number in range(200))
    desired = assemble(COMMIT, [parse_file("all.yaml", text.encode())], Selection())
    slots = FairSlots(16, "objects")

    async def applied(item: DesiredObject) -> Manifest:
        async with slots.held("all"):
            return await cluster.apply(stamped(item.manifest, OWNER, COMMIT, item.origin), manager=FIELD_MANAGER)

    live = await asyncio.gather(*map(applied, desired.objects.values()))
    entries = [Entry(item.key, "v1", item.digest, COMMIT.id, str(item.origin)) for item in desired.objects.values()]
    store = SyncStore(cluster, namespace, "fleet")
    await store.save_inventory(Inventory(COMMIT.id).with_entries(entries))
    wishes = known_wishes(cluster)
    wanted, repository = SyncClaims(wishes, OWNER.claimant), Artifacts().add("fleet", Head(OWNER.repository))
    async with cluster.watch("", "PodTemplate", namespace=namespace) as watch:  # so that only comparing takes time
        reader = LiveReader(cluster, {("", "PodTemplate"): watch})
        syncer = Syncer(Planner(cluster, wishes.index, wanted, SyncSpec(OWNER), store, reader), repository, slots)
        known = await syncer.planner.inventory()

        async def plan() -> None:
            found = await syncer.planner.plan(desired, full=True)
            assert {step.verdict for step in found.steps} == {"unchanged"}

        def compare_all() -> None:
            for item, there in zip(desired.objects.values(), live, strict=True):
                verdict_of(item, known.get(item.key), there, OWNER)

        await goes_on(plan, compare_all)
