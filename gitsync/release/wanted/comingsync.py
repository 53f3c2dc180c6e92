"""Syncs that are on their way to a revision; and which cluster the objects of a sync or release are in. Plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.claimant import Claimant

#: The commits by which a sync or release gets its objects: the one that changed the Kustomization or HelmRelease, and
#: the one that its source is at.
Commits = frozenset[str]


class ComingSync(NamedTuple):
    """A sync that has yet to take up a revision: the objects of that (``keys``), and the HelmReleases among them.
    ``claimant`` has a ``doubt`` when these are not all known."""

    kustomization: Kustomization
    claimant: Claimant
    commits: Commits
    keys: frozenset[ObjectKey]
    releases: tuple[HelmRelease, ...]
    #: Digests of its ConfigMaps and Secrets, from which others may take values or variables (see
    #: ``valueschanges.data_digest``).
    values: Mapping[ObjectKey, str] = MappingProxyType({})

    @property
    def cluster(self) -> str:
        """The cluster that its objects are in."""
        return cluster_of(self.kustomization)


class Inner(NamedTuple):
    """A Kustomization as it is to be, and the ``commits`` by which it becomes that."""

    kustomization: Kustomization
    commits: Commits


Syncs = Callable[[Collection[Inner]], Awaitable[list[ComingSync]]]


async def no_syncs(_: Collection[Inner]) -> list[ComingSync]:
    """``ToCome.syncs`` where no Kustomizations are served."""
    return []


def known(commit: str | None) -> Commits:
    """One commit, or none where none is known."""
    return frozenset({commit} if commit else ())


def cluster_of(item: HelmRelease | Kustomization) -> str:
    """The name of the cluster that its objects are in: "" for the agent's own, else by what its kubeConfig names."""
    kube_config = item.spec.kube_config
    return cluster_named(item.metadata.namespace, kube_config.model_dump(by_alias=True) if kube_config else None)


def cluster_named(namespace: str, kube_config: object) -> str:
    """The same for a ``kubeConfig`` field that may not be valid."""
    if not isinstance(kube_config, dict):
        return ""
    for way in ("secretRef", "configMapRef"):
        if isinstance(named := kube_config.get(way), dict):
            return f"{way} {namespace}/{named.get('name')} {named.get('key') or ''}".strip()
    return ""
