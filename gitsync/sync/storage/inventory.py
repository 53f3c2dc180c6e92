"""What a sync has put into the cluster: object by object, with the commit and the file that brought it. Pure.

Kept in a ConfigMap, packed, so that a restarted agent knows what to prune. It is written before anything is applied: an
object in the cluster that no inventory names would never be pruned. One that does not fit into a ConfigMap is kept in
several: parts are written to ConfigMaps that are not in use, then the head, which names them, at one stroke.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType
from typing import Any
from zlib import crc32

from gitsync.api.identity import Manifest, ObjectKey, Origin
from gitsync.errors import InventoryError
from gitsync.sync.storage.packing import pack, pack_sized, unpack

#: Bytes that an inventory may have once it is unpacked; a larger one is not read.
MAX_UNPACKED = 64 * 1024 * 1024
MAX_PART_UNPACKED = 16 * 1024 * 1024
#: Bytes of packed content that fit into a ConfigMap beside its metadata.
MAX_PACKED = 900_000
#: ConfigMaps that an inventory may be kept in, beside the head: some 400,000 objects.
MAX_PARTS = 32
#: So many entries always fit, whatever is in them (at most 8 KiB each: names, a path, commits that have dropped it).
SURE_TO_FIT = 2_000
_KEY = "inventory"
#: The version of a head that names parts. Version 1 has all entries itself, as gitsync 0.1 wrote it.
_IN_PARTS = 2
_NO_PARTS: Mapping[int, Manifest] = MappingProxyType({})
_ANEW = "delete {} to start anew: what it named is adopted if it is still in Git, and left alone if not"
#: The digest of an entry when it is not known which content was last applied.
UNKNOWN = "unknown"
#: Commits that an entry remembers having been dropped by.
MAX_DROPPED = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. ``digest`` is that of the content last applied without error, "" when none was, UNKNOWN when that was
    not recorded.

    ``dropped`` are the commits that were acted on since Git no longer has the object, oldest first: it is still there
    because a sync was cut short, or because another claimant is to have it, or may want it.

    ``begun``, if the sync of ``commit`` was cut short, is the digest of the content that it was about to apply; it is
    not stored, and known only until the agent ends.
    """

    key: ObjectKey
    api_version: str
    digest: str
    commit: str
    origin: str
    dropped: tuple[str, ...] = ()
    begun: str = ""

    def dropped_by(self, commit: str) -> Entry:
        """The same entry, with one more commit that does not have the object."""
        if commit in self.dropped:
            return self
        return replace(self, dropped=(*self.dropped, commit)[-MAX_DROPPED:])


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

    @property
    def wanted(self) -> list[ObjectKey]:
        """The objects that its sync wants: without those that Git has dropped."""
        return [entry.key for entry in self if not entry.dropped]

    @property
    def kept(self) -> list[ObjectKey]:
        """The objects that Git has dropped, and that are still there."""
        return [entry.key for entry in self if entry.dropped]

    def with_entries(self, entries: Iterable[Entry]) -> Inventory:
        """The inventory with these entries added or replaced."""
        return replace(self, entries={**self.entries, **{entry.key: entry for entry in entries}})

    def without(self, keys: Iterable[ObjectKey]) -> Inventory:
        """The inventory without the entries of these objects."""
        gone = set(keys)
        return replace(self, entries={key: entry for key, entry in self.entries.items() if key not in gone})


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the entries of an inventory that does not fit into one ConfigMap. ``digest`` is that of ``packed``."""

    digest: str
    packed: str = field(repr=False)

    @property
    def content(self) -> dict[str, Any]:
        """``binaryData`` of its ConfigMap."""
        return {"binaryData": {_KEY: self.packed}}


@dataclass(frozen=True, slots=True)
class Encoded:
    """An inventory as it is stored: in one ConfigMap, the head, ``whole``, or in ``parts`` that the head names."""

    commit: str
    objects: int
    whole: str = field(default="", repr=False)
    parts: tuple[Part, ...] = ()

    def head(self, slots: Mapping[str, int]) -> dict[str, Any]:
        """``data`` and ``binaryData`` of the head. ``slots`` are the numbers of the parts' ConfigMaps, by digest."""
        named = [[slots[part.digest], part.digest] for part in self.parts]
        packed = self.whole or pack({"version": _IN_PARTS, "commit": self.commit, "parts": named})
        return {"data": {"commit": self.commit, "objects": str(self.objects)}, "binaryData": {_KEY: packed}}


def encode(inventory: Inventory) -> Encoded:
    """The inventory as it is to be stored. Takes time that grows with the inventory: call it in a thread.

    Raises: InventoryError when it is too large.
    """
    rows = sorted(_row(entry) for entry in inventory)
    packed, size = pack_sized({"version": 1, "commit": inventory.commit, "entries": rows})
    if _fits(packed, size):
        return Encoded(inventory.commit, len(rows), packed)
    number = 2
    while number <= MAX_PARTS:
        # Entries are put into parts by a hash of their keys, so that a small change writes a single part anew.
        if number * MAX_PACKED > len(packed) and (parts := _in_parts(rows, number)) is not None:
            return Encoded(inventory.commit, len(rows), parts=parts)
        number *= 2
    raise InventoryError(
        f"the inventory of {len(rows)} objects is {len(packed)} bytes packed, more than {MAX_PARTS} ConfigMaps hold",
        hint="split the repository: one agent a path, each with a --name of its own",
    )


def _in_parts(rows: list[list[Any]], number: int) -> tuple[Part, ...] | None:
    """The rows in ``number`` parts; None when one of these is too large."""
    buckets: list[list[list[Any]]] = [[] for _ in range(number)]
    for row in rows:
        buckets[crc32("\0".join(row[:4]).encode(errors="surrogatepass")) % number].append(row)
    parts = []
    for bucket in buckets:
        packed, size = pack_sized({"entries": bucket})
        if not _fits(packed, size):
            return None
        parts.append(Part(_digest(packed), packed))
    return tuple(parts)


def _fits(packed: str, size: int) -> bool:
    return len(packed) <= MAX_PACKED and size <= MAX_PART_UNPACKED


def assigned(parts: Iterable[Part], present: Mapping[str, int]) -> dict[str, int]:
    """The numbers of the ConfigMaps for parts, by digest. ``present`` are those that the head names now: they are not
    overwritten before another head is written, so that a kill in between loses nothing."""
    free = (number for number in count(1) if number not in set(present.values()))
    numbers: dict[str, int] = {}
    for part in parts:
        if part.digest not in numbers:
            numbers[part.digest] = present.get(part.digest) or next(free)
    return numbers


def parts_of(head: Manifest) -> dict[str, int]:
    """The parts that a head names: the numbers of their ConfigMaps, by digest; none when it has the whole inventory.

    Raises: InventoryError when it is damaged.
    """
    found = unpack(head, _KEY, MAX_UNPACKED, _parts, hint=_ANEW.format("it"))
    return found or {}


def decode(head: Manifest, parts: Mapping[int, Manifest] = _NO_PARTS) -> Inventory:
    """The inventory in a ConfigMap, and in those of its ``parts``, by number; empty when it holds none yet. Takes time,
    as ``encode``.

    Raises: InventoryError when it is damaged or unpacks to more than is read, and when a part is missing.
    """
    found = unpack(head, _KEY, MAX_UNPACKED, _inventory, hint=_ANEW.format("it"))
    if found is None:
        return Inventory()
    name = head["metadata"]["name"]
    hint = _ANEW.format(f"ConfigMap {name}")
    entries: list[Entry] = []
    for digest, number in parts_of(head).items():
        part = parts.get(number)
        if part is None or _digest((part.get("binaryData") or {}).get(_KEY, "")) != digest:
            raise InventoryError(
                f"ConfigMap {name} names part {number} of the inventory, and ConfigMap {name}-{number} is "
                + ("not there" if part is None else "another one"),
                hint=hint,
            )
        entries += unpack(part, _KEY, MAX_PART_UNPACKED, _entries, hint=hint) or ()
    return found.with_entries(entries) if entries else found


def _inventory(body: Any) -> Inventory:
    if body["version"] == _IN_PARTS:
        return Inventory(body["commit"])
    return Inventory(body["commit"]).with_entries(_entries(body))


def _entries(body: Any) -> list[Entry]:
    return [_entry(*row) for row in body["entries"]]


def _parts(body: Any) -> dict[str, int]:
    return {digest: int(number) for number, digest in body["parts"]} if body["version"] == _IN_PARTS else {}


def _digest(packed: str) -> str:
    return hashlib.sha256(packed.encode()).hexdigest()


def _row(entry: Entry) -> list[Any]:
    row = [*entry.key, entry.api_version, entry.digest, entry.commit, entry.origin]
    return [*row, list(entry.dropped)] if entry.dropped else row


def _entry(group: str, kind: str, namespace: str, name: str, *rest: Any) -> Entry:
    api_version, digest, commit, origin, *dropped = rest
    words = [group, kind, namespace, name, api_version, digest, commit, origin, *(dropped[0] if dropped else ())]
    if not all(isinstance(word, str) for word in words):
        raise TypeError("something other than text")
    key = ObjectKey(group, kind, namespace, name)
    return Entry(key, api_version, digest, commit, origin, tuple(dropped[0]) if dropped else ())


def entry_of(key: ObjectKey, manifest: Manifest, digest: str, commit: str, origin: Origin) -> Entry:
    """The entry of an object that a commit brings."""
    return Entry(key, manifest["apiVersion"], digest, commit, str(origin))
