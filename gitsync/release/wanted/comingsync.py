"""Syncs that are on their way to a revision, and the cluster that their objects, or a release's, are in. Plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.claimant import Claimant

#: The commits that bring something: the one that changed the object which has it, and the one that its source is at.
Commits = frozenset[str]


class ComingSync(NamedTuple):
    """A sync that has yet to take up a revision: the objects of it, and the HelmReleases among them. ``claimant`` has a
    ``doubt`` when nobody can tell all of that, ``commits`` bring it."""

    kustomization: Kustomization
    claimant: Claimant
    commits: Commits
    keys: frozenset[ObjectKey]
    releases: tuple[HelmRelease, ...]
    #: What is in its ConfigMaps and Secrets, which others may have values or variables from: see
    #: ``valueschanges.data_digest``.
    values: Mapping[ObjectKey, str] = MappingProxyType({})

    @property
    def cluster(self) -> str:
        """The cluster that its objects are in."""
        return cluster_of(self.kustomization)


class Inner(NamedTuple):
    """A Kustomization that is to be, by ``commits``."""

    kustomization: Kustomization
    commits: Commits


Syncs = Callable[[Collection[Inner]], Awaitable[list[ComingSync]]]


async def no_syncs(_: Collection[Inner]) -> list[ComingSync]:
    """Where the only sync says itself what it wants."""
    return []


def known(commit: str | None) -> Commits:
    """One commit, or none where none is known."""
    return frozenset({commit} if commit else ())


def cluster_of(item: HelmRelease | Kustomization) -> str:
    """Names the cluster that its objects are in: "" for the agent's own, else by what its kubeConfig names."""
    kube_config = item.spec.kube_config
    return cluster_named(item.metadata.namespace, kube_config.model_dump(by_alias=True) if kube_config else None)


def cluster_named(namespace: str, kube_config: object) -> str:
    """The same of a kubeConfig as it is written, which nobody may have checked."""
    if not isinstance(kube_config, dict):
        return ""
    for way in ("secretRef", "configMapRef"):
        if isinstance(named := kube_config.get(way), dict):
            return f"{way} {namespace}/{named.get('name')} {named.get('key') or ''}".strip()
    return ""
