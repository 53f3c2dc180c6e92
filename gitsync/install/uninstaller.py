"""Taking gitsync out of a cluster without touching what it installed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitsync.api.crds import crd_names
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FINALIZER, HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.errors import KindUnknown
from gitsync.install.installer import CONFIGURATION, MANAGER, PART_OF, Say, flux_rivals
from gitsync.release.apply import Applier

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

_GONE_PATIENCE = 120.0
_RBAC = "rbac.authorization.k8s.io"
#: The agent first: without its rights it could only fail.
_NAMESPACED = (
    ("apps", "Deployment"),
    (_RBAC, "RoleBinding"),
    (_RBAC, "Role"),
    ("", "ServiceAccount"),
    ("", "Secret"),
)
_CLUSTER_WIDE = ((_RBAC, "ClusterRoleBinding"), (_RBAC, "ClusterRole"))


@dataclass(frozen=True, slots=True)
class Left:
    """What stays: definitions and the objects of them; ``flux`` names Flux's controllers that serve them now."""

    definitions: int
    releases: int
    repositories: int
    flux: tuple[ObjectKey, ...]


async def uninstall(cluster: Cluster, namespace: str, *, crds: bool, keep_namespace: bool, say: Say) -> Left:
    """Remove the agent, its rights, its settings and its namespace. With ``crds`` also the definitions, and so every
    HelmRelease and HelmRepository. What Helm releases installed stays in every case.

    HelmReleases lose their finalizer, unless Flux is there to serve them: nobody else would ever let them go.

    Raises: NotReadyInTime, ApiError.
    """
    applier = Applier(cluster, MANAGER)
    for group, kind in _NAMESPACED:
        await _remove(cluster, applier, await _ours(cluster, group, kind, namespace), say)
    configuration = await cluster.list("", "ConfigMap", namespace=namespace, labels=CONFIGURATION)
    await _remove(cluster, applier, configuration, say)
    for group, kind in _CLUSTER_WIDE:
        await _remove(cluster, applier, await _ours(cluster, group, kind), say)
    rivals = await flux_rivals(cluster)
    releases = await _served(cluster, HELM_GROUP, HELM_RELEASE)
    if not rivals:
        await _let_go(cluster, releases)
    left = Left(0, 0, 0, tuple(rivals))
    if crds and not rivals:
        await _remove(cluster, applier, await _definitions(cluster), say)
    else:
        repositories = await _served(cluster, SOURCE_GROUP, HELM_REPOSITORY)
        left = Left(len(await _definitions(cluster)), len(releases), len(repositories), tuple(rivals))
    if not keep_namespace and (found := await cluster.find(ObjectKey("", "Namespace", "", namespace))):
        await _remove(cluster, applier, [found], say)
    return left


async def _ours(cluster: Cluster, group: str, kind: str, namespace: str = "") -> list[Manifest]:
    return await cluster.list(group, kind, namespace=namespace, labels=PART_OF)


async def _served(cluster: Cluster, group: str, kind: str) -> list[Manifest]:
    try:
        return await cluster.list(group, kind)
    except KindUnknown:
        return []


async def _definitions(cluster: Cluster) -> list[Manifest]:
    keys = [ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", name) for name in crd_names()]
    return [found for key in keys if (found := await cluster.find(key)) is not None]


async def _let_go(cluster: Cluster, releases: list[Manifest]) -> None:
    for item in releases:
        finalizers = item["metadata"].get("finalizers") or []
        if FINALIZER in finalizers:
            rest = [name for name in finalizers if name != FINALIZER]
            await cluster.patch(ObjectKey.of(item), {"metadata": {"finalizers": rest}}, manager=MANAGER)


async def _remove(cluster: Cluster, applier: Applier, found: list[Manifest], say: Say) -> None:
    keys = []
    for item in found:
        key = ObjectKey.of(item)
        if await cluster.delete(key, propagation="Foreground", uid=item["metadata"]["uid"]):
            say(f"deleted {key}")
            keys.append(key)
    await applier.gone(keys, _GONE_PATIENCE)
