"""Sets of fields: united, taken from each other, and applied to objects."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from gitsync.apply.fieldsv1 import Fields, among, below, difference, overlaid, union, without

LEAF: Fields = {}


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], {}),
        ([{"f:a": LEAF}, {"f:b": LEAF}], {"f:a": LEAF, "f:b": LEAF}),
        ([{"f:a": {"f:x": LEAF}}, {"f:a": {"f:y": LEAF}}], {"f:a": {"f:x": LEAF, "f:y": LEAF}}),
        ([{"f:a": LEAF}, {"f:a": {"f:y": LEAF}}], {"f:a": {".": {}, "f:y": LEAF}}),
        ([{"f:a": {".": {}, "f:y": LEAF}}, {"f:a": LEAF}], {"f:a": {".": {}, "f:y": LEAF}}),
        ([{"f:a": LEAF}, {"f:a": LEAF}], {"f:a": LEAF}),
    ],
)
def test_union(sets: list[Fields], expected: Fields) -> None:
    assert union(sets) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"f:a": LEAF}, {}, {"f:a": LEAF}),
        ({"f:a": LEAF}, {"f:a": LEAF}, {}),
        ({"f:a": {"f:x": LEAF, "f:y": LEAF}}, {"f:a": {"f:x": LEAF}}, {"f:a": {"f:y": LEAF}}),
        ({"f:a": {".": {}, "f:x": LEAF}}, {"f:a": {"f:x": LEAF}}, {"f:a": LEAF}),
        ({"f:a": {".": {}, "f:x": LEAF}}, {"f:a": LEAF}, {"f:a": {"f:x": LEAF}}),
        ({"f:a": {".": {}, "f:x": LEAF}}, {"f:a": {".": {}, "f:x": LEAF}}, {}),
        ({"f:a": {".": {}, "f:x": LEAF, "f:y": LEAF}}, {"f:a": {"f:x": LEAF}}, {"f:a": {".": {}, "f:y": LEAF}}),
    ],
)
def test_difference(one: Fields, other: Fields, expected: Fields) -> None:
    assert difference(one, other) == expected


def test_the_part_below_a_path() -> None:
    fields = {"f:metadata": {"f:labels": {"f:a": LEAF}, "f:finalizers": {'v:"x"': LEAF}}, "f:spec": LEAF}

    assert below(fields, ("f:metadata", "f:finalizers")) == {"f:metadata": {"f:finalizers": {'v:"x"': LEAF}}}
    assert below(fields, ("f:metadata", "f:ownerReferences")) == {}
    assert below(fields, ("f:status",)) == {}
    assert below(fields, ("f:spec", "f:x")) == {}


PORT = 'k:{"containerPort":80,"protocol":"TCP"}'


@pytest.mark.parametrize(
    ("value", "fields", "expected"),
    [
        ({"a": 1}, {"f:a": LEAF, "f:b": LEAF}, {"f:a": LEAF}),
        ({"a": {"x": 1}}, {"f:a": {".": {}, "f:x": LEAF, "f:y": LEAF}}, {"f:a": {".": {}, "f:x": LEAF}}),
        ({"a": {}}, {"f:a": {"f:x": LEAF}}, {}),
        ({"ports": [{"containerPort": 80}]}, {"f:ports": {PORT: {"f:containerPort": LEAF}}}, None),
        ({"ports": [{"containerPort": 80, "protocol": "UDP"}]}, {"f:ports": {PORT: LEAF}}, {}),
        ({"finalizers": ["a"]}, {"f:finalizers": {'v:"a"': LEAF, 'v:"b"': LEAF}}, {"f:finalizers": {'v:"a"': LEAF}}),
        (None, {"f:a": LEAF}, {}),
        ("text", {"f:a": LEAF}, {}),
        ([1], {"f:a": LEAF}, {}),
        ([{"name": "a"}], {"k:no JSON": LEAF, "k:[1]": LEAF, "i:7": LEAF}, {}),
    ],
)
def test_what_of_a_set_an_object_has(value: Any, fields: Fields, expected: Fields | None) -> None:
    assert among(fields, value) == (fields if expected is None else expected)


MODE, DEBUG = {"name": "MODE", "value": "a"}, {"name": "DEBUG", "value": "1"}
OF_MODE = {'k:{"name":"MODE"}': {".": {}, "f:name": LEAF, "f:value": LEAF}}
OF_DEBUG = {'k:{"name":"DEBUG"}': {".": {}, "f:name": LEAF, "f:value": LEAF}}


@pytest.mark.parametrize(
    ("value", "gone", "kept", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"f:a": LEAF}, {}, {"b": 2}, id="a field"),
        pytest.param({"a": 1}, {"f:a": LEAF}, {"f:a": LEAF}, {"a": 1}, id="a field that another holds"),
        pytest.param({"a": 1}, {"f:b": LEAF, "f:c": {"f:d": LEAF}}, {}, {"a": 1}, id="a field that is not there"),
        pytest.param({"a": {"x": 1}}, {"f:a": {"f:x": LEAF}}, {}, {}, id="all fields of a map"),
        pytest.param({"a": {"x": 1}}, {"f:a": {".": {}, "f:x": LEAF}}, {}, {}, id="a map"),
        pytest.param({"a": {"x": 1, "y": 2}}, {"f:a": LEAF}, {}, {}, id="a map with what is nobody's in it"),
        pytest.param(
            {"a": {"x": 1, "y": 2}},
            {"f:a": {".": {}, "f:x": LEAF}},
            {"f:a": {"f:y": LEAF}},
            {"a": {"y": 2}},
            id="a map in which another holds something",
        ),
        pytest.param(
            {"env": [MODE, DEBUG]},
            {"f:env": {**OF_MODE, **OF_DEBUG}},
            {"f:env": OF_MODE},
            {"env": [MODE]},
            id="an element by its key",
        ),
        pytest.param(
            {"env": [MODE, DEBUG]},
            {"f:env": OF_DEBUG},
            {"f:env": {**OF_MODE, 'k:{"name":"DEBUG"}': {"f:value": LEAF}}},
            {"env": [MODE]},
            id="an element in which another only holds something",
        ),
        pytest.param(
            {"env": [DEBUG | {"extra": 1}]},
            {"f:env": {'k:{"name":"DEBUG"}': {**OF_DEBUG['k:{"name":"DEBUG"}'], "f:extra": LEAF}}},
            {"f:env": OF_DEBUG},
            {"env": [DEBUG]},
            id="a field of an element",
        ),
        pytest.param(
            {"f": ["a", "b"]},
            {"f:f": {'v:"a"': LEAF}},
            {"f:f": {'v:"b"': LEAF}},
            {"f": ["b"]},
            id="an element by its value",
        ),
        pytest.param(
            {"f": ["a", "b"]},
            {"f:f": {"i:0": LEAF}},
            {"f:f": {"i:1": LEAF}},
            {"f": ["b"]},
            id="an element by its place",
        ),
        pytest.param(
            {"f": [1, True]},
            {"f:f": {"v:1": LEAF}},
            {"f:f": {"v:true": LEAF}},
            {"f": [True]},
            id="numbers are no booleans",
        ),
        pytest.param({"a": "text"}, {"f:a": {"f:b": LEAF}}, {"f:a": LEAF}, {"a": "text"}, id="a map that is none"),
    ],
)
def test_an_object_without_fields(value: Any, gone: Fields, kept: Fields, expected: Any) -> None:
    before = json.dumps(value)

    assert without(value, gone, kept) == expected
    assert json.dumps(value) == before, "the object itself is left as it is"


INJECTED = {"name": "INJECTED", "value": "x"}


@pytest.mark.parametrize(
    ("value", "manifest", "fields", "expected"),
    [
        pytest.param({"a": 1}, {"b": 2}, None, {"a": 1, "b": 2}, id="fields of both"),
        pytest.param({"a": {"x": 1}}, {"a": {"y": 2}}, None, {"a": {"x": 1, "y": 2}}, id="nobody's map"),
        pytest.param({"a": {"x": 1}}, {"a": {"y": 2}}, {"f:a": LEAF}, {"a": {"y": 2}}, id="a map that is one value"),
        pytest.param({"a": [1]}, {"a": [2]}, None, {"a": [2]}, id="nobody's list"),
        pytest.param({"a": [1]}, {"a": [2]}, {"f:a": LEAF}, {"a": [2]}, id="a list that is one value"),
        pytest.param({"a": [1]}, {"a": [2]}, {"f:a": {"v:1": LEAF}}, {"a": [2, 1]}, id="a set"),
        pytest.param(
            {"env": [INJECTED, {"name": "MODE", "value": "old"}]},
            {"env": [MODE]},
            {"f:env": OF_MODE},
            {"env": [MODE, INJECTED]},
            id="a list with keys",
        ),
        pytest.param({"a": {"x": 1}}, {"a": "text"}, None, {"a": "text"}, id="another kind of value"),
    ],
)
def test_an_object_with_what_a_manifest_says(value: Any, manifest: Any, fields: Fields | None, expected: Any) -> None:
    assert overlaid(value, manifest, fields) == expected


def test_long_lists_take_linear_time() -> None:
    items = [{"name": f"v{number}", "value": "x"} for number in range(20_000)]
    fields = {"f:env": {f'k:{{"name":"v{number}"}}': {"f:value": LEAF} for number in range(20_000)}}
    began = time.thread_time()

    assert without({"env": items}, fields, {"f:env": LEAF})["env"][-1] == {"name": "v19999"}
    assert time.thread_time() - began < 5
