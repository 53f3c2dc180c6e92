"""Taking gitsync out of a cluster without touching what it installed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.crds import crd_names, kinds
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import CLI_FIELD_MANAGER, FINALIZER, HELM_RELEASE, KUSTOMIZATION, RBAC_GROUP
from gitsync.apply.deleted import wait_deleted
from gitsync.errors import KindUnknown
from gitsync.install.bundle import AGENT, is_namespaced
from gitsync.install.installer import CONFIGURATION, PART_OF, Say, bindings, flux_controllers

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

_GONE_PATIENCE = 120.0
_PART_OF_LABEL = PART_OF.partition("=")[0]
_REST = ((RBAC_GROUP, "Role"), ("", "ServiceAccount"), ("", "Secret"))


@dataclass(frozen=True, slots=True)
class Left:
    """What stays: definitions, and how many objects there are by kind. ``flux`` names Flux's controllers that serve
    them now; ``namespace`` is why the namespace stays, "" when it was not to be deleted, or is. ``removed`` is how many
    objects are gone."""

    removed: int
    definitions: int = 0
    objects: Mapping[str, int] = field(default_factory=dict)
    flux: tuple[ObjectKey, ...] = ()
    namespace: str = ""


async def uninstall(cluster: Cluster, namespace: str, *, crds: bool, keep_namespace: bool, say: Say) -> Left:
    """Remove the agent, its rights, its settings and its namespace. With ``crds`` also the definitions, and so every
    HelmRelease and every source. What Helm releases installed stays in every case.

    HelmReleases and Kustomizations lose their finalizer, unless Flux is there to serve them: nobody else would ever let
    them go. What an installation that broke off has left is removed like a whole one.

    Raises: NotReadyInTime, ApiError.
    """
    remover = _Remover(cluster, say)
    # The agent first: without its rights it could only fail.
    agents = await cluster.list("apps", "Deployment", namespace=namespace, labels=PART_OF)
    await remover.remove(agents)
    await remover.remove(await bindings(cluster, namespace))
    for group, kind in _REST:
        await remover.remove(await cluster.list(group, kind, namespace=namespace, labels=PART_OF))
    await remover.remove(await cluster.list("", "ConfigMap", namespace=namespace, labels=CONFIGURATION))
    if not await cluster.list(RBAC_GROUP, "ClusterRoleBinding", labels=PART_OF):  # no other installation has them
        await remover.remove(await cluster.list(RBAC_GROUP, "ClusterRole", labels=PART_OF))
    controllers = await flux_controllers(cluster)
    objects = {kind: await _served(cluster, group, kind) for group, kind in kinds()}
    ours = [*objects[KUSTOMIZATION], *objects[HELM_RELEASE]]
    if not controllers:
        alone = any(map(is_namespaced, agents)) and not crds  # other namespaces have agents of their own
        await _let_go(cluster, [item for item in ours if not alone or item["metadata"]["namespace"] == namespace])
    definitions = await _definitions(cluster)
    if crds and not controllers:
        await remover.remove(definitions)
        definitions, objects = [], {}
    why = "" if keep_namespace else await _remove_namespace(cluster, namespace, remover)
    counts = {kind: len(found) for kind, found in objects.items() if found}
    return Left(remover.removed, len(definitions), counts, tuple(controllers), why)


async def _remove_namespace(cluster: Cluster, namespace: str, remover: _Remover) -> str:
    """Delete the namespace with the inventory and the journal; or say why not: a namespace is everything in it."""
    found = await cluster.find(ObjectKey("", "Namespace", "", namespace))
    if found is None:
        return ""
    if (found["metadata"].get("labels") or {}).get(_PART_OF_LABEL) != AGENT:
        return "it was not made by gitsync install"
    if records := await cluster.list("", "Secret", namespace=namespace, labels="owner=helm"):
        return f"it holds {len(records)} records of Helm releases"
    await remover.remove([found])
    return ""


async def _served(cluster: Cluster, group: str, kind: str) -> list[Manifest]:
    try:
        return await cluster.list(group, kind)
    except KindUnknown:
        return []


async def _definitions(cluster: Cluster) -> list[Manifest]:
    keys = [ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", name) for name in crd_names()]
    return [found for key in keys if (found := await cluster.find(key)) is not None]


async def _let_go(cluster: Cluster, found: list[Manifest]) -> None:
    for item in found:
        finalizers = item["metadata"].get("finalizers") or []
        if FINALIZER in finalizers:
            rest = [name for name in finalizers if name != FINALIZER]
            await cluster.patch(ObjectKey.of(item), {"metadata": {"finalizers": rest}}, manager=CLI_FIELD_MANAGER)


class _Remover:
    """Deletes objects, names them, waits until they are gone, and counts them."""

    def __init__(self, cluster: Cluster, say: Say) -> None:
        self._cluster = cluster
        self._say = say
        self.removed = 0

    async def remove(self, found: list[Manifest]) -> None:
        """Raises: NotReadyInTime."""
        keys = []
        for item in found:
            key = ObjectKey.of(item)
            if await self._cluster.delete(key, propagation="Foreground", uid=item["metadata"]["uid"]):
                self._say(f"deleted {key}")
                keys.append(key)
        await wait_deleted(self._cluster, keys, _GONE_PATIENCE)
        self.removed += len(keys)
