"""Makes the syncs of a cluster, of what they share."""

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
    """What bounds the applies at once of all syncs of a cluster."""
    return FairSlots(CONCURRENT_APPLIES, "objects")


@dataclass(frozen=True)
class SyncerFactory:
    """``wanted`` knows the releases and what everybody wants, ``live`` reads as the agent; ``rules`` are those for
    syncs that live elsewhere, or are worked on as somebody else. ``under_way`` is told of syncs while they last."""

    cluster: Cluster
    wanted: WantedObjects
    live: LiveReader
    rules: AccessRules = PLAIN
    slots: FairSlots = field(default_factory=apply_slots)
    under_way: UnderWay = field(default_factory=UnderWay)

    def make(
        self, spec: SyncSpec, store: InventoryStore, repository: SyncedRepository, hopeless: Hopeless | None = None
    ) -> Syncer:
        """What applies commits of ``repository``; ``hopeless`` ends a wait for releases before its time."""
        claims = SyncClaims(self.wanted, spec.owner.claimant, spec.cluster)
        slots = apply_slots() if spec.cluster else self.slots
        planner = Planner(self.cluster, self.wanted.index, claims, spec, store, self.live)
        return Syncer(planner, repository, slots, hopeless, self.under_way)
