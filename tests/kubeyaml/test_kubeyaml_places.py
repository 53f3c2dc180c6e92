"""Line and column of every field."""

from __future__ import annotations

import pytest

from gitsync.kubeyaml import load, positions

TEXT = """\
# comment
apiVersion: v1
"spec":
  dependsOn:
    - name: redis
      namespace: data
    - {name: kafka, "namespace": x}
  values: &values
    n: 1
    0x10: a
    long: |
      text
      text
  merged:
    <<: *values
    own: 1
  merged-list:
    <<: [{first: 1}, *values]
  same: *values
  listed: [*values]
  é😀: {z: 1}
  tagged:
    !!merge <<: *values
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (2, 1)),
        (("apiVersion",), (2, 1)),
        (("spec",), (3, 1)),
        (("spec", "dependsOn"), (4, 3)),
        (("spec", "dependsOn", 0), (5, 7)),
        (("spec", "dependsOn", 0, "namespace"), (6, 7)),
        (("spec", "dependsOn", 1), (7, 7)),
        (("spec", "dependsOn", 1, "namespace"), (7, 21)),
        (("spec", "values", "false"), (9, 5)),
        (("spec", "values", "16"), (10, 5)),
        (("spec", "values", "long"), (11, 5)),
        (("spec", "merged", "long"), (11, 5)),
        (("spec", "merged", "own"), (16, 5)),
        (("spec", "merged-list", "first"), (18, 11)),
        (("spec", "merged-list", "16"), (10, 5)),
        (("spec", "same"), (19, 3)),
        (("spec", "same", "16"), (10, 5)),
        (("spec", "listed", 0), (20, 12)),
        (("spec", "listed", 0, "16"), (10, 5)),
        (("spec", "é😀", "z"), (21, 8)),
        (("spec", "tagged", "16"), (10, 5)),
    ],
)
def test_fields_are_found_where_they_are_written(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert positions(TEXT).find(path) == place
    assert positions(TEXT.replace("\n", "\r\n")).find(path) == place


def test_a_key_that_looks_like_the_one_to_merge_by_is_a_key() -> None:
    text = "a: 1\n\"<<\\0\": {b: 2}\n'<<': {c: 3}\n"
    assert load(text) == {"a": 1, "<<\0": {"b": 2}, "<<": {"c": 3}}
    found = positions(text)
    assert [found.find(path) for path in (("<<\0",), ("<<\0", "b"), ("<<", "c"))] == [(2, 1), (2, 10), (3, 8)]
    assert found.find(("b",)) == (1, 1), "it is not there"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("spec", "interval"), (3, 1)),
        (("spec", "dependsOn", 7, "name"), (4, 3)),
        (("spec", "dependsOn", "name"), (4, 3)),
        (("spec", "dependsOn", 0, "name", "deeper"), (5, 7)),
        (("nothing",), (2, 1)),
    ],
)
def test_what_is_missing_is_placed_where_it_would_belong(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert positions(TEXT).find(path) == place


def test_places_do_not_depend_on_the_order_of_questions() -> None:
    asked_forwards = positions(TEXT)
    paths = [("apiVersion",), ("spec", "dependsOn", 1), ("spec", "same")]
    forwards = [asked_forwards.find(path) for path in paths]
    asked_backwards = positions(TEXT)
    assert [asked_backwards.find(path) for path in reversed(paths)] == forwards[::-1]


def test_lines_are_counted_as_editors_do() -> None:
    text = "a: 'x\u2028y\x85z'\nb: 1\n"
    assert positions(text).find(("b",)) == (2, 1)


def test_json_has_places_too() -> None:
    text = '{\n\t"a": {"b\\/c": 1, "\\ud83d\\ude00": [1,\n\t{"d": "\\ud83d"}]},\n "e": 2}'
    found = positions(text)
    assert found.find(("a",)) == (2, 2)
    assert found.find(("a", "b/c")) == (2, 8)
    assert found.find(("e",)) == (4, 2)


def test_text_without_places_has_a_beginning() -> None:
    for text in ("", "a: [", "\x01", "{", "\ud83d"):
        assert positions(text).find(("a", 1)) == (1, 1)


def test_text_that_could_not_be_read_does_no_harm() -> None:
    assert positions("a: &a\n  <<: *a\n  b: [*a]\n").find(("a", "c")) == (1, 1)
    assert positions("a: " + "[" * 1_000_000).find(("a", 0, 0)) == (1, 6)
