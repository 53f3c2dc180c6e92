"""A sync's own state in the cluster, in ConfigMaps: one for its inventory (several for a large one), one for its
journal, one for the journals of Kustomizations, one for what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, SYNC_LABEL, SYNC_NAMESPACE_LABEL, sync_name
from gitsync.errors import ApiError, GitsyncError, InventoryError
from gitsync.manifests import Desired
from gitsync.sync.storage import history as journals
from gitsync.sync.storage import inventory as inventories
from gitsync.sync.storage.history import JournalEntry
from gitsync.sync.storage.inventory import Inventory

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: On the inventory's ConfigMap, valued with a commit's id (or its beginning): what that commit deletes may be deleted.
ALLOW_MASS_PRUNE = "gitsync.dev/allow-mass-prune"
#: On a ConfigMap with a part of an inventory, valued with the sync's name.
INVENTORY_PART_LABEL = "gitsync.dev/inventory-part"
_INVENTORY = "-inventory"
_NOTHING: Mapping[str, str] = MappingProxyType({})


def inventory_key(namespace: str, name: str) -> ObjectKey:
    """The ConfigMap of the inventory of an agent's own sync."""
    return ObjectKey("", "ConfigMap", namespace, f"{name}{_INVENTORY}")


def under_way_key(namespace: str, name: str) -> ObjectKey:
    """The ConfigMap of what is under way in all syncs of an agent; it is named after the agent's own sync."""
    return ObjectKey("", "ConfigMap", namespace, f"{name}-under-way")


class SyncStore:
    """Reads and writes the state of the sync ``name``, kept in ``namespace``.

    Packing and unpacking is done in threads: for a full journal it takes 50 ms, or more.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._written: dict[str, dict[str, Any]] = {}
        #: The numbers of the ConfigMaps with the inventory's parts, by digest, as the head has them.
        self._parts: dict[str, int] = {}
        self._knows_head = False
        self._is_swept = False
        self._journal: tuple[JournalEntry, ...] | None = None
        self._has_namespace = False

    @property
    def inventory_key(self) -> ObjectKey:
        """The ConfigMap of the inventory."""
        return inventory_key(self._namespace, self._name)

    @property
    def journal_key(self) -> ObjectKey:
        """The ConfigMap of the journal."""
        return ObjectKey("", "ConfigMap", self._namespace, f"{self._name}-journal")

    @property
    def kustomizations_key(self) -> ObjectKey:
        """The ConfigMap of the journals of Kustomizations."""
        return ObjectKey("", "ConfigMap", self._namespace, f"{self._name}-kustomizations")

    def kustomization_of(self, desired: Desired) -> ObjectKey | None:
        """See InventoryStore: there is none."""
        return None

    async def inventory(self) -> Inventory:
        """The inventory, empty when there is none. Raises: InventoryError."""
        version = ""
        while (head := await self._read_head()) is not None:
            try:
                return await asyncio.to_thread(inventories.decode, head, await self._read_parts())
            except InventoryError:
                # The agent may be writing it: after another head, it uses a part's ConfigMap again. So read once more.
                if head["metadata"]["resourceVersion"] == version:
                    raise
                version = head["metadata"]["resourceVersion"]
        return Inventory()

    async def confirmed(self, commit: str) -> bool:
        """See InventoryStore. Reads the ConfigMap anew each time."""
        found = await self._cluster.find(self.inventory_key)
        said = ((found or {}).get("metadata") or {}).get("annotations") or {}
        confirmed = said.get(ALLOW_MASS_PRUNE, "")
        return len(confirmed) >= 7 and commit.startswith(confirmed)

    async def save_inventory(self, inventory: Inventory) -> None:
        """Write the inventory, unless it is as it was. Raises: InventoryError when it is too large.

        Whenever this is cut short, the head names parts that are there, of this inventory or of the one before.
        """
        encoded = await asyncio.to_thread(inventories.encode, inventory)
        if not self._knows_head:
            await self._read_head()
        numbers = inventories.assigned(encoded.parts, self._parts)
        for part in encoded.parts:
            if part.digest not in self._parts:
                await self._save(self._part_key(numbers[part.digest]), part.content, {INVENTORY_PART_LABEL: self._name})
        self._knows_head = False  # should this fail, nobody can tell which head is there
        await self._save(self.inventory_key, encoded.head(numbers))
        self._knows_head = True
        if self._parts != numbers:
            self._parts, self._is_swept = numbers, False
        if not self._is_swept:
            await self._sweep()

    async def check_size(self, inventory: Inventory) -> None:
        """Whether an inventory can be saved, so that what cannot be recorded is not begun. Raises: InventoryError."""
        if len(inventory) > inventories.SURE_TO_FIT:
            await asyncio.to_thread(inventories.encode, inventory)

    async def _read_head(self) -> Manifest | None:
        found = await self._cluster.find(self.inventory_key)
        if found is not None:
            self._written[self.inventory_key.name] = _content(found)
            self._parts = await asyncio.to_thread(inventories.parts_of, found)
        self._knows_head = True
        return found

    async def _read_parts(self) -> dict[int, Manifest]:
        numbers = list(self._parts.values())
        found = await asyncio.gather(*(self._cluster.find(self._part_key(number)) for number in numbers))
        return {number: part for number, part in zip(numbers, found, strict=True) if part is not None}

    def _part_key(self, number: int) -> ObjectKey:
        return ObjectKey("", "ConfigMap", self._namespace, f"{self.inventory_key.name}-{number}")

    async def _sweep(self) -> None:
        """Delete the parts that the head does not name: of the inventory before, or of a write that was cut short."""
        in_use = {self._part_key(number) for number in self._parts.values()}
        labels = f"{INVENTORY_PART_LABEL}={self._name}"
        try:
            for part in await self._cluster.list("", "ConfigMap", namespace=self._namespace, labels=labels):
                key = ObjectKey.of(part)
                if key not in in_use:
                    self._written.pop(key.name, None)
                    await self._cluster.delete(key, uid=part["metadata"]["uid"])
            self._is_swept = True
        except GitsyncError as error:
            # An older installation may lack the right to. They do no harm, and will be used again.
            self._is_swept = isinstance(error, ApiError)
            log.debug("parts of an inventory that are not needed any more stay", error=error.message)

    async def journal(self) -> tuple[JournalEntry, ...]:
        """What past commits did, newest first; read once, since nobody else writes it. Raises: InventoryError."""
        if self._journal is None:
            found = await self._cluster.find(self.journal_key)
            self._journal = await asyncio.to_thread(journals.decode, found) if found is not None else ()
            self._written[self.journal_key.name] = _content(found or {})
        return self._journal

    async def save_journal(self, entries: tuple[JournalEntry, ...]) -> None:
        """Write the journal, unless it is as it was."""
        await self._save(self.journal_key, await asyncio.to_thread(journals.encode, entries))
        self._journal = entries

    async def kustomization_journals(self) -> dict[str, tuple[JournalEntry, ...]]:
        """What past commits did through Kustomizations, by ``namespace/name`` of these. Raises: InventoryError."""
        found = await self._cluster.find(self.kustomizations_key)
        self._written[self.kustomizations_key.name] = _content(found or {})
        return await asyncio.to_thread(journals.decode_all, found) if found is not None else {}

    async def save_kustomization_journals(self, found: Mapping[str, tuple[JournalEntry, ...]]) -> None:
        """Write them, unless they are as they were."""
        await self._save(self.kustomizations_key, await asyncio.to_thread(journals.encode_all, found))

    async def save_under_way(self, found: Mapping[str, tuple[JournalEntry, ...]]) -> None:
        """Write what is under way in syncs, by ``namespace/name``, "" for the one of the settings; unless it is as it
        was."""
        packed = await asyncio.to_thread(journals.encode_all, found)
        await self._save(under_way_key(self._namespace, self._name), packed)

    async def forget_under_way(self) -> None:
        """Clear what an agent before this one may have left as under way; mostly it has done so itself."""
        live = await self._cluster.find(under_way_key(self._namespace, self._name))
        nothing = await asyncio.to_thread(journals.encode_all, {})
        if live is not None and any(live.get(name) != value for name, value in nothing.items()):
            await self.save_under_way({})

    async def _ensure_namespace(self) -> None:
        key = ObjectKey("", "Namespace", "", self._namespace)
        if await self._cluster.find(key) is None:
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
            await self._cluster.apply(manifest, manager=FIELD_MANAGER)
        self._has_namespace = True

    async def _save(self, key: ObjectKey, content: dict[str, Any], more: Mapping[str, str] = _NOTHING) -> None:
        if self._written.get(key.name) == content:
            return
        if not self._has_namespace:
            await self._ensure_namespace()
        labels = {SYNC_LABEL: self._name, SYNC_NAMESPACE_LABEL: self._namespace, **more}
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
            **content,
        }
        self._written.pop(key.name, None)
        await self._cluster.apply(manifest, manager=FIELD_MANAGER)
        self._written[key.name] = content


def inventories_in(config_maps: Iterable[Manifest]) -> Iterator[tuple[str, Inventory]]:
    """The inventories among ConfigMaps that were listed at one moment, each with ``namespace/name`` of its sync. Those
    that cannot be read are left out. Takes time: call it in a thread."""
    by_name = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in config_maps}
    for (namespace, name), item in by_name.items():
        if not (sync := _sync_of_inventory(item)):
            continue
        with suppress(InventoryError):
            numbers = inventories.parts_of(item).values()
            parts = {number: by_name.get((namespace, f"{name}-{number}")) for number in numbers}
            yield sync, inventories.decode(item, {number: part for number, part in parts.items() if part is not None})


def _sync_of_inventory(config_map: Manifest) -> str:
    """``namespace/name`` of the sync whose inventory a ConfigMap is; "" of another ConfigMap."""
    metadata = config_map["metadata"]
    sync = str((metadata.get("labels") or {}).get(SYNC_LABEL, ""))
    return sync_name(metadata["namespace"], sync) if sync and metadata["name"] == f"{sync}{_INVENTORY}" else ""


def _content(config_map: Manifest) -> dict[str, Any]:
    """The content of a ConfigMap, for comparing it with what is to be written."""
    return {name: config_map[name] for name in ("data", "binaryData") if name in config_map}
