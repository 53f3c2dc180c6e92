"""What is nested too deep to be decoded costs an object the field that has it, and others nothing."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.depth import is_deeper, shallow


def deep(levels: int) -> str:
    return '{"a":[' * (levels // 2) + "1" + "]}" * (levels // 2)


def test_a_value_is_measured_without_going_down_into_it() -> None:
    value: object = 1
    for _ in range(200_000):
        value = [value]
    assert is_deeper(value)
    assert not is_deeper(1, 0)
    assert (is_deeper([[[1]]], 1), is_deeper([[1]], 1)) == (True, False)


@pytest.mark.parametrize("levels", [1100, 9000])
def test_of_a_list_only_the_field_that_is_too_deep_is_null(levels: int) -> None:
    text = json.dumps(
        {
            "kind": "List",
            "items": [
                {"metadata": {"name": "a"}, "spec": {"x": ['} ] " \\ {', "DEEP"]}, "status": {"y": 1}},
                {"metadata": {"name": "b", "managedFields": ["DEEP"]}, "spec": {"metadata": ["DEEP"]}},
                {"metadata": {"name": "c"}, "spec": {"x": [[[1]]]}},
            ],
        }
    )
    found = orjson.loads(shallow(text.replace('"DEEP"', deep(levels)).encode(), 4))
    assert found["items"] == [
        {"metadata": {"name": "a"}, "spec": None, "status": {"y": 1}},
        {"metadata": {"name": "b", "managedFields": None}, "spec": None},
        {"metadata": {"name": "c"}, "spec": {"x": [[[1]]]}},
    ]


def test_of_an_object_and_of_an_event_likewise() -> None:
    item = f'{{"metadata":{{"name":"a"}},"spec":{deep(2000)},"x":1}}'
    assert orjson.loads(shallow(item.encode(), 2)) == {"metadata": {"name": "a"}, "spec": None, "x": 1}
    event = orjson.loads(shallow(f'{{"type":"ADDED","object":{item}}}'.encode(), 3))
    assert event == {"type": "ADDED", "object": {"metadata": {"name": "a"}, "spec": None, "x": 1}}


@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
    st.integers(1, 5),
)
def test_what_is_not_deep_stays_as_it_is(value: object, level: int) -> None:
    raw = json.dumps(value).encode()
    assert shallow(raw, level) == raw


@given(st.binary(), st.integers(1, 5))
def test_what_is_no_json_is_no_error(raw: bytes, level: int) -> None:
    assert isinstance(shallow(raw, level), bytes)


def test_hostile_text_costs_little_time() -> None:
    for raw in (b'"' + b"\\" * 2_000_000, b"[" * 2_000_000, b'"a' * 1_000_000, b"[{]}" * 500_000):
        shallow(raw, 4)
