"""Namespaces filled in where a manifest leaves them out: only the cluster knows which kinds have one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.errors import KindUnknown

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def fill_namespaces(cluster: Cluster, manifests: Iterable[Manifest], namespace: str) -> list[Manifest]:
    """The same objects with ``namespace`` filled in where a namespaced kind has none, and taken out where a
    cluster-scoped kind names one (as kubectl and Helm do).

    Raises: KindUnknown.
    """
    filled = []
    for manifest in manifests:
        resource = await cluster.resource(group_of(manifest["apiVersion"]), manifest["kind"])
        filled.append(in_namespace(manifest, namespace, namespaced=resource.namespaced))
    return filled


def in_namespace(manifest: Manifest, namespace: str, *, namespaced: bool) -> Manifest:
    """An object in the namespace that it comes into: its own, else this one; in none if its kind has none. Pure."""
    metadata = manifest.get("metadata") or {}
    named = metadata.get("namespace")
    if namespaced and not named:
        return {**manifest, "metadata": {**metadata, "namespace": namespace}}
    if not namespaced and named:
        return {**manifest, "metadata": {name: value for name, value in metadata.items() if name != "namespace"}}
    return manifest


async def served(cluster: Cluster, manifests: Iterable[Manifest], namespace: str) -> list[Manifest]:
    """As ``fill_namespaces``, without those whose kind is not served: there can be none of them in the cluster."""
    found = []
    for manifest in manifests:
        try:
            found += await fill_namespaces(cluster, [manifest], namespace)
        except KindUnknown:
            continue
    return found


async def served_keys(cluster: Cluster, manifests: Iterable[Manifest], namespace: str) -> list[ObjectKey]:
    """The objects that ``served`` gives, by key."""
    return [ObjectKey.of(item) for item in await served(cluster, manifests, namespace)]
