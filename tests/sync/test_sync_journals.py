"""The journals of many syncs in one ConfigMap: what is kept of them, and that it comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gitsync.api.identity import ObjectKey
from gitsync.errors import ClusterUnavailable, InventoryError
from gitsync.sync.kustomization.storage.journal import KustomizationJournal
from gitsync.sync.storage.history import JournalChange, JournalEntry, decode_all, encode_all, newest

ENTRY = JournalEntry("a" * 40, "Ada", "one", 1.0, 0.5, "succeeded", {"created": 1}, (JournalChange("created", "X"),))
APPS = ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "apps")


def at(time: float, changes: int = 1) -> JournalEntry:
    return replace(ENTRY, time=time, changes=ENTRY.changes * changes)


def test_the_newest_are_kept_whosever_they_are() -> None:
    journals = {"a": (at(5), at(3), at(1)), "b": (at(4, changes=3), at(2))}
    assert newest(journals, 100) == journals
    assert newest(journals, 6) == {"a": (at(5),), "b": (at(4, changes=3),)}
    assert newest(journals, 5) == {"a": (at(5),)}, "an older one does not take the place of one that is too large"


def test_journals_come_back_as_they_were() -> None:
    journals = {"a": (at(5), at(3)), "b": (at(4),)}
    config_map = {"metadata": {"name": "fleet-kustomizations"}, **encode_all(journals)}
    assert decode_all(config_map) == journals
    assert decode_all({"metadata": {"name": "x"}}) == {}


class Store:
    """Keeps what it is given, unless it is told to fail."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.saved: list[dict[str, Any]] = []

    async def kustomization_journals(self) -> dict[str, Any]:
        if self.fails is not None:
            raise self.fails
        return {}

    async def save_kustomization_journals(self, found: dict[str, Any]) -> None:
        if self.fails is not None:
            raise self.fails
        self.saved.append(found)


async def test_what_cannot_be_written_is_written_with_what_comes_next() -> None:
    store = Store()
    journal = KustomizationJournal(store)  # type: ignore[arg-type]
    async with journal.writing():
        await journal.record(APPS, [at(1)])
        store.fails = ClusterUnavailable("away")
    assert store.saved == []
    store.fails = None
    async with journal.writing():
        await journal.record(APPS, [at(2), at(1)])
    assert store.saved == [{"flux-system/apps": (at(2), at(1))}]


async def test_one_that_is_damaged_begins_anew() -> None:
    store = Store()
    store.fails = InventoryError("damaged")
    journal = KustomizationJournal(store)  # type: ignore[arg-type]
    assert await journal.of(APPS) == ()
