"""A sync's inventory on a real API server: more objects than fit into one ConfigMap, and writes that are cut short."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync import kubeyaml
from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.cluster import Cluster
from gitsync.errors import ClusterUnavailable, Forbidden, GitsyncError, InventoryError
from gitsync.install.bundle import directory
from gitsync.live.wishes import present_wishes
from gitsync.sync.storage import inventory as inventories
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.inventory import Entry, Inventory
from tests.controlplane.cluster import Cli
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.docs.accounts import of_account
from tests.sync.syncing import Fault, FaultyCluster, Place, places

AWAY = ClusterUnavailable("the API server is away")


def entry(number: int, generation: int = 0) -> Entry:
    """An object, each with a digest that packs to nothing less."""
    digest = hashlib.sha256(f"{number} {generation}".encode()).hexdigest()
    key = ObjectKey("", "ConfigMap", f"team-{number % 50}", f"settings-{number}")
    return Entry(key, "v1", digest, "c" * 40, f"fleet/team-{number % 50}/settings-{number}.yaml:1:1")


def inventory_of(numbers: Iterable[int], generation: int = 0) -> Inventory:
    return Inventory(f"{generation:040x}").with_entries(entry(number, generation) for number in numbers)


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[FaultyCluster]:
    async with await FaultyCluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        assert isinstance(connected, FaultyCluster)
        connected.expect()
        yield connected


async def stored_names(cluster: FaultyCluster, namespace: str) -> list[str]:
    found = await cluster.list("", "ConfigMap", namespace=namespace)
    return sorted(item["metadata"]["name"] for item in found if item["metadata"]["name"].startswith("fleet-"))


async def test_fifty_thousand_objects_are_kept_and_read_back(cluster: FaultyCluster, namespace: str) -> None:
    store = SyncStore(cluster, namespace, "fleet")
    inventory = inventory_of(range(50_000))
    await store.save_inventory(inventory)
    assert await SyncStore(cluster, namespace, "fleet").inventory() == inventory
    parts = [name for name in await stored_names(cluster, namespace) if name != "fleet-inventory"]
    assert len(parts) > 1

    cluster.expect()
    changed = replace(inventory.with_entries([entry(7, 1)]), commit="d" * 40)
    await store.save_inventory(changed)
    assert await SyncStore(cluster, namespace, "fleet").inventory() == changed
    # One part was written anew, then the head; and the part that is not needed any more was deleted.
    assert [write.split()[0] for write in cluster.writes] == ["apply", "apply", "delete"]
    assert len(await stored_names(cluster, namespace)) == len(parts) + 1

    await ensure_crds(cluster)
    wishes = await present_wishes(cluster)
    assert list(wishes.claims.claimants(entry(49_999).key)) == [Claimant("sync", f"{namespace}/fleet")]

    small = inventory_of(range(10))
    await store.save_inventory(small)
    assert await SyncStore(cluster, namespace, "fleet").inventory() == small
    assert await stored_names(cluster, namespace) == ["fleet-inventory"]


@pytest.mark.parametrize("done", [False, True])
async def test_a_write_that_is_cut_short_anywhere_loses_no_object(
    cluster: FaultyCluster, namespace: str, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    monkeypatch.setattr(inventories, "MAX_PACKED", 4_000)
    sizes = [20, 400, 300, 20, 500]  # it grows into parts, changes, goes back into one ConfigMap
    for faulty in range(12):
        store = SyncStore(cluster, namespace, "fleet")
        before = inventory_of(range(sizes[-1]), 100)
        await store.save_inventory(before)
        for generation, size in enumerate(sizes):
            after = inventory_of(range(size), generation)
            cluster.expect({faulty: Fault(AWAY, done)})
            try:
                await store.save_inventory(after)
            except GitsyncError:
                possible = [before, after]
                assert await SyncStore(cluster, namespace, "fleet").inventory() in possible
                # The agent goes on, on top of a write of which nobody knows what came of it, and is cut short again.
                other = inventory_of(range(size), generation + 50)
                cluster.expect({1: Fault(AWAY, done=True)})
                with suppress(GitsyncError):
                    await store.save_inventory(other)
                assert await SyncStore(cluster, namespace, "fleet").inventory() in [*possible, other]
                cluster.expect()
                await store.save_inventory(after)
            cluster.expect()
            assert await SyncStore(cluster, namespace, "fleet").inventory() == after
            before = after
        await SyncStore(cluster, namespace, "fleet").save_inventory(replace(before, commit="e" * 40))
        in_use = inventories.parts_of(await cluster.get(store.inventory_key)).values()
        names = await stored_names(cluster, namespace)
        assert names == sorted(["fleet-inventory", *(f"fleet-inventory-{number}" for number in in_use)])


async def test_parts_that_may_not_be_deleted_do_no_harm(
    cluster: FaultyCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventories, "MAX_PACKED", 4_000)
    store = SyncStore(cluster, namespace, "fleet")
    await store.save_inventory(inventory_of(range(300)))
    parts = len(await stored_names(cluster, namespace)) - 1
    cluster.expect({parts + 1: Fault(Forbidden("no", status=403, verb="delete"))})
    await store.save_inventory(inventory_of(range(300), 1))
    await store.save_inventory(inventory_of(range(300), 2))
    assert await SyncStore(cluster, namespace, "fleet").inventory() == inventory_of(range(300), 2)


@pytest.fixture
async def place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    async with places(control_plane, namespace, ["fleet"]) as (made,):
        yield made


async def test_what_no_inventory_has_room_for_is_not_applied(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventories, "SURE_TO_FIT", 10)
    monkeypatch.setattr(inventories, "MAX_PARTS", 2)
    # What is written before the first apply has no digests, and packs to less than what is written at the end.
    monkeypatch.setattr(inventories, "MAX_PACKED", 1_100)
    with pytest.raises(InventoryError, match="more than 2 ConfigMaps hold"):
        await place.sync("a" * 40, {f"a-{number}": "one" for number in range(40)})
    assert place.written == []


async def test_the_role_of_config_is_enough_for_an_inventory_in_parts(
    cluster: FaultyCluster,
    namespace: str,
    control_plane: ControlPlane,
    kubectl: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (role,) = (
        item
        for document in kubeyaml.split((directory() / "rbac.yaml").read_text())
        if (item := kubeyaml.load(document.text)) and item["kind"] == "Role"
    )
    role["metadata"]["namespace"] = namespace
    # Whether its namespace is there, an agent asks with its other rights.
    role["rules"].append({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]})
    await cluster.apply(role, manager="test")
    kubectl("-n", namespace, "create", "serviceaccount", "gitsync")
    account = f"--serviceaccount={namespace}:gitsync"
    kubectl("-n", namespace, "create", "rolebinding", "gitsync", "--role=gitsync", account)
    monkeypatch.setattr(inventories, "MAX_PACKED", 4_000)
    async with await Cluster.connect(kubeconfig=of_account(namespace, control_plane, kubectl, tmp_path)) as agents:
        store = SyncStore(agents, namespace, "fleet")
        await store.save_inventory(inventory_of(range(300)))
        assert len(await stored_names(cluster, namespace)) > 2
        await store.save_inventory(inventory_of(range(3)))
        assert await store.inventory() == inventory_of(range(3))
    assert await stored_names(cluster, namespace) == ["fleet-inventory"]
