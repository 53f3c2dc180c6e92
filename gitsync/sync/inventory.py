"""What a sync has put into the cluster: object by object, with the commit and the file that brought it. Pure.

Kept in a ConfigMap, packed, so that a restarted agent knows what to prune. It is written before anything is applied: an
object in the cluster that no inventory names would never be pruned.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitsync.api.identity import Manifest, ObjectKey, Origin
from gitsync.errors import InventoryError

#: Unpacked, in bytes; more is not read.
MAX_UNPACKED = 64 * 1024 * 1024
#: Packed, in bytes: what fits into a ConfigMap beside its metadata.
MAX_PACKED = 900_000
_KEY = "inventory"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. ``digest`` is that of the content last applied without error, "" when that has yet to happen."""

    key: ObjectKey
    api_version: str
    digest: str
    commit: str
    origin: str


@dataclass(frozen=True)
class Inventory:
    """All objects of a sync, and the commit that the cluster was last made to match ("" before the first)."""

    commit: str = ""
    entries: Mapping[ObjectKey, Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def get(self, key: ObjectKey) -> Entry | None:
        """The entry of an object."""
        return self.entries.get(key)

    def with_entries(self, entries: Iterable[Entry]) -> Inventory:
        """The same, with these added or replaced."""
        return replace(self, entries={**self.entries, **{entry.key: entry for entry in entries}})

    def without(self, keys: Iterable[ObjectKey]) -> Inventory:
        """The same, without these."""
        gone = set(keys)
        return replace(self, entries={key: entry for key, entry in self.entries.items() if key not in gone})


def encode(inventory: Inventory) -> dict[str, Any]:
    """``data`` and ``binaryData`` of the ConfigMap.

    Raises: InventoryError when it does not fit.
    """
    rows = [[*entry.key, entry.api_version, entry.digest, entry.commit, entry.origin] for entry in inventory]
    body = json.dumps({"version": 1, "commit": inventory.commit, "entries": sorted(rows)}, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(body.encode(), 6, mtime=0)).decode()
    if len(packed) > MAX_PACKED:
        raise InventoryError(
            f"the inventory of {len(rows)} objects is {len(packed)} bytes packed, more than a ConfigMap holds",
            hint="split the repository: one agent a path, each with a --name of its own",
        )
    return {"data": {"commit": inventory.commit, "objects": str(len(rows))}, "binaryData": {_KEY: packed}}


def decode(config_map: Manifest) -> Inventory:
    """The inventory in a ConfigMap; empty when it holds none yet.

    Raises: InventoryError when it is damaged.
    """
    packed = (config_map.get("binaryData") or {}).get(_KEY)
    if packed is None:
        return Inventory()
    try:
        unpacker = zlib.decompressobj(wbits=31)
        body = json.loads(unpacker.decompress(base64.b64decode(packed, validate=True), MAX_UNPACKED))
        entries = [
            Entry(ObjectKey(group, kind, namespace, name), *rest)
            for group, kind, namespace, name, *rest in body["entries"]
        ]
        return Inventory(body["commit"], {entry.key: entry for entry in entries})
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError) as error:
        name = config_map["metadata"]["name"]
        raise InventoryError(
            f"ConfigMap {name} does not hold a readable inventory ({type(error).__name__})",
            hint="delete it to start anew: what it named is adopted if it is still in Git, and left alone if not",
        ) from error


def entry_of(key: ObjectKey, manifest: Manifest, digest: str, commit: str, origin: Origin) -> Entry:
    """The entry of an object that a commit brings."""
    return Entry(key, manifest["apiVersion"], digest, commit, str(origin))
