"""What a sync asks of the place that its state is kept in."""

from __future__ import annotations

from typing import Protocol

from gitsync.api.identity import ObjectKey
from gitsync.manifests import Desired
from gitsync.sync.storage.history import JournalEntry
from gitsync.sync.storage.inventory import Inventory


class InventoryStore(Protocol):
    """Where a sync keeps what it has put into the cluster, and what its commits did."""

    @property
    def inventory_key(self) -> ObjectKey:
        """The object that holds the inventory: what a commit that deletes much is confirmed on."""
        ...

    def kustomization_of(self, desired: Desired) -> ObjectKey | None:
        """The Kustomization that the sync of what is desired is, or that stands for it; None without one."""
        ...

    async def inventory(self) -> Inventory:
        """The inventory, empty when there is none. Raises: InventoryError."""
        ...

    async def confirmed(self, commit: str) -> bool:
        """Whether somebody has confirmed that this commit may delete as much as it does."""
        ...

    async def check_size(self, inventory: Inventory) -> None:
        """Whether an inventory can be saved, so that what cannot be recorded is not begun. Raises: InventoryError."""
        ...

    async def save_inventory(self, inventory: Inventory) -> None:
        """Write the inventory, unless it is as it was. Raises: InventoryError when it is too large."""
        ...

    async def journal(self) -> tuple[JournalEntry, ...]:
        """What past commits did, newest first. Raises: InventoryError."""
        ...

    async def save_journal(self, entries: tuple[JournalEntry, ...]) -> None:
        """Write the journal, unless it is as it was."""
        ...
