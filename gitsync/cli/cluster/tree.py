"""``gitsync tree``: what a release or a Kustomization consists of in the cluster, and how each part is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization
from gitsync.cli.cluster.object_tree import ObjectNode, Part, TreeBuilder, draw
from gitsync.cli.cluster.revisions import newest_objects
from gitsync.cli.common.kinds import KUSTOMIZATION, RELEASE
from gitsync.cli.common.liveobject import LiveObject, connected
from gitsync.cli.common.options import with_settings
from gitsync.cli.common.output import as_json, one_line, say, table, write
from gitsync.cli.common.verbs import Verb
from gitsync.errors import FieldErrors, KindUnknown
from gitsync.release.desired import ref_of
from gitsync.settings import Settings
from gitsync.sync.kustomization.statusstore import inventory_of, sync_behind

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

verb = Verb(
    "tree",
    """Show what a release or a Kustomization consists of, down to pods, and how each part is.

    Example: gitsync tree kustomization apps -n flux-system""",
)
app = verb.app

Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="A tree, or JSON.")]
Name = Annotated[str, typer.Option("--name", help="The sync to show.", show_default="gitsync")]

#: What workloads make of their own accord.
_OWNED = (("apps", "ReplicaSet"), ("batch", "Job"), ("", "Pod"))
_AT_ONCE = 16


@verb.one(RELEASE)
async def tree(live: LiveObject, output: Output = "text") -> None:
    """Show the objects of a HelmRelease as its newest revision has them, their ReplicaSets, Jobs and pods, and how each
    is: ready, progressing, failed or missing.

    Example: gitsync tree helmrelease redis -n default
    """
    root = await _Finder(live.cluster).tree(live.key, live.manifest)
    _print(root, output)
    is_good = root.status == "ready" and not live.is_suspended
    if output == "text" and is_good and any(child.status == "missing" for child in root.children):
        # The agent compares a release with Helm's record, and looks at its objects only where drift is detected.
        again = f"gitsync reconcile helmrelease {live.key.name} -n {live.key.namespace} --force"
        say(one_line(f"hint: {again} makes again what is missing"))


@verb.one(KUSTOMIZATION)
async def kustomization_tree(live: LiveObject, output: Output = "text") -> None:
    """Show what a Kustomization has applied: the Kustomizations and HelmReleases in it with all below them, where each
    comes from, and how each is.

    Example: gitsync tree kustomization apps -n flux-system
    """
    _print(await _Finder(live.cluster).tree(live.key, live.manifest), output)


@app.command("all")
@with_settings("Cluster")
async def whole_tree(settings: Settings, name: Name = "", output: Output = "text") -> None:
    """Show all that the repository has brought: Kustomizations, HelmReleases and their objects, where each comes from,
    and how each is.

    Example: gitsync tree all
    """
    async with connected(settings) as cluster:
        sync = ObjectKey("", "sync", settings.namespace, name or settings.name)
        _print(await _Finder(cluster).tree(sync, None), output)


def _print(root: ObjectNode, output: Format) -> None:
    if output == "json":
        write(as_json(root.data()))
        return
    # The first cell begins with the lines of the tree: those blanks stay.
    write(table([[name, one_line(status), one_line(message)] for name, status, message in draw(root)]))


class _Finder:
    """Finds what belongs to an object. Each HelmRelease and Kustomization is shown with what it has once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._shown: set[ObjectKey] = set()

    async def tree(self, key: ObjectKey, manifest: Manifest | None) -> ObjectNode:
        """An object with all below it; ``key`` may be that of a sync, which is no object."""
        part = await (self._part(key, manifest) if manifest is not None else self._of_sync(key))
        namespaces = sorted(part.namespaces())
        lists = [self._cluster.list(*kind, namespace=namespace) for kind in _OWNED for namespace in namespaces]
        builder = TreeBuilder(item for found in await asyncio.gather(*lists) for item in found)
        return builder.build(part)

    async def _part(self, key: ObjectKey, live: Manifest | None) -> Part:
        if live is None or key in self._shown or not (is_release(key) or is_kustomization(key)):
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
        objects = await newest_objects(self._cluster, ref)
        wanted = dict(await asyncio.gather(*(self._named(item, ref.namespace) for item in objects)))
        return Part(key, live, await self._parts(wanted), str(release.source))

    async def _of_kustomization(self, key: ObjectKey, live: Manifest) -> Part:
        kustomization = Kustomization.parse(live)
        sync = sync_behind(live)
        if kustomization.spec.kube_config is not None:
            parts: tuple[Part, ...] = ()  # they are in another cluster
        elif sync is None:
            parts = await self._parts(inventory_of(live).wanted)
        else:
            parts = (await self._of_sync(sync)).inside or ()
        return Part(key, live, parts, str(kustomization.source))

    async def _of_sync(self, sync: ObjectKey) -> Part:
        from gitsync.sync.configmaps import SyncStore

        if sync in self._shown:  # the Kustomization that it stands for is one of those that it has brought
            return Part(sync, None, ())
        self._shown.add(sync)
        inventory = await SyncStore(self._cluster, sync.namespace, sync.name).inventory()
        return Part(sync, None, await self._parts(sorted(inventory.wanted)))

    async def _parts(self, keys: Iterable[ObjectKey]) -> tuple[Part, ...]:
        found = await asyncio.gather(*map(self._find, keys))
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
        async with self._slots:
            try:
                return key, await self._cluster.find(key)
            except KindUnknown:  # its CustomResourceDefinition has gone, and it with that
                return key, None
