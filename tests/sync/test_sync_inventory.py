"""The inventory and the journal: packed into a ConfigMap and read back, bounded, and honest when damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.errors import InventoryError
from gitsync.sync.storage import history as journals
from gitsync.sync.storage import inventory as inventories
from gitsync.sync.storage.history import MAX_CHANGES, MAX_COMMITS, JournalChange, JournalEntry
from gitsync.sync.storage.inventory import Entry, Inventory
from gitsync.sync.storage.packing import pack

NO_PARTS: Mapping[str, int] = MappingProxyType({})
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


def stored(inventory: Inventory) -> dict[str, object]:
    """The head of an inventory that fits into one ConfigMap."""
    encoded = inventories.encode(inventory)
    assert not encoded.parts
    return config_map(encoded.head({}))


def entries_of(number: int) -> list[Entry]:
    """Entries as they are in the cluster, each with a digest of its own that packs to nothing less."""
    return [
        Entry(
            ObjectKey("apps", "Deployment", f"ns-{n % 20}", f"app-{n}"),
            "apps/v1",
            hashlib.sha256(str(n).encode()).hexdigest(),
            "c" * 40,
            f"a/{n}.yaml:1",
        )
        for n in range(number)
    ]


@given(st.lists(ENTRIES, max_size=20), st.text("0123456789abcdef", max_size=40))
def test_an_inventory_is_read_back_as_it_was_written(entries: list[Entry], commit: str) -> None:
    inventory = Inventory(commit).with_entries(entries)
    assert inventories.decode(stored(inventory)) == inventory


def test_two_thousand_objects_take_a_small_part_of_a_config_map() -> None:
    head = inventories.encode(Inventory("c" * 40).with_entries(entries_of(2000))).head({})
    assert len(head["binaryData"]["inventory"]) < inventories.MAX_PACKED / 6
    assert head["data"] == {"commit": "c" * 40, "objects": "2000"}


def test_an_inventory_of_0_1_is_read() -> None:
    kept = Inventory("c" * 40).with_entries(entries_of(1))
    (one,) = kept
    rows = [[*one.key, one.api_version, one.digest, one.commit, one.origin]]
    packed = pack({"version": 1, "commit": kept.commit, "entries": rows})
    assert inventories.decode(config_map({"binaryData": {"inventory": packed}})) == kept


def in_parts(inventory: Inventory, present: Mapping[str, int] = NO_PARTS) -> tuple[dict[str, int], dict[int, Manifest]]:
    """The numbers of an inventory's parts by digest, and the parts by number."""
    encoded = inventories.encode(inventory)
    numbers = inventories.assigned(encoded.parts, present)
    return numbers, {numbers[part.digest]: config_map(part.content) for part in encoded.parts}


def test_a_large_inventory_is_kept_in_parts_and_a_small_change_is_in_one_of_them() -> None:
    inventory = Inventory("c" * 40).with_entries(entries_of(50_000))
    encoded = inventories.encode(inventory)
    numbers, parts = in_parts(inventory)
    changed = inventory.with_entries([replace(entries_of(1)[0], digest="")])
    changed_numbers, _ = in_parts(changed, numbers)

    assert 2 <= len(encoded.parts) <= 8
    assert all(len(part.packed) <= inventories.MAX_PACKED for part in encoded.parts)
    assert inventories.decode(config_map(encoded.head(numbers)), parts) == inventory
    # What the head names now is not written over: the one part that changed goes where no other is.
    (news,) = set(changed_numbers.items()) - set(numbers.items())
    assert news[1] not in numbers.values()


def test_a_part_that_is_missing_or_another_one_is_an_error_that_names_it() -> None:
    inventory = Inventory("c" * 40).with_entries(entries_of(20_000))
    numbers, parts = in_parts(inventory)
    head = config_map(inventories.encode(inventory).head(numbers))
    first, second = sorted(parts)[:2]
    for damaged, words in (
        ({second: parts[second]}, "fleet-inventory-1 is not there"),
        ({**parts, first: parts[second]}, "fleet-inventory-1 is another one"),
    ):
        with pytest.raises(InventoryError, match=words) as raised:
            inventories.decode(head, damaged)
        assert "delete ConfigMap fleet-inventory " in raised.value.hint


def test_an_inventory_too_large_for_its_config_maps_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventories, "MAX_PACKED", 100)
    with pytest.raises(InventoryError, match="more than 32 ConfigMaps hold") as raised:
        inventories.encode(Inventory().with_entries(entries_of(200)))
    assert "--name" in raised.value.hint


@pytest.mark.parametrize("packed", ["!", "aGVsbG8=", "H4sIAAAAAAAAA6tWSs7PLShKLS5WslJKTixOVaoFAB2GQsEUAAAA"])
def test_a_damaged_inventory_or_journal_is_an_error_that_names_the_config_map(packed: str) -> None:
    for module, key in ((inventories, "inventory"), (journals, "journal")):
        with pytest.raises(InventoryError, match="fleet-inventory"):
            module.decode(config_map({"binaryData": {key: packed}}))


def test_what_unpacks_to_more_than_is_read_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Inventory("c").with_entries([Entry(ObjectKey("", "ConfigMap", "a", "b"), "v1", "", "c", "d" * 1000)])
    packed = stored(full), config_map(journals.encode([entry("a" * 1000)]))
    for module, content in zip((inventories, journals), packed, strict=True):
        monkeypatch.setattr(module, "MAX_UNPACKED", 100)
        with pytest.raises(InventoryError, match="fleet-inventory is too large: unpacked, it is more than 100 bytes"):
            module.decode(content)


def test_an_empty_inventory_keeps_its_commit() -> None:
    assert inventories.decode(stored(Inventory("c" * 40))).commit == "c" * 40


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b"])
def test_half_of_a_surrogate_pair_is_no_reason_to_lose_the_journal(text: str) -> None:
    kept = (entry("a", JournalChange("failed", "A", why=text)),)
    assert journals.decode(config_map(journals.encode(kept))) == kept


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
