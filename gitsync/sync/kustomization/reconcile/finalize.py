"""The end of a Kustomization that is deleted: what it has applied is removed, and then it is let go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.inventory import inventory_keys
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import RECONCILIATION_FAILED
from gitsync.errors import (
    BlockedError,
    KubeConfigMissing,
    KubeConfigRefused,
    ServiceAccountMissing,
)
from gitsync.logs import Once
from gitsync.manifests import Desired
from gitsync.release.dependencies.states import commit_of
from gitsync.sync.apply import Syncer
from gitsync.sync.kustomization.inputs.inputs import Inputs
from gitsync.sync.kustomization.reconcile.conditions import StatusWriter
from gitsync.sync.kustomization.reconcile.finalizer import Finalizer, nothing, why_left
from gitsync.sync.kustomization.reconcile.patience import Patience
from gitsync.sync.standing import problem_of
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Remote
    from gitsync.release.wanted.wantedobjects import WantedObjects
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)


#: Gives the sync of a Kustomization: with the URL of its source, what it is to sync, and the cluster that it names.
SyncerOf = Callable[[Kustomization, str, Desired, "Remote | None"], Awaitable[Syncer]]


@dataclass
class Finalization:
    """Removes what a Kustomization that is being deleted has applied, then its finalizer. What it waits for is noted in
    ``waiting``; ``once`` keeps repeated log lines away."""

    finalizer: Finalizer
    wanted: WantedObjects
    inputs: Inputs
    syncer_of: SyncerOf
    status: StatusWriter
    patience: Patience
    once: Once
    waiting: dict[ObjectKey, frozenset[ObjectKey]]

    async def finalize(self, kustomization: Kustomization, interrupt: Interrupt, *, is_root: bool) -> float | None:
        """One pass. Returns seconds until the next one when that is due by itself. ``is_root``: it stands for the sync
        of the settings, whose objects stay.

        Raises: BlockedError while others that depend on it are being deleted as well.
        """
        key = kustomization.key
        await interrupt.guard(self.wanted.first_commit())  # the commit may bring this Kustomization again
        remover = self.wanted.index.ancestry.remover_of(key)
        wanted = nothing(remover or commit_of(kustomization.manifest) or CommitInfo(""))
        if dependents := self.wanted.index.dependents_being_deleted(key):
            self.waiting[key] = dependents
            raise BlockedError(f"it is removed after what depends on it: {listed(sorted(dependents))}")
        self.waiting.pop(key, None)
        removes = not why_left(kustomization) and not is_root
        syncer = await self._last_syncer(kustomization, wanted) if removes else None
        if syncer is not None and len(await syncer.planner.inventory()):
            by_hand = remover is None
            syncer.planner.spec = replace(
                syncer.spec, prune=True, waits=False, is_removed=by_hand, may_return=not by_hand
            )
            result = await syncer.sync(wanted, full=True, files=0, interrupt=interrupt)
            if result.result == "superseded":
                return None
            if len(await syncer.planner.inventory()):
                why = f"not all of its objects are gone yet: {listed(result.left, 3)}"
                reason, message = problem_of(result) or (RECONCILIATION_FAILED, why)
                said = {"kustomization": key.namespaced_name, "why": message}
                self.once(key, log, "kustomization cannot go yet", **said)
                await self.status.failed(kustomization, reason, message)
                until = self.patience.until_look if result.left else self.patience.until_retry
                return until(kustomization)
        await self.finalizer.remove(kustomization)
        return None

    async def _last_syncer(self, kustomization: Kustomization, wanted: Desired) -> Syncer | None:
        """Its sync; None when its ServiceAccount or kubeconfig is gone, mostly with its namespace: then its objects
        stay, as with Flux."""
        try:
            remote = await self.inputs.remote(kustomization)
            return await self.syncer_of(kustomization, "", wanted, remote)
        except (ServiceAccountMissing, KubeConfigMissing, KubeConfigRefused) as error:
            log.warning(
                "objects of a kustomization stay: nobody can remove them",
                kustomization=kustomization.key.namespaced_name,
                objects=len(inventory_keys(kustomization.manifest)),
                why=error.message,
            )
            return None
