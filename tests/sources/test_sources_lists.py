"""Lists of files as columns: what they say is what a list of entries would, in a third of the memory."""

from __future__ import annotations

import tracemalloc
from bisect import bisect_left
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import ArtifactPathMissing
from gitsync.git.links import expand_listing
from gitsync.git.listing import parse_listing
from gitsync.packed import TextMap, Texts
from gitsync.tree import Entries, FileList, Tree, TreeEntry, changed_files

#: The characters around "/" and "0", what UTF-8 has several bytes for, and what a file system may have instead.
NAMES = st.text("a/-.0z\u00e9\uffee\U0001f600\udc80", min_size=1, max_size=8)
LISTS = st.dictionaries(NAMES, st.tuples(st.sampled_from(["", "1", "11", "reason"]), st.integers(0, 2**40)))


def entry(path: str, content: str, size: int) -> TreeEntry:
    return TreeEntry(path, "", 0, content) if content == "reason" else TreeEntry(path, content, size)


async def nothing(blob_ids: Sequence[str]) -> dict[str, bytes]:
    return {}


@given(LISTS, NAMES)
def test_a_list_of_files_says_what_sorted_entries_say(files: dict[str, tuple[str, int]], path: str) -> None:
    expected = sorted(entry(name, *rest) for name, rest in files.items())
    found = Entries(FileList.of(entry(name, *rest) for name, rest in files.items()))
    assert list(found) == expected
    assert list(found.paths) == [item.path for item in expected]
    assert found[1:] == expected[1:]
    assert found.before(path) == bisect_left([item.path for item in expected], path)
    assert found.find(path) == next((item for item in expected if item.path == path), None)
    assert list(found.below(path)) == [item for item in expected if item.path.startswith(f"{path}/")]
    kept = found.without(lambda name: name < path)
    assert list(kept) == list(kept.compact()) == [item for item in expected if item.path >= path]
    assert list(kept.below(path)) == [item for item in expected if item.path.startswith(f"{path}/")]


@given(st.lists(NAMES), NAMES)
def test_packed_texts_are_found_as_in_a_list(texts: list[str], text: str) -> None:
    packed = Texts(texts)
    assert list(packed) == texts
    assert [packed[number] for number in range(len(texts))] == texts
    number = packed.find(text)
    assert (texts[number] == text) if number is not None else (text not in texts)
    order = packed.order()
    assert list(packed.chosen(order) if order is not None else packed) == sorted(texts)


@given(st.dictionaries(NAMES, NAMES), NAMES)
def test_packed_texts_by_texts_are_found_as_in_a_dictionary(items: dict[str, str], key: str) -> None:
    packed = TextMap.of(items)
    assert dict(packed) == items
    assert packed.get(key) == items.get(key)


@given(LISTS, LISTS)
async def test_what_has_changed_between_two_trees_is_counted(
    old: dict[str, tuple[str, int]], new: dict[str, tuple[str, int]]
) -> None:
    before, after = ({name: entry(name, content, 1) for name, (content, _) in files.items()} for files in (old, new))
    changed = sum(before.get(path) != after.get(path) for path in before.keys() | after.keys())
    assert await changed_files(Tree("a", before.values(), nothing), Tree("b", after.values(), nothing)) == changed
    assert await changed_files(None, Tree("b", after.values(), nothing)) == len(after)


async def test_a_directory_without_files_is_none_though_git_has_an_id_for_it() -> None:
    tree = Tree("a", [TreeEntry("a/b", "1", 1)], nothing, {"": "top", "a": "of a", "empty": "of nothing"})
    assert [await tree.directory_digest(path) for path in ("", "./a/", "empty", "a/b", "..")] == [
        "top", "of a", None, None, None,
    ]  # fmt: skip
    with pytest.raises(ArtifactPathMissing):
        await tree.entries("empty")


def test_a_file_of_a_large_list_takes_its_path_and_sixty_bytes() -> None:
    """Before, 450 bytes with a path of 40 characters."""
    count = 20_000
    lines = (f"100644 blob {number:040x}       5\tapps/app-{number:06}/the-config.yaml\0" for number in range(count))
    output = "".join(lines).encode()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = expand_listing(parse_listing("top", output), {})
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(found.entries) == count
    weight = found.entries.files.weight + found.digests.weight
    assert weight <= held <= 1.3 * weight
    assert weight < count * (len("apps/app-000000/the-config.yaml") + 60)
