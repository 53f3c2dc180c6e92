"""``gitsync tree``: what a release consists of in the cluster, and how each part is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cli.cluster.object_tree import ObjectNode, TreeBuilder, draw
from gitsync.cli.cluster.revisions import newest_objects
from gitsync.cli.common.kinds import RELEASE
from gitsync.cli.common.objects import LiveObject
from gitsync.cli.common.output import as_json, one_line, table, write
from gitsync.cli.common.verbs import Verb
from gitsync.errors import KindUnknown
from gitsync.health import assess
from gitsync.release.desired import ref_of

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

verb = Verb(
    "tree",
    """Show what a release consists of, down to its pods, and how each part is.

    Example: gitsync tree helmrelease redis""",
)
app = verb.app

Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="A tree, or JSON.")]

#: What workloads make of their own accord.
_OWNED = (("apps", "ReplicaSet"), ("batch", "Job"), ("", "Pod"))
_AT_ONCE = 16


@verb.one(RELEASE)
async def tree(live: LiveObject, output: Output = "text") -> None:
    """Show the objects of a HelmRelease as its newest revision has them, their ReplicaSets, Jobs and pods, and how each
    is: ready, progressing, failed or missing.

    Example: gitsync tree helmrelease redis -n default
    """
    root = await _build(live.cluster, live.manifest)
    if output == "json":
        write(as_json(root.data()))
        return
    # The first cell begins with the lines of the tree: those blanks stay.
    write(table([[name, one_line(status), one_line(message)] for name, status, message in draw(root)]))


async def _build(cluster: Cluster, manifest: Manifest) -> ObjectNode:
    ref = ref_of(HelmRelease.parse(manifest))
    live = await _live(cluster, await newest_objects(cluster, ref), ref.namespace)
    namespaces = {key.namespace for key in live if key.namespace}
    lists = [cluster.list(*kind, namespace=namespace) for kind in _OWNED for namespace in sorted(namespaces)]
    builder = TreeBuilder(item for found in await asyncio.gather(*lists) for item in found)
    health = assess(manifest)
    children = tuple(builder.build(key, item) for key, item in live.items())
    return ObjectNode(ObjectKey.of(manifest), health.status, health.message, children)


async def _live(cluster: Cluster, wanted: Iterable[Manifest], namespace: str) -> dict[ObjectKey, Manifest | None]:
    """The objects of a manifest as they are in the cluster, in its order; ``namespace`` is where those go that name
    none."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def find(manifest: Manifest) -> tuple[ObjectKey, Manifest | None]:
        async with slots:
            return await _find(cluster, manifest, namespace)

    return dict(await asyncio.gather(*map(find, wanted)))


async def _find(cluster: Cluster, manifest: Manifest, namespace: str) -> tuple[ObjectKey, Manifest | None]:
    key = ObjectKey.of(manifest)
    try:
        resource = await cluster.resource(key.group, key.kind)
        key = key.within(namespace) if resource.namespaced else key._replace(namespace="")
        return key, await cluster.find(key)
    except KindUnknown:  # its CustomResourceDefinition has gone, and it with that
        return key, None
