"""Makes the syncs of a cluster, and has what they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.apply.live import LiveReader
from gitsync.release.access import PLAIN, AccessRules
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.runtime.fairslots import FairSlots
from gitsync.sources.resolve.artifacts import SyncedRepository
from gitsync.sync.apply import Syncer
from gitsync.sync.outcome import Hopeless
from gitsync.sync.planner import Planner
from gitsync.sync.reporting.underway import UnderWay
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.store import InventoryStore

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Objects that syncs apply to a cluster at once.
CONCURRENT_APPLIES = 16


def apply_slots() -> FairSlots:
    """The slots for concurrent applies that all syncs of a cluster share."""
    return FairSlots(CONCURRENT_APPLIES, "objects")


@dataclass(frozen=True)
class SyncerFactory:
    """Makes syncs. ``wanted`` knows the releases and what everybody wants; ``live`` reads objects with the agent's own
    rights; ``rules`` are for syncs into other clusters or as other users. ``under_way`` follows syncs while they
    last."""

    cluster: Cluster
    wanted: WantedObjects
    live: LiveReader
    rules: AccessRules = PLAIN
    slots: FairSlots = field(default_factory=apply_slots)
    under_way: UnderWay = field(default_factory=UnderWay)

    def make(
        self, spec: SyncSpec, store: InventoryStore, repository: SyncedRepository, hopeless: Hopeless | None = None
    ) -> Syncer:
        """The sync of ``repository`` as ``spec`` says; ``hopeless`` is as in ``Syncer``."""
        claims = SyncClaims(self.wanted, spec.owner.claimant, spec.cluster)
        slots = apply_slots() if spec.cluster else self.slots
        planner = Planner(self.cluster, self.wanted.index, claims, spec, store, self.live)
        return Syncer(planner, repository, slots, hopeless, self.under_way)
