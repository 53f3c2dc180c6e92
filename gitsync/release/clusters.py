"""Target clusters of releases: a cluster as some user, with Helm's records in it.

Most releases share ``own``: the cluster that the agent serves, with the agent's rights. What the agent does for itself
(status, finalizer, Events, reading what releases refer to) is never done through another one.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.cluster.targets import Target, Targets
from gitsync.errors import GitsyncError, KubeConfigMissing
from gitsync.release.access import AccessRules
from gitsync.release.storage.recordmemory import RecordMemory
from gitsync.release.storage.recordstore import RecordStore
from gitsync.release.values.references import References
from gitsync.runtime.fairslots import FairSlots

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, Remote


@dataclass(eq=False)
class RecordWatches:
    """Watches of records, by namespace. ``stack`` ends them."""

    stack: AsyncExitStack
    by_namespace: dict[str, Informer] = field(default_factory=dict)
    beginning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def follow(self, records: RecordStore, namespace: str) -> None:
        """Watch the records of a namespace, or ("") of all, from here on.

        Raises: Forbidden and other ApiErrors, ClusterUnavailable; also when a watch that is there has an error now,
        since it may show an old state.
        """
        async with self.beginning:
            if namespace not in self.by_namespace:
                self.by_namespace[namespace] = await self.stack.enter_async_context(records.watching(namespace))
        if (error := self.by_namespace[namespace].error) is not None:
            raise error


@dataclass(frozen=True, eq=False)
class TargetCluster:
    """One cluster as one user, and the records of the releases there. ``slots`` bounds how many releases are applied at
    once; their namespaces take turns."""

    cluster: Cluster
    records: RecordStore
    slots: FairSlots
    watches: RecordWatches


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """``holder`` is this agent's mark on records that it works on. ``concurrency`` is how many releases are applied at
    once in its own cluster, and in each remote one, so that a slow API server delays only its own releases.
    """

    holder: str
    concurrency: int


#: Is called with a target cluster, and namespace and name of a release, when somebody else has written its record
#: there.
Listener = Callable[[TargetCluster, str, str], None]


async def nothing_follows(_key: ObjectKey) -> None:
    """``on_release`` where nothing has to end when a release gives up its target cluster."""


class TargetClusters:
    """The target clusters of all releases. Releases with the same cluster and user share one, with its connection and
    watches. Enter it; leaving ends all watches and connections.

    ``on_release`` is awaited before a release gives up its target cluster; ``store`` makes the record store of each.
    """

    def __init__(
        self,
        cluster: Cluster,
        agent: AgentIdentity,
        references: References,
        rules: AccessRules,
        on_release: Callable[[ObjectKey], Awaitable[None]] = nothing_follows,
        store: Callable[[Cluster, str, RecordMemory], RecordStore] = RecordStore,
    ) -> None:
        self.rules = rules
        self._agent = agent
        self._references = references
        self._store = store
        self._memory = RecordMemory(cluster.input)
        self._slots = _slots(agent)
        self._listeners: list[Listener] = []
        self._targets = Targets(cluster, rules.kubeconfig, on_release)
        self._made: dict[Target, TargetCluster] = {}
        self.own = self._of(self._targets.own)

    def on_foreign_change(self, listener: Listener) -> None:
        """Have ``listener`` called when somebody else writes a record."""
        self._listeners.append(listener)

    def at(self, key: ObjectKey) -> TargetCluster:
        """The target cluster that a release was last worked on at."""
        return self._of(self._targets.at(key))

    async def of(self, release: HelmRelease) -> TargetCluster:
        """The target cluster that a release asks for, with its records watched. Free for one that asks for none.

        Raises: KubeConfigMissing, KubeConfigRefused, ServiceAccountMissing; ApiErrors and ClusterUnavailable when the
        records there cannot be watched, or no token is to be had for that cluster.
        """
        try:
            remote = await self._remote(release)
        except KubeConfigMissing:
            # A release whose namespace is being deleted is uninstalled by the connection that was made before.
            target = self.at(release.key)
            if target is self.own or not (release.metadata.deletion_timestamp and await self._goes_whole(release)):
                raise
            return target
        found = await self._targets.acquire(release.key, remote, self.rules.service_account(release))
        target = self._of(found)
        if found is not self._targets.own or target.cluster.namespace:
            await _follow(target, release)
        return target

    async def confirm(self, release: HelmRelease) -> None:
        """Make sure that the ServiceAccount of a release in this cluster still exists; one request.

        Raises: ServiceAccountMissing.
        """
        account = self.rules.service_account(release)
        if account and release.spec.kube_config is None:
            await self._targets.check_account(release.metadata.namespace, account)

    async def forget(self, key: ObjectKey) -> None:
        """The release is gone."""
        await self._targets.release(key)

    async def __aenter__(self) -> TargetClusters:
        await self.own.watches.follow(self.own.records, self.own.cluster.namespace)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._targets.close()

    async def _goes_whole(self, release: HelmRelease) -> bool:
        """Whether the release's whole namespace is being deleted. If only the kubeconfig was taken away, it must not be
        used any more."""
        with suppress(GitsyncError):
            namespace = await self.own.cluster.find(ObjectKey("", "Namespace", "", release.metadata.namespace))
            return namespace is not None and "deletionTimestamp" in namespace["metadata"]
        return False

    async def _remote(self, release: HelmRelease) -> Remote | None:
        return None if release.spec.kube_config is None else await self._references.remote(release)

    def _of(self, target: Target) -> TargetCluster:
        made = self._made.get(target)
        if made is None:
            records = self._store(target.cluster, self._agent.holder, self._memory)
            slots = _slots(self._agent) if target.remote else self._slots
            made = TargetCluster(target.cluster, records, slots, RecordWatches(target.closing))
            records.on_foreign_change(functools.partial(self._tell, made))
            self._made[target] = made
            if target is not self._targets.own:
                target.closing.callback(self._made.pop, target)
        return made

    def _tell(self, target: TargetCluster, namespace: str, release: str) -> None:
        for listener in self._listeners:
            listener(target, namespace, release)


async def _follow(target: TargetCluster, release: HelmRelease) -> None:
    """Watch the records of a release, in its storage namespace and in the one that it had until now."""
    for namespace in {release.storage_namespace, release.status.storage_namespace or release.storage_namespace}:
        await target.watches.follow(target.records, namespace)


def _slots(agent: AgentIdentity) -> FairSlots:
    return FairSlots(agent.concurrency, "releases")
