"""The sync of the settings and the Kustomization that stands for it, on a real API server: what Flux had applied is in
that one's status, and so is what the sync has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
from structlog.testing import capture_logs

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.inventory import inventory_id, parse_inventory_id
from gitsync.api.kustomization import Kustomization
from gitsync.manifests import Desired
from gitsync.sync.kustomization.storage import statusstore
from gitsync.sync.kustomization.storage.rootstore import RootStore
from gitsync.sync.kustomization.storage.statusstore import sync_behind
from gitsync.sync.storage.inventory import UNKNOWN
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.sync.syncing import Place, places

FLUX = {"app.kubernetes.io/part-of": "flux"}


class Root:
    """A sync, and a Kustomization ``root`` of its namespace that stands for it."""

    def __init__(self, place: Place) -> None:
        self.place, self.cluster, self.namespace = place, place.cluster, place.namespace
        self.key = ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", place.namespace, "root")
        self.labels = {
            "kustomize.toolkit.fluxcd.io/name": "root",
            "kustomize.toolkit.fluxcd.io/namespace": place.namespace,
        }
        self.seen: dict[ObjectKey, Kustomization] = {}
        place.syncer.planner.store = self.store()

    def store(self) -> RootStore:
        """As an agent has it that has just started, and knows what was looked at last."""
        made = RootStore(self.cluster, self.namespace, self.place.name, lambda item, _: item.key.name == "root")
        made.all = lambda: self.seen
        return made

    async def applied_by_flux(self, *names: str) -> None:
        """These ConfigMaps, as kustomize-controller applies them, and its inventory that names them."""
        head = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
        spec = {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "fleet"}}
        metadata = {"name": "root", "namespace": self.namespace, "labels": self.labels}
        manifest = {**head, "metadata": metadata, "spec": spec}
        await self.cluster.apply(manifest, manager="kustomize-controller")
        for name in names:
            await self.cluster.apply(self._config_map(name), manager="kustomize-controller")
        entries = [{"id": inventory_id(self.place.key(name)), "v": "v1"} for name in names]
        status = {"inventory": {"entries": entries}, "lastAppliedRevision": f"main@sha1:{'a' * 40}"}
        await self.cluster.patch(self.key, {"status": status}, manager="kustomize-controller", subresource="status")
        await self.look()

    def _config_map(self, name: str) -> Manifest:
        """One that runs Flux itself, where its name says so."""
        key = self.place.key(name)
        labels = self.labels | (FLUX if name == "flux" else {})
        metadata = {"name": key.name, "namespace": key.namespace, "labels": labels}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "old", "more": "old"}}

    async def look(self) -> Kustomization:
        """See the Kustomization as it is now."""
        self.seen[self.key] = Kustomization.parse(await self.cluster.get(self.key))
        return self.seen[self.key]

    async def status(self) -> set[str]:
        """What the Kustomization's inventory names."""
        inventory = (await self.look()).status.inventory
        keys = [parse_inventory_id(entry.id) for entry in (inventory.entries if inventory else ())]
        return {self.place.short(key.name) for key in keys if key is not None}

    def names(self, keys: Iterable[ObjectKey]) -> set[str]:
        return {self.place.short(key.name) for key in keys}


@pytest.fixture
async def root(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Root]:
    async with places(control_plane, namespace, ["fleet"]) as (place,):
        yield Root(place)
        await place.cluster.delete(ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", namespace, "root"))


async def test_what_git_has_dropped_since_flux_last_looked_goes_and_what_runs_flux_stays(root: Root) -> None:
    place = root.place
    await root.applied_by_flux("stays", "goes", "flux")
    before = await place.versions("stays", "flux")
    assert (await place.sync("1" * 40, {"stays": "new"}, full=True)).result == "succeeded"
    assert await place.texts("stays", "goes", "flux") == {"stays": "new", "goes": None, "flux": "old"}
    live = await place.live("stays")
    assert live is not None
    assert "more" not in live["data"]
    assert live["metadata"]["labels"].items() >= root.labels.items()
    after = await place.versions("stays", "flux")
    assert (after["stays"][0], after["flux"]) == (before["stays"][0], before["flux"])
    assert await root.status() == {"stays"}
    assert root.names((await place.inventory()).entries) == {"stays"}


async def test_what_flux_has_applied_since_the_sync_last_looked_is_taken_over_too(root: Root) -> None:
    place = root.place
    await root.applied_by_flux("a")
    await place.sync("1" * 40, {"a": "one"}, full=True)
    assert await root.status() == {"a"}
    await root.applied_by_flux("a", "b")
    store = root.store()
    assert root.names((await store.inventory()).entries) == {"a"}  # nobody has said yet that it stands for the sync
    store.kustomization_of(Desired(CommitInfo("2" * 40), {}))
    inventory = await store.inventory()
    assert root.names(inventory.entries) == {"a", "b"}
    known = {root.place.short(entry.key.name): entry.digest for entry in inventory}
    assert known["b"] == UNKNOWN != known["a"]


async def test_a_commit_that_would_delete_much_of_what_flux_has_applied_can_be_confirmed(root: Root) -> None:
    place = root.place
    await root.applied_by_flux("a", "b")
    with capture_logs() as logs:
        assert (await place.sync("2" * 40, {}, full=True)).result == "held"
    (held,) = (line for line in logs if line["event"] == "commit is held until it is confirmed")
    store = root.store()
    assert store.inventory_key.name in held["hint"]
    confirm = {"metadata": {"annotations": {"gitsync.dev/allow-mass-prune": "2" * 40}}}
    await place.cluster.patch(store.inventory_key, confirm, manager="somebody")
    assert (await place.sync("2" * 40, {}, full=True)).result == "succeeded"
    assert await place.texts("a", "b") == {"a": None, "b": None}


async def test_an_inventory_that_no_status_can_hold_is_told_of_once_and_the_sync_goes_on(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statusstore, "MAX_ENTRIES", 1)
    await root.applied_by_flux("a")
    with capture_logs() as logs:
        assert (await root.place.sync("1" * 40, {"a": "one", "b": "one"}, full=True)).result == "succeeded"
    told = [line for line in logs if line["event"].startswith("inventory cannot be written")]
    assert [line["kustomization"] for line in told] == [f"{root.namespace}/root"]
    assert await root.status() == {"a"}


def test_a_kustomization_that_stands_for_a_sync_is_of_itself() -> None:
    flux = {"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "ns"}
    agent = {"gitsync.dev/sync": "fleet", "gitsync.dev/sync-namespace": "gitsync-system"}

    def behind(**labels: str) -> ObjectKey | None:
        return sync_behind({"metadata": {"name": "root", "namespace": "ns", "labels": labels}})

    assert behind(**flux, **agent) == ObjectKey("", "sync", "gitsync-system", "fleet")
    assert behind(**flux) is None
    assert behind(**agent) is None
    assert behind(**{**flux, "kustomize.toolkit.fluxcd.io/name": "above"}, **agent) is None
    assert behind(**flux, **{"gitsync.dev/sync": "root", "gitsync.dev/sync-namespace": "ns"}) is None
