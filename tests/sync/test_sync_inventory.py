"""The inventory and the journal: packed into a ConfigMap and read back, bounded, and honest when damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import ObjectKey
from gitsync.errors import InventoryError
from gitsync.sync import history as journals
from gitsync.sync import inventory as inventories
from gitsync.sync.history import MAX_CHANGES, MAX_COMMITS, JournalChange, JournalEntry
from gitsync.sync.inventory import Entry, Inventory

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-.", min_size=1, max_size=20)
ENTRIES = st.builds(
    Entry,
    st.builds(ObjectKey, NAMES, NAMES, NAMES, NAMES),
    NAMES,
    st.text("0123456789abcdef", max_size=64),
    st.text("0123456789abcdef", min_size=40, max_size=40),
    st.text(max_size=40),
)


def config_map(content: dict[str, object]) -> dict[str, object]:
    return {"metadata": {"name": "fleet-inventory"}, **content}


@given(st.lists(ENTRIES, max_size=20), st.text("0123456789abcdef", max_size=40))
def test_an_inventory_is_read_back_as_it_was_written(entries: list[Entry], commit: str) -> None:
    inventory = Inventory(commit).with_entries(entries)
    assert inventories.decode(config_map(inventories.encode(inventory))) == inventory


def test_two_thousand_objects_take_a_small_part_of_a_config_map() -> None:
    entries = [
        Entry(
            ObjectKey("apps", "Deployment", f"ns-{n % 20}", f"app-{n}"),
            "apps/v1",
            f"{n:064x}",
            "c" * 40,
            f"a/{n}.yaml:1",
        )
        for n in range(2000)
    ]
    content = inventories.encode(Inventory("c" * 40).with_entries(entries))
    assert len(content["binaryData"]["inventory"]) < inventories.MAX_PACKED / 10
    assert content["data"] == {"commit": "c" * 40, "objects": "2000"}


def test_an_inventory_too_large_for_a_config_map_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventories, "MAX_PACKED", 100)
    entry = Entry(ObjectKey("", "ConfigMap", "a", "b"), "v1", "", "c", "d")
    with pytest.raises(InventoryError, match="more than a ConfigMap holds") as raised:
        inventories.encode(Inventory().with_entries([entry]))
    assert "--name" in raised.value.hint


@pytest.mark.parametrize("packed", ["!", "aGVsbG8=", "H4sIAAAAAAAAA6tWSs7PLShKLS5WslJKTixOVaoFAB2GQsEUAAAA"])
def test_a_damaged_inventory_or_journal_is_an_error_that_names_the_config_map(packed: str) -> None:
    for module, key in ((inventories, "inventory"), (journals, "journal")):
        with pytest.raises(InventoryError, match="fleet-inventory"):
            module.decode(config_map({"binaryData": {key: packed}}))


def test_nothing_kept_yet_is_an_empty_inventory_and_journal() -> None:
    assert len(inventories.decode(config_map({}))) == 0
    assert journals.decode(config_map({})) == ()


def entry(commit: str, *changes: JournalChange, result: journals.Result = "succeeded") -> JournalEntry:
    return JournalEntry(commit, "Ann", "subject", 1.0, 2.0, result, {"created": 1}, changes)


def test_a_journal_is_read_back_as_it_was_written() -> None:
    kept = journals.append((entry("a"),), entry("b", JournalChange("created", "ConfigMap/x/y", "a.yaml:1", "why")))
    assert journals.decode(config_map(journals.encode(kept))) == kept
    assert [item.commit for item in kept] == ["b", "a"]


def test_the_journal_keeps_the_newest_commits_and_says_how_many_changes_it_left_out() -> None:
    kept: tuple[JournalEntry, ...] = ()
    for number in range(MAX_COMMITS + 5):
        kept = journals.append(kept, entry(str(number)))
    assert len(kept) == MAX_COMMITS
    assert kept[0].commit == str(MAX_COMMITS + 4)
    many = [JournalChange("created", str(number)) for number in range(MAX_CHANGES + 7)]
    (first, *_) = journals.append((), entry("x", *many))
    assert (len(first.changes), first.more) == (MAX_CHANGES, 7)


def test_a_commit_synced_again_after_a_failure_is_one_entry_with_what_came_of_it() -> None:
    failed = entry(
        "a", JournalChange("created", "A"), JournalChange("failed", "B", why="no such kind"), result="failed"
    )
    (merged,) = journals.append((failed,), entry("a", JournalChange("created", "B")))
    assert merged.result == "succeeded"
    assert merged.changes == (JournalChange("created", "A"), JournalChange("created", "B"))


def test_a_commit_that_was_held_is_replaced_when_it_is_let_through() -> None:
    (kept,) = journals.append((entry("a", result="held"),), entry("a", JournalChange("deleted", "A")))
    assert (kept.result, kept.changes) == ("succeeded", (JournalChange("deleted", "A"),))
