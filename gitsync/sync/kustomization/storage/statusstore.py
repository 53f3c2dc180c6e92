"""The inventory of a Kustomization, kept in its status as Flux does: either can take over from the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.inventory import inventory_id, inventory_keys, parse_inventory_id
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.names import (
    FIELD_MANAGER,
    KUSTOMIZE_NAME_LABEL,
    KUSTOMIZE_NAMESPACE_LABEL,
    SYNC_LABEL,
    SYNC_NAMESPACE_LABEL,
)
from gitsync.api.status import KustomizationStatus, ResourceRef
from gitsync.apply.claimant import Claimant
from gitsync.errors import InventoryError, NotFound
from gitsync.manifests import Desired
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.comingsync import cluster_named
from gitsync.sync.kustomization.storage.journal import KustomizationJournal
from gitsync.sync.storage.history import JournalEntry
from gitsync.sync.storage.inventory import UNKNOWN, Entry, Inventory

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Entries that fit into an object of the API server, with names of the longest.
MAX_ENTRIES = 4000


class StatusStore:
    """Reads and writes ``status.inventory`` of one Kustomization. ``find`` gives an object as it is known in the
    cluster.

    Flux's inventory has objects and their versions, and no more. What gitsync knows beyond that is lost when the agent
    ends: the first sync after a start compares everything anyway. ``journal`` is that of all Kustomizations.
    """

    def __init__(
        self,
        cluster: Cluster,
        key: ObjectKey,
        find: Callable[[ObjectKey], Manifest | None],
        journal: KustomizationJournal | None,
    ) -> None:
        self.inventory_key = key
        self._cluster = cluster
        self._find = find
        #: A digest of the entries that were last written.
        self._written = ""
        #: The digest of each object's content that was last applied, where it is known.
        self._applied: Mapping[ObjectKey, str] | None = None
        self._journal = journal

    def kustomization_of(self, desired: Desired) -> ObjectKey:
        """See InventoryStore: this Kustomization."""
        return self.inventory_key

    async def inventory(self) -> Inventory:
        """What the status says; nothing when there is none."""
        inventory = inventory_of(self._find(self.inventory_key))
        if self._applied is None:
            return inventory
        wanted = self._applied
        known = [replace(entry, digest=wanted[entry.key]) for entry in inventory if entry.key in wanted]
        return inventory.with_entries(known)

    def trust(self, desired: Desired) -> None:
        """After a restart, take ``desired`` for what was last applied, if the status says so: then nothing of it has to
        be applied again, as long as the cluster has it."""
        if _status(self._find(self.inventory_key)).last_applied_digest == desired.digest:
            self._applied = {key: item.digest for key, item in desired.objects.items()}

    async def confirmed(self, commit: str) -> bool:
        """See InventoryStore: always, since a Kustomization says itself whether it prunes."""
        return True

    async def check_size(self, inventory: Inventory) -> None:
        """Whether an inventory can be saved. Raises: InventoryError."""
        if len(inventory) > MAX_ENTRIES:
            raise InventoryError(
                f"{len(inventory)} objects are more than the {MAX_ENTRIES} that a Kustomization may have",
                hint="split the directory into several Kustomizations",
            )

    async def save_inventory(self, inventory: Inventory) -> None:
        """Write the inventory, unless it is as it was."""
        entries = sorted(map(_reference, inventory))
        digest = _digest(entries)
        if digest == (self._written or self._digest_in_status()):
            self._written = digest
            return
        body = {"status": {"inventory": {"entries": [{"id": name, "v": version} for name, version in entries]}}}
        try:
            await self._cluster.patch(self.inventory_key, body, manager=FIELD_MANAGER, subresource="status")
        except NotFound:
            return  # deleted, and let go by somebody
        self._written = digest

    def _digest_in_status(self) -> str:
        return _digest((item.id, item.v) for item in _entries(self._find(self.inventory_key)))

    async def journal(self) -> tuple[JournalEntry, ...]:
        """See InventoryStore; empty where no journal is kept."""
        return await self._journal.of(self.inventory_key) if self._journal is not None else ()

    async def save_journal(self, entries: tuple[JournalEntry, ...]) -> None:
        """See InventoryStore: it is written together with those of other Kustomizations."""
        if self._journal is not None:
            await self._journal.record(self.inventory_key, entries)


def inventory_of(manifest: Manifest | None) -> Inventory:
    """The inventory in the status of a Kustomization."""
    revision = _status(manifest).last_applied_revision
    commit = revision.rpartition("sha1:")[2] if "sha1:" in revision else ""
    return Inventory(commit, {entry.key: entry for entry in _parsed(manifest)})


def claim_present(claims: ObjectClaims, manifest: Manifest) -> None:
    """Enter what a Kustomization has by its status as what it wants."""
    key = ObjectKey.of(manifest)
    wanted = inventory_of(manifest).wanted
    claims.set(Claimant("sync", key.namespaced_name), "commit", wanted, cluster=_cluster_of(manifest))


def brought_by(manifest: Manifest | None) -> list[ObjectKey]:
    """The HelmReleases and Kustomizations of the agent's own cluster that a Kustomization has applied."""
    if manifest is None or _cluster_of(manifest):
        return []
    return [key for key in inventory_keys(manifest) if is_release(key) or is_kustomization(key)]


def _cluster_of(manifest: Manifest) -> str:
    """``SyncSpec.cluster`` of a Kustomization that may not be readable."""
    return cluster_named(manifest["metadata"].get("namespace", ""), manifest.get("spec", {}).get("kubeConfig"))


def sync_behind(manifest: Manifest) -> ObjectKey | None:
    """The sync of the settings that a Kustomization stands for, by the labels that this sync has put on it; None for a
    Kustomization that is a sync of its own. Pure."""
    metadata = manifest["metadata"]
    labels, own = metadata.get("labels") or {}, (metadata["namespace"], metadata["name"])
    # One that stands for a sync was applied by that sync, and so, by Flux's labels, by itself; others by one above
    # them.
    if (labels.get(KUSTOMIZE_NAMESPACE_LABEL), labels.get(KUSTOMIZE_NAME_LABEL)) != own:
        return None
    namespace, name = labels.get(SYNC_NAMESPACE_LABEL, ""), labels.get(SYNC_LABEL, "")
    return ObjectKey("", "sync", namespace, name) if namespace and name and (namespace, name) != own else None


def _parsed(manifest: Manifest | None) -> Iterator[Entry]:
    for item in _entries(manifest):
        if (key := parse_inventory_id(item.id)) is not None:
            version = f"{key.group}/{item.v}" if key.group else item.v
            yield Entry(key, version, digest=UNKNOWN, commit="", origin="")


def _entries(manifest: Manifest | None) -> tuple[ResourceRef, ...]:
    inventory = _status(manifest).inventory
    return inventory.entries if inventory is not None else ()


def _status(manifest: Manifest | None) -> KustomizationStatus:
    return KustomizationStatus.read((manifest or {}).get("status"))


def _digest(entries: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("".join(f"{name} {version}\n" for name, version in entries).encode()).hexdigest()


def _reference(entry: Entry) -> tuple[str, str]:
    """The fields of a ResourceRef."""
    return inventory_id(entry.key), entry.api_version.removeprefix(f"{group_of(entry.api_version)}/")
