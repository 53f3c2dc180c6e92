"""Desired objects with their namespaces: only the cluster knows which kinds have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import DefinedKind, defined_kind
from gitsync.apply.namespaces import fill_namespaces, in_namespace
from gitsync.errors import KindUnknown, ManifestError
from gitsync.manifests import Desired, DesiredObject

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def with_default_namespace(desired: Desired, cluster: Cluster, namespace: str) -> Desired:
    """``desired`` with ``namespace`` filled in where a namespaced kind has none.

    Two objects that turn out to be one are an error at each place, and neither is among the objects any more.
    Raises: ClusterUnavailable.
    """
    found: dict[ObjectKey, list[DesiredObject]] = {}
    for item in desired.objects.values():
        item = await _with_namespace(item, desired, cluster, namespace)
        found.setdefault(item.key, []).append(item)
    errors = [
        ManifestError(
            f"{key} is also defined at {twins[1 - number].origin}",
            origin=twin.origin,
            key=key,
            hint="one names its namespace, the other gets it by default; none of them is applied",
        )
        for key, twins in found.items()
        if _differ(twins)
        for number, twin in enumerate(twins[:2])
    ]
    objects = {key: twins[0] for key, twins in found.items() if not _differ(twins)}
    return replace(desired, objects=objects, errors=(*desired.errors, *errors))


def _differ(twins: Sequence[DesiredObject]) -> bool:
    """Whether definitions that turn out to be of one object differ; equal ones are one object without an error."""
    return any(twin.manifest != twins[0].manifest for twin in twins)


async def with_namespace(item: DesiredObject, cluster: Cluster, namespace: str) -> DesiredObject:
    """One object with ``namespace`` filled in, if its kind has one and it names none. Raises: KindUnknown."""
    (manifest,) = await fill_namespaces(cluster, [item.manifest], namespace)
    return _as(item, manifest)


async def _with_namespace(item: DesiredObject, desired: Desired, cluster: Cluster, namespace: str) -> DesiredObject:
    try:
        return await with_namespace(item, cluster, namespace)
    except KindUnknown:
        if item.key.namespace or not _namespaced_by_its_crd(item, desired):
            return item
        return _as(item, in_namespace(item.manifest, namespace, namespaced=True))


def _as(item: DesiredObject, manifest: Manifest) -> DesiredObject:
    return item if manifest is item.manifest else replace(item, key=ObjectKey.of(manifest), manifest=manifest)


def _namespaced_by_its_crd(item: DesiredObject, desired: Desired) -> bool:
    """Whether the commit also brings the CRD of an object's kind, and that says that the kind is namespaced."""
    wanted = DefinedKind(item.key.group, item.key.kind, namespaced=True)
    return any(defined_kind(other.manifest) == wanted for other in desired.objects.values())
