"""Where releases live and as whom they are worked on: one target cluster for each combination of cluster and user.

A target cluster is made when the first release needs it and closed with the last. Most releases live at ``own``: in the
cluster that the agent serves, with the agent's rights. What the agent does for itself (status, finalizer, Events,
reading what releases refer to) is never done through another one.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.errors import Forbidden, KubeConfigMissing, KubeConfigRefused, ServiceAccountMissing
from gitsync.release.access import AccessRules
from gitsync.release.drift.correct import Drift
from gitsync.release.reconcile.actions import ActionRunner
from gitsync.release.storage.store import RecordStore
from gitsync.release.values.references import References

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer


class TargetCluster:
    """One cluster as one user, and what works on releases there."""

    def __init__(self, cluster: Cluster, records: RecordStore, actions: ActionRunner, drift: Drift) -> None:
        self.cluster = cluster
        self.records = records
        self.actions = actions
        self.drift = drift
        self._stack = AsyncExitStack()
        self._watches: dict[str, Informer] = {}
        self._beginning = asyncio.Lock()

    async def follow(self, namespace: str) -> None:
        """Have the records in a namespace, or ("") in all, known from here on.

        Raises: Forbidden and other ApiErrors, ClusterUnavailable: also for a watch that worked once and does not now,
        for what it shows may be old.
        """
        async with self._beginning:
            if namespace not in self._watches:
                watching = self.records.watching(namespace)
                self._watches[namespace] = await self._stack.enter_async_context(watching)
        if (error := self._watches[namespace].error) is not None:
            raise error

    async def close(self) -> None:
        """End every watch of the target; the own cluster's connection stays."""
        await self.drift.close()
        await self._stack.aclose()


class _Where(NamedTuple):
    """``kubeconfig`` is the digest of a remote cluster's, "" for the own cluster; ``service_account`` "" for nobody."""

    kubeconfig: str
    namespace: str
    service_account: str


@dataclass(eq=False)
class _Place:
    """A target that is used, or is being made by the first who needs it."""

    users: set[ObjectKey] = field(default_factory=set)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    target: TargetCluster | None = None


class Build(Protocol):
    """Puts clusters together."""

    def __call__(self, cluster: Cluster, *, remote: bool = False) -> TargetCluster:
        """The target of a cluster as some user; ``remote``: not of the cluster that the agent serves."""


#: Told of a target, and of the namespace and name of a release whose record somebody else has written there.
Listener = Callable[[TargetCluster, str, str], None]


class TargetClusters:
    """The target clusters of all releases. Releases that ask for the same cluster and user share one, for connections
    and watches are made for those. To be entered; leaving ends every watch and connection made.
    """

    def __init__(self, cluster: Cluster, build: Build, references: References, rules: AccessRules) -> None:
        self.own = build(cluster)
        self.rules = rules
        self._build = build
        self._references = references
        self._listeners: list[Listener] = []
        self._places: dict[_Where, _Place] = {}
        self._used: dict[ObjectKey, _Where] = {}
        self._remote: dict[str, Cluster] = {}

    def on_foreign_change(self, listener: Listener) -> None:
        """Tell ``listener`` when somebody else writes a record."""
        self._listeners.append(listener)

    def at(self, key: ObjectKey) -> TargetCluster:
        """The target that a release was last worked on at."""
        where = self._used.get(key)
        place = self._places.get(where) if where is not None else None
        return place.target if place is not None and place.target is not None else self.own

    async def of(self, release: HelmRelease) -> TargetCluster:
        """The target that a release asks for, its records known. Costs nothing for one that asks for none.

        Raises: KubeConfigMissing, KubeConfigRefused, ServiceAccountMissing; ApiErrors and ClusterUnavailable when the
        records there cannot be watched.
        """
        try:
            kubeconfig = await self._kubeconfig(release)
        except KubeConfigMissing:
            # What it leads to may still be left by the way that was taken there.
            if release.metadata.deletion_timestamp and (target := self.at(release.key)) is not self.own:
                return target
            raise
        account = self.rules.service_account(release)
        if not kubeconfig and not account:
            if release.key in self._used:
                await self.leave(release.key)
            if self.own.cluster.namespace:
                await _follow(self.own, release)
            return self.own
        digest = hashlib.sha256(kubeconfig.encode()).hexdigest() if kubeconfig else ""
        where = _Where(digest, release.metadata.namespace if account else "", account)
        target = await self._at(where, release.key, kubeconfig)
        await _follow(target, release)
        return target

    async def confirm(self, release: HelmRelease) -> None:
        """Make sure that the ServiceAccount of a release in this cluster still exists; one request.

        Raises: ServiceAccountMissing.
        """
        account = self.rules.service_account(release)
        if account and release.spec.kube_config is None:
            await self._check_account(release.metadata.namespace, account)

    async def leave(self, key: ObjectKey) -> None:
        """The release is gone, or lives elsewhere from now on."""
        await self.at(key).drift.forget(key)
        where = self._used.pop(key, None)
        if where is None:
            return
        place = self._places[where]
        place.users.discard(key)
        if not place.users:
            del self._places[where]
            await self._close(where, place)

    async def __aenter__(self) -> TargetClusters:
        self._listen(self.own)
        await self.own.follow(self.own.cluster.namespace)
        return self

    async def __aexit__(self, *_: object) -> None:
        for key in list(self._used):
            await self.leave(key)
        await self.own.close()

    async def _kubeconfig(self, release: HelmRelease) -> str:
        if release.spec.kube_config is None:
            return ""
        if release.kubeconfig_secret is None:
            raise KubeConfigRefused("kubeConfig: no cluster but that of a Secret is known, see secretRef")
        return await self._references.kubeconfig(release)

    async def _at(self, where: _Where, key: ObjectKey, kubeconfig: str) -> TargetCluster:
        if self._used.get(key) != where:
            await self.leave(key)
            self._used[key] = where
            self._places.setdefault(where, _Place()).users.add(key)
        place = self._places[where]
        async with place.making:
            if place.target is None:
                place.target = await self._make(where, kubeconfig)
        return place.target

    async def _make(self, where: _Where, kubeconfig: str) -> TargetCluster:
        cluster = await self._cluster(where.kubeconfig, kubeconfig) if kubeconfig else self.own.cluster
        if where.service_account:
            if not kubeconfig:
                await self._check_account(where.namespace, where.service_account)
            cluster = cluster.impersonating(where.namespace, where.service_account)
        target = self._build(cluster, remote=bool(kubeconfig))
        self._listen(target)
        return target

    def _listen(self, target: TargetCluster) -> None:
        for listener in self._listeners:
            target.records.on_foreign_change(functools.partial(listener, target))

    async def _check_account(self, namespace: str, name: str) -> None:
        """The API server lets anybody be impersonated; nobody's rights are told from a missing account's by it."""
        try:
            found = await self.own.cluster.find(ObjectKey("", "ServiceAccount", namespace, name))
        except Forbidden:
            return  # we may not look, which is no reason not to try
        if found is None:
            raise ServiceAccountMissing(
                f"ServiceAccount {namespace}/{name} does not exist",
                hint="create it, with a RoleBinding that gives it what the release needs",
            )

    async def _cluster(self, digest: str, kubeconfig: str) -> Cluster:
        """The remote cluster, as the user of the kubeconfig; shared by those who impersonate others there."""
        known = self._remote.get(digest)
        if known is None:
            fresh = await self.own.cluster.remote(kubeconfig, self.rules.kubeconfig)
            known = self._remote.setdefault(digest, fresh)
            if known is not fresh:  # somebody else was quicker
                await fresh.close()
        return known

    async def _close(self, where: _Where, place: _Place) -> None:
        if place.target is not None:
            await place.target.close()
            if where.service_account:
                await place.target.cluster.close()
        if where.kubeconfig and not any(other.kubeconfig == where.kubeconfig for other in self._places):
            cluster = self._remote.pop(where.kubeconfig, None)
            if cluster is not None:
                await cluster.close()


async def _follow(target: TargetCluster, release: HelmRelease) -> None:
    """Have the records of a release known, where they are to be and where they may have been until now."""
    for namespace in {release.storage_namespace, release.status.storage_namespace or release.storage_namespace}:
        await target.follow(namespace)
