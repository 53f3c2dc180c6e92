"""What each commit did, kept in the cluster for ``gitsync log``. Pure."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gitsync.api.identity import Manifest
from gitsync.errors import InventoryError

#: Commits kept, and changes kept of each; what is over says how many more there were.
MAX_COMMITS = 50
MAX_CHANGES = 200
MAX_UNPACKED = 16 * 1024 * 1024
_KEY = "journal"

Result = Literal["succeeded", "failed", "superseded", "held"]


@dataclass(frozen=True, slots=True)
class JournalChange:
    """One thing that was done: ``verb`` is created, changed, deleted, kept, failed or waiting; ``why`` in words."""

    verb: str
    object: str
    origin: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One commit. ``time`` is the end of its sync in seconds since the epoch, ``took`` in seconds."""

    commit: str
    author: str
    subject: str
    time: float
    took: float
    result: Result
    counts: dict[str, int] = field(default_factory=dict)
    changes: tuple[JournalChange, ...] = ()
    more: int = 0


def append(entries: Sequence[JournalEntry], new: JournalEntry) -> tuple[JournalEntry, ...]:
    """Newest first. A commit that is synced again gets one entry for all of it, as long as it is the newest."""
    rest = list(entries)
    if rest and rest[0].commit == new.commit and rest[0].result != "held":
        new = _merged(rest.pop(0), new)
    elif rest and rest[0].commit == new.commit:
        rest.pop(0)
    return (_bounded(new), *rest)[:MAX_COMMITS]


def _merged(old: JournalEntry, new: JournalEntry) -> JournalEntry:
    settled = {change.object for change in new.changes}
    past = [
        change
        for change in old.changes
        if change.verb not in ("failed", "waiting") and (change.object not in settled or change.verb in _DONE)
    ]
    changes = tuple(dict.fromkeys([*past, *new.changes]))
    return JournalEntry(
        new.commit, new.author, new.subject, new.time, old.took + new.took, new.result, new.counts, changes, old.more
    )


_DONE = frozenset({"created", "changed", "deleted"})


def _bounded(entry: JournalEntry) -> JournalEntry:
    if len(entry.changes) <= MAX_CHANGES:
        return entry
    return JournalEntry(
        entry.commit,
        entry.author,
        entry.subject,
        entry.time,
        entry.took,
        entry.result,
        entry.counts,
        entry.changes[:MAX_CHANGES],
        entry.more + len(entry.changes) - MAX_CHANGES,
    )


def encode(entries: Sequence[JournalEntry]) -> dict[str, Any]:
    """``data`` and ``binaryData`` of the ConfigMap."""
    body = json.dumps([asdict(entry) for entry in entries], separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(body.encode(), 6, mtime=0)).decode()
    return {"data": {"commits": str(len(entries))}, "binaryData": {_KEY: packed}}


def decode(config_map: Manifest) -> tuple[JournalEntry, ...]:
    """The journal in a ConfigMap, newest first; empty when it holds none yet.

    Raises: InventoryError when it is damaged.
    """
    packed = (config_map.get("binaryData") or {}).get(_KEY)
    if packed is None:
        return ()
    try:
        unpacker = zlib.decompressobj(wbits=31)
        rows = json.loads(unpacker.decompress(base64.b64decode(packed, validate=True), MAX_UNPACKED))
        return tuple(
            JournalEntry(**{**row, "changes": tuple(JournalChange(**change) for change in row["changes"])})
            for row in rows
        )
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError) as error:
        raise InventoryError(
            f"ConfigMap {config_map['metadata']['name']} does not hold a readable journal ({type(error).__name__})",
            hint="delete it: what past commits did is forgotten, nothing else",
        ) from error
