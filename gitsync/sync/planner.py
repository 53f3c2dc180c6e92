"""Plans a commit: reads what ``plan`` needs of the inventory and the cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_own_kind
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.apply.claimant import Claimant
from gitsync.apply.deleted import find_all
from gitsync.apply.live import LiveReader
from gitsync.apply.ownership import prune_disabled
from gitsync.diff.ignore import tolerating
from gitsync.errors import ApiError
from gitsync.graph import Edge, Graph
from gitsync.manifests import Desired, DesiredObject, unread_errors
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.slices import in_slices
from gitsync.sync.default_namespace import with_default_namespace
from gitsync.sync.owner import Owner
from gitsync.sync.plan import Step, SyncPlan, mass_prune, staged, to_prune, verdict_of
from gitsync.sync.policy import is_left_once_there
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import inventory_key
from gitsync.sync.storage.inventory import Entry, Inventory
from gitsync.sync.storage.store import InventoryStore
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


@dataclass
class Planner:
    """Plans commits of one sync. ``wanted`` says who else wants an object, also of releases that have yet to be
    rendered."""

    cluster: Cluster
    index: ReleaseIndex
    wanted: SyncClaims
    spec: SyncSpec
    store: InventoryStore
    live: LiveReader

    def __post_init__(self) -> None:
        self._inventory: Inventory | None = None

    @property
    def owner(self) -> Owner:
        """Whose the objects are."""
        return self.spec.owner

    async def inventory(self) -> Inventory:
        """What is known to be in the cluster; read once, then kept here, since nobody else writes it."""
        if self._inventory is None:
            self._inventory = await self.store.inventory()
        return self._inventory

    async def plan(self, desired: Desired, *, full: bool, guess: bool = False) -> SyncPlan:
        """What would be done for a commit. ``full`` compares every object with the cluster, else only those whose
        content is not the one last applied. ``guess``: an object that no sync has had so far is taken as not there
        without reading it; the apply finds out. Writes nothing."""
        desired = await with_default_namespace(desired, self.cluster, self.spec.default_namespace)
        self._stand_for(self.store.kustomization_of(desired))
        inventory = await self.inventory()
        objects = desired.objects.values()
        asked = [
            item.key
            for item in objects
            if self._serves(item.key)
            and (full or self.spec.is_release(item.key) or not _same(item, inventory.get(item.key)))
        ]
        # An object that a release has is there, though no list of what syncs have applied names it.
        new = {key for key in asked if inventory.get(key) is None and not self.wanted.claimants(key)}
        new -= {item.key for item in objects if is_left_once_there(item.manifest)}
        live = await self.live.read(asked, new=new, labels=self.owner.labels, guess=guess)
        prune = to_prune(inventory, desired.objects.keys())
        news = [entry for entry in prune if not entry.dropped]
        # An object that a release has by now has moved there: it is not one whose file can no longer be read.
        missing = [entry for entry in news if not self.wanted.claimants(entry.key, but=self.owner.claimant)]
        unread = unread_errors(desired.unread, ((entry.key, entry.origin) for entry in missing))
        desired = replace(desired, errors=(*desired.errors, *unread))
        prune_skipped = _why_not_pruned(desired, self.spec.prune)
        leaving = set() if prune_skipped else set(self.leaving(prune))
        to_be = await self._others_to_be(
            {self.owner.other(found) for found in live.values() if found is not None} - {""}
        )
        # In slices: comparing a Deployment takes 0.15 ms, and thousands in one go would hold up every release.
        steps = tuple(await in_slices(self._step(item, inventory, live, leaving, to_be) for item in objects))
        return SyncPlan(
            desired,
            steps,
            staged(steps, release_graph(desired)),
            prune=() if prune_skipped else prune,
            stays=prune if prune_skipped else (),
            held="" if prune_skipped or self.spec.allow_mass_prune else mass_prune(news, inventory),
            prune_skipped=prune_skipped if prune else "",
        )

    def _stand_for(self, kustomization: ObjectKey | None) -> None:
        """From here on, the objects of this Kustomization, also those that Flux has applied for it, are the sync's."""
        if kustomization == self.owner.kustomization:
            return
        self.spec = replace(self.spec, owner=replace(self.owner, kustomization=kustomization))
        self._inventory = None
        if kustomization is not None and (it := kustomization.namespaced_name) != self.owner.full_name:
            self.wanted.claims.forget(Claimant("sync", it))

    def _step(
        self,
        item: DesiredObject,
        inventory: Inventory,
        live: Mapping[ObjectKey, Manifest | None],
        leaving: Collection[Claimant],
        to_be: Mapping[Claimant, frozenset[ObjectKey]],
    ) -> Step:
        if not self._serves(item.key):
            why = f"is not in namespace '{self.cluster.namespace}', the only one that is served (watch_namespace)"
            return Step(item, "out_of_scope", why)
        if item.key not in live:
            return Step(item, "unchanged")
        found = live[item.key]
        left = tolerating(item.manifest, found, self.spec.ignore) if found is not None else item.manifest
        if left is found:
            return Step(item, "unchanged", "all of it is left to others by spec.ignore", found)
        let_go = partial(self._let_go, item.key, to_be)
        step = verdict_of(replace(item, manifest=left), inventory.get(item.key), found, self.owner, let_go)
        step = replace(
            step, desired=item, why=self._unread(found) or step.why if step.verdict == "foreign" else step.why
        )
        if found is None or self.owner.owns(found) or not step.applies:
            return step
        claimants = self.wanted.claimants(item.key, for_good=True)
        holders = [one for one in claimants if one.kind == "HelmRelease" and one not in leaving]
        if not holders:
            return step
        return replace(step, holder=holders[0])

    async def judged(self, plan: SyncPlan, before: Inventory, item: DesiredObject) -> Step:
        """The step for an object that turned out to be there, though the plan took it for new."""
        live = await self.live.read([item.key])
        other = self.owner.other(found) if (found := live[item.key]) is not None else ""
        to_be = await self._others_to_be({other} - {""})
        return self._step(item, before, live, set(self.leaving(plan.prune)), to_be)

    def _unread(self, live: Manifest | None) -> str:
        """Why the sync that has an object may still want it: some files of its commit cannot be read. "" otherwise."""
        other = self.owner.other(live) if live is not None else ""
        _, why = self.wanted.claims.unread.get(Claimant("sync", other), ("", ""))
        return f"belongs to sync {other!r}, which may go on wanting it: {why}" if why else ""

    async def _others_to_be(self, others: Collection[str]) -> dict[Claimant, frozenset[ObjectKey]]:
        """What these other syncs, which have objects of this commit, will want; only of those that are on their way, or
        do not exist any more and so want nothing. (One that is gone may have left its objects on purpose.)"""
        if not others:
            return {}
        found = await self.wanted.to_be()
        for other in others:
            sync = Claimant("sync", other)
            if sync not in found and not self.wanted.claims.knows(sync) and await self._is_gone(other):
                found[sync] = frozenset()
        return found

    async def _is_gone(self, other: str) -> bool:
        """Whether a sync does not exist any more: there is neither such a Kustomization nor an inventory of an
        agent."""
        namespace, _, name = other.rpartition("/")
        if not namespace or self.spec.cluster:
            return False  # marked by gitsync 0.1, which knew no Kustomizations, or by another cluster's agent
        kustomization = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, namespace, name)
        try:
            return not await find_all(self.cluster, [kustomization, inventory_key(namespace, name)])
        except ApiError:
            return False  # we may not read it, so it may be there

    def _let_go(self, key: ObjectKey, to_be: Mapping[Claimant, frozenset[ObjectKey]], other: str) -> bool:
        """Whether another sync of this agent, whose an object is, does not want it any more, or will not once it has
        taken up its commit (``to_be``)."""
        sync = Claimant("sync", other)
        if (wanted := to_be.get(sync)) is not None:
            return key not in wanted
        return self.wanted.claims.knows(sync) and sync not in self.wanted.claimants(key)

    def _serves(self, key: ObjectKey) -> bool:
        return bool(self.spec.cluster) or not is_own_kind(key) or self.cluster.serves(key)

    def leaving(self, prune: Iterable[Entry]) -> Iterable[Claimant]:
        """The releases that are removed with these entries: their objects are free for others at once."""
        for entry in prune:
            live = self.index.manifest(entry.key) if self.spec.is_release(entry.key) else None
            if self._goes(live):
                yield Claimant.of_release(entry.key)

    def leaving_syncs(self, prune: Iterable[Entry]) -> Iterable[Claimant]:
        """The syncs of Kustomizations that are removed with these entries: they take up no commit any more."""
        for entry in prune:
            if self.spec.is_kustomization(entry.key) and self._goes(self.index.others.manifest(entry.key)):
                yield Claimant("sync", entry.key.namespaced_name)

    def _goes(self, live: Manifest | None) -> bool:
        return live is not None and self.owner.has(live) and not prune_disabled(live)

    async def remember(self, inventory: Inventory) -> None:
        """Write the inventory; from here on, it is what is known to be in the cluster."""
        await self.store.save_inventory(inventory)
        self._inventory = inventory


def release_graph(desired: Desired) -> Graph[ObjectKey]:
    """What waits for what among a commit's HelmReleases, each edge with its file and line."""
    edges = []
    for key, release in desired.helm_releases.items():
        item = desired.objects[key]
        edges += [Edge(key, dependency, item.field_origin(path)) for dependency, path in release.dependencies()]
    return Graph(desired.helm_releases, edges)


def _same(item: DesiredObject, entry: Entry | None) -> bool:
    return entry is not None and not entry.dropped and entry.digest == item.digest


def _why_not_pruned(desired: Desired, prune: bool) -> str:
    if not prune:
        return "--no-prune"
    bad = sorted(desired.bad_paths)
    if bad:
        return f"{listed(bad)} cannot be read, so it is not known what left Git"
    return ""
