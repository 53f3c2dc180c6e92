from __future__ import annotations

from typing import Any

import pytest

from gitsync.charts import install_order, merge_values, uninstall_order
from gitsync.helm.hooks import Sorted, sort_out, split
from tests.cost import costs_below


def manifest(kind: str = "ConfigMap", name: str = "a", **annotations: str) -> str:
    lines = "".join(
        f"    {key.replace('_', '/', 1).replace('_', '-')}: {value}\n" for key, value in annotations.items()
    )
    listed = f"  annotations:\n{lines}" if lines else ""
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n{listed}"


def sorted_out(text: str) -> Sorted:
    return sort_out("app", {"app/templates/a.yaml": text})


@pytest.mark.parametrize(
    ("content", "documents"),
    [
        ("", []),
        (" \n\t\n", []),
        ("a: 1", ["a: 1"]),
        ("a: 1\n", ["a: 1\n"]),
        ("---\na: 1\n", ["a: 1\n"]),
        ("\n\n---\na: 1\n---\n", ["a: 1"]),
        ("a: 1\n---\nb: 2\n", ["a: 1", "b: 2\n"]),
        ("a: 1  \n\n \n---   \n\n  b: 2", ["a: 1", "b: 2"]),
        ("a: 1\n--- # comment\nb: 2\n", ["a: 1", "# comment\nb: 2\n"]),
        ("a: 1\n---b: 2\n", ["a: 1", "b: 2\n"]),
        ("a: |\n  ---\n  x\n", ["a: |\n  ---\n  x\n"]),
        ("---\n---\na: 1\n", ["---\na: 1\n"]),
        ("a: 1\n---\n---\nb: 2\n", ["a: 1", "---\nb: 2\n"]),
        ("a: 1\r\n---\r\nb: 2\r\n", ["a: 1", "b: 2\r\n"]),
        ("\u00a0\u2003a: 1\x85\n---\n\x1fb: 2", ["a: 1\x85", "\x1fb: 2"]),
    ],
)
def test_documents_are_cut_as_helm_cuts_them(content: str, documents: list[str]) -> None:
    assert list(split(content)) == documents


def test_a_long_run_of_blank_lines_takes_no_time() -> None:
    text = "a: 1\n" + "\n" * 1_000_000 + "b: 2\n---\n" + " \n" * 500_000
    assert costs_below(1.0, lambda: list(split(text))) != []


@pytest.mark.parametrize(
    ("annotations", "events", "weight", "deletion"),
    [
        ({"helm.sh_hook": "pre-install"}, ("pre-install",), 0, ()),
        ({"helm.sh_hook": '" Pre-Install , POST-upgrade"'}, ("pre-install", "post-upgrade"), 0, ()),
        ({"helm.sh_hook": "test-success"}, ("test",), 0, ()),
        ({"helm.sh_hook": "test", "helm.sh_hook_weight": '"-5"'}, ("test",), -5, ()),
        ({"helm.sh_hook": "test", "helm.sh_hook_weight": "5"}, ("test",), 5, ()),
        ({"helm.sh_hook": "test", "helm.sh_hook_weight": "heavy"}, ("test",), 0, ()),
        ({"helm.sh_hook": "test", "helm.sh_hook_weight": '"1.5"'}, ("test",), 0, ()),
        (
            {"helm.sh_hook": "test", "helm.sh_hook_delete_policy": "Hook-Failed, before-hook-creation"},
            ("test",),
            0,
            ("hook-failed", "before-hook-creation"),
        ),
    ],
)
def test_hooks_are_read_from_their_annotations(
    annotations: dict[str, str], events: tuple[str, ...], weight: int, deletion: tuple[str, ...]
) -> None:
    (hook,) = sorted_out(manifest(**annotations)).hooks

    assert (hook.events, hook.weight, hook.delete_policies) == (events, weight, deletion)
    assert (hook.name, hook.kind, hook.path) == ("a", "ConfigMap", "app/templates/a.yaml")


def test_a_hook_with_an_unknown_event_is_neither_hook_nor_object() -> None:
    found = sorted_out(manifest(**{"helm.sh_hook": "pre-install,sometimes"}))

    assert (found.hooks, found.objects, found.manifest) == ((), (), "")


def test_notes_are_the_charts_own_and_partials_are_left_out() -> None:
    rendered = {
        "app/templates/NOTES.txt": "mine",
        "app/charts/sub/templates/NOTES.txt": "not mine",
        "app/templates/_helper.yaml": manifest(),
    }

    assert sort_out("app", rendered) == Sorted("", (), (), "mine")


def test_a_block_of_text_at_a_documents_end_keeps_its_line_feed_in_objects() -> None:
    text = manifest() + "data:\n  a: |\n    text"

    assert sorted_out(text).objects[0]["data"] == {"a": "text\n"}
    assert sorted_out(f"{text}\n---\n{manifest(name='b')}").objects[0]["data"] == {"a": "text\n"}


def test_lists_are_taken_apart_where_they_stand() -> None:
    listed = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n"

    found = sorted_out(f"{listed}---\n{manifest('Service')}")

    assert [item["kind"] for item in found.objects] == ["Service", "Secret"]


def names(objects: list[dict[str, Any]]) -> str:
    return " ".join(item["name"] for item in objects)


def test_kinds_are_ordered_as_helm_orders_them_and_equals_keep_their_order() -> None:
    kinds = ["Zebra", "Service", "Deployment/b", "Deployment/a", "Apple", "Namespace", "ConfigMap", "Ingress"]
    objects = [{"kind": kind.partition("/")[0], "name": kind} for kind in kinds]

    assert names(install_order(objects)) == (
        "Namespace ConfigMap Service Deployment/b Deployment/a Ingress Apple Zebra"
    )
    assert names(uninstall_order(objects)) == (
        "Ingress Service Deployment/b Deployment/a ConfigMap Namespace Apple Zebra"
    )


def test_values_merge_deeply_and_lists_and_nulls_replace() -> None:
    base = {"a": {"b": 1, "c": {"d": 2}}, "list": [1, 2], "scalar": 1, "map": {"x": 1}}
    over = {"a": {"c": {"e": 3}, "b": None}, "list": [3], "scalar": {"y": 2}, "map": "text", "new": {"z": 1}}

    merged = merge_values(base, over)

    assert merged == {
        "a": {"b": None, "c": {"d": 2, "e": 3}},
        "list": [3],
        "scalar": {"y": 2},
        "map": "text",
        "new": {"z": 1},
    }
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "list": [1, 2], "scalar": 1, "map": {"x": 1}}
