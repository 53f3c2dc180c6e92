"""Symbolic links followed as data: held against a real directory with the same files and links, and within bounds."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.git import links
from gitsync.git.links import expand
from gitsync.git.listing import Item, Kind
from gitsync.tree import TreeEntry

#: A repository: its files' contents, and its links' targets, by path.
Files = Mapping[str, str]
Links = Mapping[str, str]

OUT = "which leads out of the repository"
NOTHING = "which leads to nothing"
CIRCLE = "which leads in a circle"


def items(files: Files, links: Links) -> list[Item]:
    found = {path: Item(path, Kind.FILE, f"id of {content}", len(content)) for path, content in files.items()}
    found |= {path: Item(path, Kind.LINK, target, len(target)) for path, target in links.items()}
    for path in list(found):
        while path := path.rpartition("/")[0]:
            found[path] = Item(path, Kind.DIRECTORY, f"tree {path}", 0)
    return [found[path] for path in sorted(found)]


def entries(files: Files, links: Links) -> dict[str, TreeEntry]:
    found = expand("top", items(files, links), {target: target.encode() for target in links.values()})
    assert len({entry.path for entry in found.entries}) == len(found.entries)
    return {entry.path: entry for entry in found.entries}


def readable(files: Files, links: Links) -> dict[str, str]:
    """Contents by path of what can be read."""
    found = entries(files, links)
    return {path: entry.blob_id.removeprefix("id of ") for path, entry in found.items() if not entry.unreadable}


def why(files: Files, links: Links) -> dict[str, str]:
    """Reasons by path of what cannot."""
    return {path: entry.unreadable for path, entry in entries(files, links).items() if entry.unreadable}


def test_a_link_to_a_file_is_that_file_and_a_link_to_a_directory_holds_its_files() -> None:
    files = {"base/cm.yaml": "cm", "base/deep/x": "x", "app/own": "own"}
    assert readable(files, {"app/cm.yaml": "../base/cm.yaml", "app/base": "../base", "all": "./base/"}) == {
        **files, "app/cm.yaml": "cm", "app/base/cm.yaml": "cm", "app/base/deep/x": "x", "all/cm.yaml": "cm",
        "all/deep/x": "x",
    }  # fmt: skip


def test_links_lead_through_linked_directories_and_count_dots_from_where_they_lead() -> None:
    files = {"a/b/c/file": "1", "a/b/other": "2"}
    found = {"l": "a/b/c", "through": "l/file", "up": "l/../other", "chain": "through"}
    shown = readable(files, found)
    assert (shown["through"], shown["up"], shown["chain"], shown["l/file"]) == ("1", "2", "1", "1")


def test_a_link_inside_a_linked_directory_is_followed_from_where_it_really_is() -> None:
    files = {"lib/x": "x", "charts/app/own": "own"}
    assert readable(files, {"charts/app/lib": "../../lib", "a/app": "../charts/app"}) == {
        **files, "charts/app/lib/x": "x", "a/app/own": "own", "a/app/lib/x": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/etc/passwd", OUT), ("../x", OUT), ("d/../../x", OUT), ("nothing", NOTHING), ("file/", NOTHING),
        ("file/../file", NOTHING), ("d/nothing/../file", NOTHING), ("link", CIRCLE), (".", CIRCLE), ("d/..", CIRCLE),
        ("d/link2", CIRCLE), ("sub", "which leads to a Git submodule"), ("sub/x", "which leads to a Git submodule"),
    ],
)  # fmt: skip
def test_a_link_that_cannot_be_followed_says_where_it_leads(target: str, reason: str) -> None:
    files, found = {"file": "f", "d/file": "f"}, {"link": target, "d/link2": "../link"}
    all_items = sorted([*items(files, found), Item("sub", Kind.SUBMODULE, "", 0)])
    shown = {e.path: e.unreadable for e in expand("top", all_items, {t: t.encode() for t in found.values()}).entries}
    assert shown["link"].startswith(f"a symbolic link to '{target}', {reason}")
    assert shown["sub"] == "a Git submodule, whose content is not in this repository"
    assert shown["file"] == ""


def test_a_link_past_a_submodule_is_followed_as_in_a_checkout_where_it_is_an_empty_directory() -> None:
    all_items = sorted([*items({"file": "f"}, {"link": "sub/../file"}), Item("sub", Kind.SUBMODULE, "", 0)])
    shown = {entry.path: entry.blob_id for entry in expand("top", all_items, {"sub/../file": b"sub/../file"}).entries}
    assert shown["link"] == "id of f"


def test_two_directories_that_hold_links_to_each_other_are_shown_once_in_each() -> None:
    files, found = {"a/x": "x", "b/y": "y"}, {"a/to-b": "../b", "b/to-a": "../a"}
    assert readable(files, found) == {"a/x": "x", "b/y": "y", "a/to-b/y": "y", "b/to-a/x": "x"}
    assert why(files, found) == {
        "a/to-b/to-a": f"a symbolic link to '../a', {CIRCLE}", "b/to-a/to-b": f"a symbolic link to '../b', {CIRCLE}",
    }  # fmt: skip


def test_a_link_to_a_directory_above_does_not_repeat_it() -> None:
    assert why({"a/b/x": "x"}, {"a/b/up": "../..", "a/b/near": ".."}) == {
        "a/b/up": f"a symbolic link to '../..', {CIRCLE}", "a/b/near": f"a symbolic link to '..', {CIRCLE}",
    }  # fmt: skip


def test_a_name_that_would_lead_elsewhere_is_named_and_led_to_by_nothing() -> None:
    all_items = sorted([*items({}, {"link": ".x"}), Item("a/../b", Kind.MISNAMED, "id", 1)])
    shown = {entry.path: entry.unreadable for entry in expand("top", all_items, {".x": b".x"}).entries}
    assert shown["a/../b"] == "a name that no file can have"


def test_digests_are_gits_own_where_no_link_has_part() -> None:
    files = {"plain/x": "x", "plain/sub/y": "y", "mixed/z": "z", "mixed/sub/w": "w"}
    found = expand("top", items(files, {"mixed/l": "../plain", "f": "plain/x"}), {"../plain": b"../plain"})
    assert found.digests == {
        "plain": "tree plain", "plain/sub": "tree plain/sub", "mixed/sub": "tree mixed/sub", "mixed/l": "tree plain",
        "mixed/l/sub": "tree plain/sub",
    }  # fmt: skip
    assert expand("top", items(files, {}), {}).digests[""] == "top"


# Against a real directory.

names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
steps = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=5)
targets = st.builds(lambda parts, root: root + "/".join(parts), steps, st.sampled_from(["", "", "", "", "/"]))
anything = st.dictionaries(paths, st.one_of(st.none(), targets.filter(bool)), min_size=1, max_size=12)
# Directories that are there, with links from one to another.
linked = st.dictionaries(
    st.builds("{}/{}".format, st.sampled_from(["a", "b", "b/c", "d"]), st.sampled_from(["x", "y"])),
    st.builds(
        "{}{}".format, st.sampled_from(["", "../", "../../"]), st.sampled_from(["a", "b", "b/c", "d", "x", "a/x"])
    ),
    max_size=6,
).map(lambda found: {"a/f": None, "b/f": None, "b/c/f": None, "d/f": None, **found})
repositories = st.one_of(anything, linked)


def make(root: Path, repository: Mapping[str, str | None]) -> tuple[dict[str, str], dict[str, str]]:
    """The files and links of ``repository`` that can be together, made below ``root``."""
    files: dict[str, str] = {}
    found: dict[str, str] = {}
    for path, target in sorted(repository.items()):
        above = path.split("/")
        if any("/".join(above[:count]) in files | found for count in range(1, len(above) + 1)):
            continue
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if target is None:
            place.write_text(path)
            files[path] = path
        else:
            place.symlink_to(target)
            found[path] = target
    return files, found


def shown(root: Path, directory: Path, around: tuple[Path, ...]) -> Iterator[tuple[str, str | None]]:
    """What the system shows below a directory: contents by path, None for what is not to be read."""
    for place in sorted(directory.iterdir()):
        path = str(place.relative_to(root))
        try:
            kind = place.stat()
        except OSError:
            yield path, None
            continue
        real = Path(os.path.realpath(place))
        above = (*around, Path(os.path.realpath(directory))) if place.is_symlink() else around
        if not real.is_relative_to(root) or (place.is_symlink() and any(one.is_relative_to(real) for one in above)):
            yield path, None
        elif stat.S_ISDIR(kind.st_mode):
            yield from shown(root, place, above)
        else:
            yield path, place.read_text()


@settings(max_examples=300)
@given(repositories)
def test_what_is_shown_is_what_a_directory_with_the_same_links_shows(repository: Mapping[str, str | None]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(os.path.realpath(temporary)) / "a repository"
        root.mkdir()
        files, found = make(root, repository)
        expected = dict(shown(root, root, ()))
        for path, content in readable(files, found).items():
            assert os.path.realpath(root / path, strict=True) == str(root / content)
    assert readable(files, found) == {path: content for path, content in expected.items() if content is not None}
    assert set(why(files, found)) == {path for path, content in expected.items() if content is None}


# Bounds.


def test_forty_links_may_lie_on_the_way_to_a_file_as_on_linux(tmp_path: Path) -> None:
    found = {f"l{number}": f"l{number + 1}" for number in range(1, 45)} | {"l45": "file"}
    make(tmp_path, {"file": None, **found})
    shown_by_linux = {name for name in found if os.access(tmp_path / name, os.R_OK)}
    assert set(readable({"file": "f"}, found)) - {"file"} == shown_by_linux
    assert len(shown_by_linux) == 40
    assert why({"file": "f"}, found)["l1"] == "a symbolic link to 'l2', which leads through more than 40 links"


def test_forty_linked_directories_may_lie_on_the_way_to_a_file_as_on_linux(tmp_path: Path) -> None:
    files = {f"d{number}/f": "f" for number in range(45)}
    found = {f"d{number}/n": f"../d{number + 1}" for number in range(44)}
    make(tmp_path, {**dict.fromkeys(files), **found})
    ways = {"d0/" + "n/" * count + "f" for count in range(45)}
    shown_by_linux = {way for way in ways if os.access(tmp_path / way, os.R_OK)}
    assert {path for path in readable(files, found) if path.startswith("d0/")} == shown_by_linux
    assert len(shown_by_linux) == 41


def test_links_that_multiply_are_given_up_in_little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"d{number}/x": "x" for number in range(30)}
    found = {f"d{number}/{side}": f"../d{number + 1}" for number in range(29) for side in ("left", "right")}
    started = time.process_time()
    shown_entries = entries(files, found)
    assert time.process_time() - started < 5
    assert len(shown_entries) < links.MAX_FOLLOWED * 3
    assert any("one of more than 10000 links" in entry.unreadable for entry in shown_entries.values())
    assert all(path in shown_entries for path in files)

    monkeypatch.setattr(links, "MAX_ADDED", 50_000)
    reasons = set(why(files, found).values())
    assert any("with which the tree would hold more than gitsync reads" in reason for reason in reasons)
    assert len(entries(files, found)) < 2000


def test_many_links_to_a_large_directory_are_given_up_in_little_time() -> None:
    files = {f"large/{number}": "x" for number in range(20_000)}
    found = {f"l{number}": "large" for number in range(5000)}
    started = time.process_time()
    shown_entries = entries(files, found)
    assert time.process_time() - started < 10
    assert len(shown_entries) < 20_000 + 5000 + links.MAX_ADDED // 100
    assert shown_entries["l4999"].unreadable.endswith("with which the tree would hold more than gitsync reads")


def test_targets_of_many_parts_are_given_up_in_little_time() -> None:
    target = "d/../" * 800 + "file"
    started = time.process_time()
    reasons = why({"file": "f", "d/x": "x"}, {f"l{number}": target for number in range(9000)})
    assert time.process_time() - started < 10
    assert reasons["l999"].endswith("one of more than 10000 links")
    assert "l0" not in reasons


def test_links_far_down_are_looked_at_in_little_time() -> None:
    deep = "/".join(["d"] * 20_000)
    started = time.process_time()
    all_items = [Item("d/" * depth + "d", Kind.DIRECTORY, "t", 0) for depth in range(3000)]
    all_items += [Item(f"{deep}/l{number}", Kind.LINK, "x", 1) for number in range(500)]
    shown_entries = expand("top", sorted(all_items), {"x": b"x"}).entries
    assert time.process_time() - started < 10
    assert {entry.unreadable for entry in shown_entries} == {"a path of more than 4096 bytes"}


def test_a_target_that_is_too_long_is_not_read() -> None:
    (entry,) = expand("top", [Item("l", Kind.LINK, "long", 5000)], {}).entries
    assert entry.unreadable == "a symbolic link to a path, which is longer than 4096 bytes"


def test_a_target_cannot_write_to_a_terminal() -> None:
    reason = why({}, {"l": "\x1b[31m" + "x" * 500})["l"]
    assert "\x1b" not in reason
    assert len(reason) < 300
