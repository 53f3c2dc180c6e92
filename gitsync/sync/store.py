"""A sync's own state in the cluster: one ConfigMap for its inventory, one for its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, SYNC_LABEL
from gitsync.sync import history as journals
from gitsync.sync import inventory as inventories
from gitsync.sync.history import JournalEntry
from gitsync.sync.inventory import Inventory

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: On the inventory's ConfigMap, valued with a commit's id (or its beginning): what that commit deletes may be deleted.
ALLOW_MASS_PRUNE = "gitsync.dev/allow-mass-prune"


class SyncStore:
    """Reads and writes the state of the sync ``name``, kept in ``namespace``."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._written: dict[str, dict[str, Any]] = {}
        self._confirmed = ""
        self._journal: tuple[JournalEntry, ...] | None = None
        self._has_namespace = False

    @property
    def inventory_key(self) -> ObjectKey:
        """The ConfigMap of the inventory."""
        return ObjectKey("", "ConfigMap", self._namespace, f"{self._name}-inventory")

    @property
    def journal_key(self) -> ObjectKey:
        """The ConfigMap of the journal."""
        return ObjectKey("", "ConfigMap", self._namespace, f"{self._name}-journal")

    async def inventory(self) -> Inventory:
        """The inventory, empty when there is none. Raises: InventoryError."""
        found = await self._cluster.find(self.inventory_key)
        if found is None:
            return Inventory()
        self._written[self.inventory_key.name] = _content(found)
        self._confirmed = (found["metadata"].get("annotations") or {}).get(ALLOW_MASS_PRUNE, "")
        return inventories.decode(found)

    async def confirmed(self, commit: str) -> bool:
        """Whether somebody has confirmed that this commit may delete as much as it does. Reads it anew."""
        await self.inventory()
        return len(self._confirmed) >= 7 and commit.startswith(self._confirmed)

    async def save_inventory(self, inventory: Inventory) -> None:
        """Write the inventory, unless it is as it was. Raises: InventoryError when it does not fit."""
        await self._save(self.inventory_key, inventories.encode(inventory))

    async def journal(self) -> tuple[JournalEntry, ...]:
        """What past commits did, newest first; read once, since nobody else writes it. Raises: InventoryError."""
        if self._journal is None:
            found = await self._cluster.find(self.journal_key)
            self._journal = journals.decode(found) if found is not None else ()
            self._written[self.journal_key.name] = _content(found or {})
        return self._journal

    async def save_journal(self, entries: tuple[JournalEntry, ...]) -> None:
        """Write the journal, unless it is as it was."""
        await self._save(self.journal_key, journals.encode(entries))
        self._journal = entries

    async def _ensure_namespace(self) -> None:
        key = ObjectKey("", "Namespace", "", self._namespace)
        if await self._cluster.find(key) is None:
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
            await self._cluster.apply(manifest, manager=FIELD_MANAGER)
        self._has_namespace = True

    async def _save(self, key: ObjectKey, content: dict[str, Any]) -> None:
        if self._written.get(key.name) == content:
            return
        if not self._has_namespace:
            await self._ensure_namespace()
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": {SYNC_LABEL: self._name}},
            **content,
        }
        await self._cluster.apply(manifest, manager=FIELD_MANAGER)
        self._written[key.name] = content


def _content(config_map: Manifest) -> dict[str, Any]:
    """What a write of the same again would hold."""
    return {name: config_map[name] for name in ("data", "binaryData") if name in config_map}
