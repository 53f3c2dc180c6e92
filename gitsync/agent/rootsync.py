"""The sync that the settings describe, as a part of the agent: its repository is also a source of charts, and it stands
for the Kustomization that describes it in the repository, if there is one."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gitsync.agent.parts import (
    claim_inventory,
    default_keys,
    root_of,
    root_store,
    root_sync,
    stands_for,
    synced_repository,
)
from gitsync.agent.trust import demands
from gitsync.runtime.recorder import EventRecorder
from gitsync.sources.controller import Sources
from gitsync.sync.build import CommitSource
from gitsync.sync.factory import SyncerFactory
from gitsync.sync.kustomization.controller import Kustomizations
from gitsync.sync.kustomization.inputs.rootkeys import RootKeys
from gitsync.sync.outcome import Hopeless
from gitsync.sync.reconciler import SyncReconciler
from gitsync.sync.rootevents import RootEvents
from gitsync.sync.standing import Standing

if TYPE_CHECKING:
    from gitsync.settings import Settings
    from gitsync.sources.resolve.artifacts import Artifacts


class RootSync:
    """The sync of the settings. Its repository, with ``commits``, is one of ``artifacts`` from now on. ``hopeless`` is
    given in a sandbox, and says for which releases the sync need not wait; there no signature is asked for.

    Raises: GitRefused, SettingsError.
    """

    def __init__(
        self, settings: Settings, commits: CommitSource, artifacts: Artifacts, hopeless: Hopeless | None
    ) -> None:
        self.commits = commits
        self._settings = settings
        self._artifacts = artifacts
        self._hopeless = hopeless
        self._spec = root_sync(settings)
        self.owner = self._spec.owner
        trusted = hopeless is not None
        self.repository = synced_repository(self._spec, commits.mirror.source, artifacts, is_trusted=trusted)

    async def begin(self, factory: SyncerFactory, sources: Sources, stack: AsyncExitStack) -> None:
        """Have what it wants known, and be ready to sync. Raises: ClusterUnavailable, ApiError."""
        settings, cluster, commits = self._settings, factory.cluster, self.commits
        await claim_inventory(self.owner, cluster, factory.wanted.claims)
        commits.demands = demands(settings, sources.demanded)
        self._store = root_store(self._spec, cluster, self._artifacts, self.repository)
        syncer = factory.make(self._spec, self._store, self.repository, self._hopeless)
        self.reconciler = SyncReconciler(commits, syncer, self.repository, settings.interval)
        self.root = root_of(self._spec, self._artifacts, self.repository, self.reconciler)
        is_own = stands_for(self._spec, self._artifacts, self.repository)
        keys = RootKeys(cluster, is_own, default_keys(settings), self.reconciler.compare_all)
        commits.keys_of, commits.spec_of = keys, keys.spec_of
        stack.push_async_callback(keys.close)

    def attend(self, kustomizations: Kustomizations, events: EventRecorder) -> None:
        """Have it stand for its Kustomization, and write that one's status and Events."""
        self._store.all = kustomizations.present.all
        told = RootEvents(events, self.owner, kustomizations.stands_for_root)

        def done() -> None:
            kustomizations.root_done()
            told.tell(self.reconciler.standing)

        def begun(standing: Standing) -> None:
            kustomizations.root_began(standing)
            told.begin(standing)

        self.reconciler.on_done, self.reconciler.on_begin = done, begun
        self.reconciler.on_applied = kustomizations.root_done
