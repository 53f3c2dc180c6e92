"""The state of the sync of the settings. If a Kustomization stands for it, as ``flux-system`` does, the inventory is
also in that one's status, where Flux has it, so that either can take over from the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.live import LiveReader
from gitsync.errors import ApiError, InventoryError
from gitsync.logs import Once
from gitsync.manifests import Desired
from gitsync.release.flux import runs_flux
from gitsync.sync.kustomization.storage.statusstore import StatusStore, inventory_of
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.inventory import Inventory

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: Whether a Kustomization stands for the sync of the settings, once ``desired`` is carried out.
StandsFor = Callable[[Kustomization, Desired], bool]


class RootStore(SyncStore):
    """Keeps the state of the sync ``name`` in ConfigMaps of ``namespace``, and its inventory also in the status of the
    Kustomization that stands for it. What that names and the ConfigMaps do not, Flux has applied: it is taken over.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, stands_for: StandsFor) -> None:
        super().__init__(cluster, namespace, name)
        self._target = cluster
        self._stands_for = stands_for
        self._kustomization: ObjectKey | None = None
        self._once = Once()
        #: Gives the Kustomizations of the cluster, as far as they are known.
        self.all: Callable[[], Mapping[ObjectKey, Kustomization]] = dict

    def kustomization_of(self, desired: Desired) -> ObjectKey | None:
        """The Kustomization in the commit that stands for this sync; else such a one in the cluster."""
        brought = ((key, item.model) for key, item in desired.objects.items())
        found = self._among(((key, model) for key, model in brought if isinstance(model, Kustomization)), desired)
        there = ((key, item) for key, item in self.all().items() if key not in desired.objects)
        self._kustomization = found or self._among(there, desired)
        return self._kustomization

    def _among(self, found: Iterable[tuple[ObjectKey, Kustomization]], desired: Desired) -> ObjectKey | None:
        served = ((key, item) for key, item in found if self._target.serves(key))
        return min((key for key, item in served if self._stands_for(item, desired)), default=None)

    async def inventory(self) -> Inventory:
        """See InventoryStore; with what Flux has applied since it was written."""
        own = await super().inventory()
        flux = inventory_of(self._live())
        added = [entry for entry in flux if own.get(entry.key) is None]
        if not added:
            return own
        # Flux's own objects are not taken over, and so never pruned: without its definitions every release would go.
        found = await LiveReader(self._target, {}).read(entry.key for entry in added)
        taken = [entry for entry in added if not runs_flux(found[entry.key] or {})]
        return Inventory(own.commit or flux.commit).with_entries([*taken, *own])

    async def save_inventory(self, inventory: Inventory) -> None:
        """See InventoryStore. If the status cannot be written, that is only logged: gitsync goes by the ConfigMaps."""
        await super().save_inventory(inventory)
        if self._kustomization is None:
            return
        status = StatusStore(self._target, self._kustomization, lambda _: self._live(), None)
        try:
            await status.check_size(inventory)
            await status.save_inventory(inventory)
        except (InventoryError, ApiError) as error:
            self._once(
                self._kustomization,
                log,
                "inventory cannot be written to the kustomization's status, and Flux would delete nothing by it",
                level="warning",
                kustomization=self._kustomization.namespaced_name,
                error=error.message,
            )

    def _live(self) -> Manifest | None:
        found = self.all().get(self._kustomization) if self._kustomization is not None else None
        return found.manifest if found is not None else None
