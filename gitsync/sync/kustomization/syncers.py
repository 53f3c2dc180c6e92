"""The sync of each Kustomization: made once, and kept as its present spec asks.

It reads, writes and prunes as the ServiceAccount that the Kustomization names, if it names one. The Kustomization's
status, its finalizer and the Secrets with variables are handled with the agent's own rights.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.live import LiveReader
from gitsync.apply.readiness import KSTATUS, Readiness
from gitsync.cluster.targets import Targets
from gitsync.manifests import Desired
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.sources.resolve.artifacts import Head, SyncedRepository
from gitsync.sync.apply import Syncer
from gitsync.sync.factory import SyncerFactory
from gitsync.sync.kustomization.inputs.building import DEFAULT_NAMESPACE
from gitsync.sync.kustomization.storage.journal import KustomizationJournal
from gitsync.sync.kustomization.storage.statusstore import StatusStore
from gitsync.sync.kustomization.waiting.dependencies import Find
from gitsync.sync.owner import Owner
from gitsync.sync.spec import SyncSpec

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Remote


@dataclass
class Syncers:
    """The syncs of Kustomizations, made by ``factory``. ``find`` gives a Kustomization as it is known; ``journal``
    keeps what the syncs do, if there is one. ``close`` it, which ends connections and watches as other users."""

    factory: SyncerFactory
    find: Find
    journal: KustomizationJournal | None = None
    #: Each with its key: the uid and the cluster that it was made for. A new Kustomization of the same name, or the
    #: same for another cluster, gets a new sync.
    _made: dict[ObjectKey, tuple[object, Syncer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._targets = Targets(self.factory.cluster, self.factory.rules.kubeconfig, _nothing_follows)

    def __contains__(self, kustomization: Kustomization) -> bool:
        return self._find(kustomization) is not None

    def _find(self, kustomization: Kustomization) -> Syncer | None:
        made_for, found = self._made.get(kustomization.key, ("", None))
        return found if made_for == _made_for(kustomization) else None

    async def of(
        self,
        kustomization: Kustomization,
        url: str,
        desired: Desired,
        remote: Remote | None = None,
        readiness: Readiness = KSTATUS,
    ) -> Syncer:
        """The sync of a Kustomization whose source is at ``url``; ``desired`` is what it is about to sync, ``remote``
        the cluster that it names, ``readiness`` says when its objects are ready.

        Raises: see ``cluster_of``.
        """
        key = kustomization.key
        cluster = await self.cluster_of(kustomization, remote)
        spec = replace(spec_of(kustomization, url), readiness=readiness)
        found = self._find(kustomization)
        if found is None:
            owner = spec.owner
            repository = SyncedRepository(owner.full_name, Head(url), lambda _: None)
            store = StatusStore(self.factory.cluster, key, self.find, self.journal)
            store.trust(desired)
            found = self.factory.make(spec, store, repository)
            self._made[key] = _made_for(kustomization), found
        if found.cluster is not cluster:
            # Not from the agent's own watches, which may show more than this account may see.
            found.planner.live = LiveReader(cluster, {}) if cluster is not self.factory.cluster else self.factory.live
        found.planner.cluster, found.planner.spec = cluster, spec
        return found

    async def cluster_of(self, kustomization: Kustomization, remote: Remote | None) -> Cluster:
        """The target cluster of a Kustomization, as the account that it names.

        Raises: ServiceAccountMissing, ClusterUnavailable, Forbidden, KubeConfigRefused.
        """
        key, account = kustomization.key, self.factory.rules.service_account(kustomization)
        target = await self._targets.acquire(key, remote, account)
        if account and not target.remote:
            await self._targets.check_account(key.namespace, account)
        return target.cluster

    async def forget(self, key: ObjectKey) -> None:
        """The Kustomization is gone: it no longer wants anything."""
        await self._targets.release(key)
        self._made.pop(key, None)
        wanted = self.factory.wanted
        wanted.claims.forget(Owner(key.name, key.namespace, "").claimant)
        wanted.index.ancestry.set_remover(key, None)

    async def close(self) -> None:
        """Close the target clusters."""
        await self._targets.close()


async def _nothing_follows(_: ObjectKey) -> None:
    """``on_release`` of the targets: a sync keeps nothing of a Kustomization in its target that would have to end."""


def _made_for(kustomization: Kustomization) -> tuple[str, str]:
    return kustomization.metadata.uid, cluster_of(kustomization)


def spec_of(kustomization: Kustomization, url: str) -> SyncSpec:
    """What the sync of a Kustomization is told to do. Pure."""
    key, spec = kustomization.key, kustomization.spec
    return SyncSpec(
        Owner(key.name, key.namespace, url, kustomization.path, key),
        prune=spec.prune,
        allow_mass_prune=True,
        default_namespace=DEFAULT_NAMESPACE,
        settle_timeout=kustomization.timeout,
        waits=spec.wait,
        force=spec.force,
        cluster=cluster_of(kustomization),
        ignore=spec.ignore,
    )
