"""The text of a difference: deterministic YAML, unified, safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import helm_python
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.diff import DiffLine, render_diff, yaml_lines
from tests.cost import costs_below

KEY = ObjectKey("", "ConfigMap", "default", "settings")


def diff_text(lines: Iterable[DiffLine]) -> str:
    """As ``diff -u`` would print them."""
    return "".join(f"{line}\n" for line in lines)


def config_map(**data: Any) -> Manifest:
    return {
        "data": data,
        "kind": "ConfigMap",
        "metadata": {"namespace": "default", "name": "settings"},
        "apiVersion": "v1",
    }


def test_a_change_is_shown_with_three_lines_around_it() -> None:
    before = config_map(**{f"k{n}": "old" for n in range(9)})
    after = config_map(**{f"k{n}": "new" if n == 4 else "old" for n in range(9)})
    assert diff_text(render_diff(before, after, KEY)) == (
        "ConfigMap/default/settings changed\n"
        "@@ -8,7 +8,7 @@\n"
        "   k1: old\n"
        "   k2: old\n"
        "   k3: old\n"
        "-  k4: old\n"
        "+  k4: new\n"
        "   k5: old\n"
        "   k6: old\n"
        "   k7: old\n"
    )


def test_changes_far_apart_have_a_heading_each_near_ones_share_it() -> None:
    before = config_map(**{f"k{n:02}": "old" for n in range(30)})
    far = config_map(**{f"k{n:02}": "new" if n in (0, 29) else "old" for n in range(30)})
    near = config_map(**{f"k{n:02}": "new" if n in (10, 16) else "old" for n in range(30)})
    assert [line.text for line in render_diff(before, far, KEY) if line.kind == "@"][1:] == [
        "@@ -4,7 +4,7 @@",
        "@@ -33,4 +33,4 @@",
    ]
    assert [line.text for line in render_diff(before, near, KEY) if line.kind == "@"][1:] == ["@@ -14,13 +14,13 @@"]


def test_a_new_object_is_all_added_and_begins_with_what_it_is() -> None:
    assert diff_text(render_diff(None, config_map(b="1", a="two"), KEY)) == (
        "ConfigMap/default/settings created\n"
        "@@ -0,0 +1,8 @@\n"
        "+apiVersion: v1\n"
        "+kind: ConfigMap\n"
        "+metadata:\n"
        "+  name: settings\n"
        "+  namespace: default\n"
        "+data:\n"
        "+  a: two\n"
        '+  b: "1"\n'
    )


def test_a_deleted_object_is_all_removed() -> None:
    lines = render_diff(config_map(a="1"), None, KEY)
    assert lines[0] == DiffLine("@", "ConfigMap/default/settings deleted")
    assert {line.kind for line in lines[2:]} == {"-"}


def test_what_does_not_differ_gives_nothing() -> None:
    assert render_diff(config_map(a="1"), config_map(a="1"), KEY) == []
    assert diff_text([]) == ""


def test_what_the_server_sets_and_nulls_and_bookkeeping_do_not_differ() -> None:
    live = config_map(a="1") | {"status": {"x": 1}, "immutable": None}
    live["metadata"] |= {"uid": "u", "resourceVersion": "1", "annotations": {"gitsync.dev/commit": "abc"}}
    assert render_diff(live, config_map(a="1"), KEY) == []


def test_null_in_the_values_of_a_helm_release_is_shown() -> None:
    one = {"kind": "HelmRelease", "spec": {"suspend": None, "values": {"a": 1}}}
    two = {"kind": "HelmRelease", "spec": {"values": {"a": None}}}
    assert [str(line) for line in render_diff(one, two, KEY) if line.kind in "+-"] == ["-    a: 1", "+    a: null"]


def test_a_text_of_many_lines_is_compared_line_by_line() -> None:
    before, after = config_map(conf="a\nb\nc\n"), config_map(conf="a\nB\nc\n")
    assert [str(line) for line in render_diff(before, after, KEY) if line.kind in "+-"] == ["-    b", "+    B"]


def test_terminal_control_characters_never_get_through() -> None:
    nasty = "\x1b[2J\x07\x9b31m\u202e\u200b\ud800 \r\n"
    lines = render_diff(config_map(a=nasty), config_map(**{"a": nasty + "x", nasty: nasty}), KEY)
    assert all(line.text.isprintable() for line in lines)


def test_the_order_of_keys_does_not_matter() -> None:
    one = {"spec": {"b": 1, "a": [{"z": 1, "name": "app"}]}, "metadata": {"name": "x"}, "kind": "K", "apiVersion": "v1"}
    assert yaml_lines(one) == [
        "apiVersion: v1",
        "kind: K",
        "metadata:",
        "  name: x",
        "spec:",
        "  a:",
        "  - name: app",
        "    z: 1",
        "  b: 1",
    ]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e6, 1e6)
    | st.text(max_size=12)
    | st.text(alphabet="ab \t\n:#-'\"\\{}[],&*!|>%@`?y~0.", max_size=12)
    | st.sampled_from(["yes", "No", "0644", "1e3", "0x1f", ".5", "~", "null", "2026-07-01", "12:30:00", "a: b", "a #b"])
    | st.sampled_from(
        ["- a", "=", "<<", "---", "...", "|", "\x85", "\ufeff", "a\nb", "a\n\n", "\na", " a\nb", "\u2028"]
    )
)
documents: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("y"), inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_kubernetes_own_parser_reads_the_text_back_as_the_same_value(value: Any) -> None:
    text = "\n".join(yaml_lines({"value": value})) + "\n"
    assert helm_python.values_from_yaml(text) == {"value": value}


small = st.dictionaries(
    st.sampled_from("abcdefghijklmnop"),
    st.sampled_from(["1", "x", "one\ntwo\nthree\nfour\n", "one\nTWO\nthree\nfour\nfive\n"]),
    max_size=16,
)


@given(small, small)
def test_the_lines_lead_from_one_text_to_the_other(one: dict[str, str], other: dict[str, str]) -> None:
    before, after = config_map(**one), config_map(**other)
    old, new = (
        yaml_lines({"apiVersion": "v1", "kind": "ConfigMap", "metadata": m["metadata"], "data": m["data"]})
        for m in (before, after)
    )
    assert patched(old, render_diff(before, after, KEY)) == new


def patched(old: list[str], lines: list[DiffLine]) -> list[str]:
    """``old`` with the difference applied to it, as the patch program would."""
    new: list[str] = []
    place = 0
    for line in lines[1:]:
        if line.kind == "@":
            match = re.fullmatch(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", line.text)
            assert match is not None
            start = int(match[1]) - (1 if int(match[2]) else 0)
            new += old[place:start]
            place = start
        elif line.kind == "+":
            new.append(line.text)
        else:
            assert old[place] == line.text
            new += [line.text] if line.kind == " " else []
            place += 1
    return new + old[place:]


def test_what_is_nested_beyond_all_measure_is_cut() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    lines = render_diff(None, {"kind": "Widget", "spec": deep}, KEY)
    assert lines[-1].text.endswith('"... (nested too deeply)"')


@pytest.mark.parametrize("count", [200, 30_000])
def test_a_large_text_takes_its_time_in_proportion(count: int) -> None:
    before = config_map(conf="".join(f"line {n % 97} {n}\n" for n in range(count)))
    after = config_map(conf="".join(f"line {n % 89} {n}\n" for n in range(count)))
    lines = costs_below(3.0, lambda: render_diff(before, after, KEY))
    assert len(lines) > count
