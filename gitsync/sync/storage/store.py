"""The interface of the store that keeps a sync's state."""

from __future__ import annotations

from typing import Protocol

from gitsync.api.identity import ObjectKey
from gitsync.manifests import Desired
from gitsync.sync.storage.history import JournalEntry
from gitsync.sync.storage.inventory import Inventory


class InventoryStore(Protocol):
    """Keeps the inventory of a sync, and the journal of its commits."""

    @property
    def inventory_key(self) -> ObjectKey:
        """The object that holds the inventory. A commit that deletes much is confirmed by an annotation on it."""
        ...

    def kustomization_of(self, desired: Desired) -> ObjectKey | None:
        """The Kustomization that this sync is, or that stands for it, once ``desired`` is applied; None without one."""
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
