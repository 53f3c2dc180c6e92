"""Finds in the cluster what belongs to an object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import parse_inventory_id
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization
from gitsync.errors import FieldErrors, Forbidden, GitsyncError, KindUnknown
from gitsync.live.elsewhere import cluster_of
from gitsync.live.objecttree import ObjectNode, Part, TreeBuilder
from gitsync.live.records import newest_objects
from gitsync.release.desired import ref_of
from gitsync.release.revision import ReleaseRef
from gitsync.sync.kustomization.storage.statusstore import inventory_of, sync_behind

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: The kinds of objects that workloads make by themselves.
_OWNED = (("apps", "ReplicaSet"), ("batch", "Job"), ("", "Pod"))
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Extent:
    """How far Finder looks. ``inside``: also into the HelmReleases and Kustomizations that a Kustomization has
    applied. ``most``: the number of objects that an object may have (None: any). ``records``: take a release's
    objects from Helm's record, not from its status. ``tolerant``: what may not be read is shown as such, and is no
    error. ``elsewhere``: also into other clusters that a kubeConfig names."""

    inside: bool = True
    most: int | None = None
    records: bool = True
    tolerant: bool = False
    elsewhere: bool = False


WHOLE: Final = Extent(elsewhere=True)
Known = Callable[[ObjectKey], Manifest | None]


def _nothing_known(key: ObjectKey) -> None:
    return None


class Finder:
    """Finds what belongs to an object. A HelmRelease or Kustomization is shown with its objects only once. ``known``
    has objects that need not be read."""

    def __init__(self, cluster: Cluster, extent: Extent = WHOLE, known: Known = _nothing_known) -> None:
        self._cluster = cluster
        self._extent = extent
        self._known = known
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._shown: set[ObjectKey] = set()
        #: Objects that the user may not read.
        self._refused: set[ObjectKey] = set()
        #: How many objects were left out, since there are more than ``most``.
        self.left_out = 0

    async def tree(self, key: ObjectKey, manifest: Manifest | None) -> ObjectNode:
        """An object with all below it; ``key`` may be that of a sync, which is not an object of the cluster."""
        part = await (self._part(key, manifest) if manifest is not None else self._of_sync(key))
        (root,) = await self._built([part])
        return root

    async def _built(self, parts: Collection[Part]) -> tuple[ObjectNode, ...]:
        namespaces = sorted(set().union(*(part.namespaces() for part in parts)))
        lists = [self._list(*kind, namespace) for kind in _OWNED for namespace in namespaces]
        builder = TreeBuilder((item for found in await asyncio.gather(*lists) for item in found), self._refused)
        return tuple(map(builder.build, parts))

    async def _list(self, group: str, kind: str, namespace: str) -> list[Manifest]:
        try:
            return await self._cluster.list(group, kind, namespace=namespace)
        except Forbidden:
            if not self._extent.tolerant:
                raise
            return []

    async def _part(self, key: ObjectKey, live: Manifest | None) -> Part:
        if live is None or key in self._shown or not (is_release(key) or is_kustomization(key)):
            return Part(key, live)
        if self._shown and not self._extent.inside:
            return Part(key, live)
        self._shown.add(key)
        try:
            if is_release(key):
                return await self._of_release(key, live)
            return await self._of_kustomization(key, live)
        except FieldErrors:
            return Part(key, live)  # its own condition says what is wrong with it

    async def _of_release(self, key: ObjectKey, live: Manifest) -> Part:
        release = HelmRelease.parse(live)
        ref = ref_of(release)
        if release.spec.kube_config is not None:
            return await self._there(Part(key, live, (), str(release.source)), release, lambda it: it._of_record(ref))
        if not self._extent.records:
            inventory = release.status.inventory
            ids = [parse_inventory_id(entry.id) for entry in inventory.entries] if inventory is not None else []
            return Part(key, live, await self._parts(key for key in ids if key is not None), str(release.source))
        return Part(key, live, await self._of_record(ref), str(release.source))

    async def _of_record(self, ref: ReleaseRef) -> tuple[Part, ...]:
        objects = await newest_objects(self._cluster, ref)
        wanted = dict(await asyncio.gather(*(self._named(item, ref.namespace) for item in objects)))
        return await self._parts(wanted)

    async def _of_kustomization(self, key: ObjectKey, live: Manifest) -> Part:
        kustomization = Kustomization.parse(live)
        sync = sync_behind(live)
        if kustomization.spec.kube_config is not None:
            part, wanted = Part(key, live, (), str(kustomization.source)), inventory_of(live).wanted
            return await self._there(part, kustomization, lambda finder: finder._parts(wanted))
        if sync is None:
            parts = await self._parts(inventory_of(live).wanted)
        else:
            parts = (await self._of_sync(sync)).inside or ()
        return Part(key, live, parts, str(kustomization.source))

    async def _there(
        self, part: Part, item: HelmRelease | Kustomization, look: Callable[[Finder], Awaitable[tuple[Part, ...]]]
    ) -> Part:
        """The part of an object whose objects are in another cluster, read there. The user must be able to log in
        there as the agent does."""
        source = item.kubeconfig_source
        part = replace(part, cluster=str(source) if source is not None else "")
        if not self._extent.elsewhere or source is None:
            return part
        try:
            async with cluster_of(self._cluster, item) as cluster:
                finder = Finder(cluster, replace(self._extent, elsewhere=False))
                found = await finder._built(await look(finder))
        except GitsyncError as error:
            return replace(part, note=f"its cluster cannot be looked into: {error.message}")
        return replace(part, elsewhere=found)

    async def _of_sync(self, sync: ObjectKey) -> Part:
        from gitsync.sync.storage.configmaps import SyncStore

        if sync in self._shown:  # the Kustomization that stands for this sync is one of its own objects
            return Part(sync, None, ())
        self._shown.add(sync)
        inventory = await SyncStore(self._cluster, sync.namespace, sync.name).inventory()
        return Part(sync, None, await self._parts(sorted(inventory.wanted)))

    async def _parts(self, keys: Iterable[ObjectKey]) -> tuple[Part, ...]:
        wanted = list(keys)
        shown = wanted[: self._extent.most]
        self.left_out += len(wanted) - len(shown)
        found = await asyncio.gather(*map(self._find, shown))
        return tuple([await self._part(key, live) for key, live in found])

    async def _named(self, manifest: Manifest, namespace: str) -> tuple[ObjectKey, None]:
        """The key of an object of a manifest; ``namespace`` is where those go that name none."""
        key = ObjectKey.of(manifest)
        try:
            resource = await self._cluster.resource(key.group, key.kind)
        except KindUnknown:
            return key, None
        return key.within(namespace) if resource.namespaced else key._replace(namespace=""), None

    async def _find(self, key: ObjectKey) -> tuple[ObjectKey, Manifest | None]:
        if (known := self._known(key)) is not None:
            return key, known
        async with self._slots:
            try:
                return key, await self._cluster.find(key)
            except KindUnknown:  # its CustomResourceDefinition is gone, so it is gone, too
                return key, None
            except Forbidden:
                if not self._extent.tolerant:
                    raise
                self._refused.add(key)
                return key, None
