"""One step of the answer to why an object is not ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitsync.api.identity import CommitInfo, ObjectKey

Relation = Literal["", "waits for", "takes its source from", "has applied", "consists of", "has made"]


@dataclass(frozen=True, slots=True)
class Link:
    """One object of a chain. ``relation`` is how the object before it depends on this one, ``others`` how many more
    hold that one up; ``status`` is that of a Standing or an ObjectNode, ``since`` RFC 3339 or "", ``origin``
    file:line."""

    key: ObjectKey
    status: str
    reason: str = ""
    message: str = ""
    since: str = ""
    relation: Relation = ""
    others: int = 0
    commit: CommitInfo | None = None
    origin: str = ""


def without_column(origin: str) -> str:
    """``path:line`` of ``path:line:column``, which is what editors and people take; anything else as it is."""
    place, colon, column = origin.rpartition(":")
    return place if colon and column.isdigit() and place.rpartition(":")[2].isdigit() else origin
