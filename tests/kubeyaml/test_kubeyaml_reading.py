"""Values, errors and their places. That values are Kubernetes' own is held against kubectl in tests/manifests."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gitsync.errors import YamlError
from gitsync.kubeyaml import load, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 0644\nb: yes\nn: 1\n", {"a": 420, "b": True, "false": 1}),
        ("id: 9007199254740993\n", {"id": 9007199254740993}),
        ("- a\n- b: [1]\n", ["a", {"b": [1]}]),
        ("  - a\n  -   b: |\n        c\n", ["a", {"b": "c\n"}]),
        ("---\n# comment\n- a: 9007199254740993\n", [{"a": 9007199254740993}]),
        ("&x\n- a\n", ["a"]),
        ("[a,\nb]", ["a", "b"]),
        ('[{"op": "add", "path": "/a"}]', [{"op": "add", "path": "/a"}]),
        ("[]", []),
        ("{}", {}),
        ("", None),
        ("# comment\n", None),
        ("null\n", None),
        ('{"a": 1.0, "b": 12345678901234567890}', {"a": 1, "b": 12345678901234567000}),
    ],
)
def test_load_gives_the_json_that_kubernetes_reads(text: str, value: Any) -> None:
    assert load(text) == value


def test_a_single_value_is_no_document() -> None:
    with pytest.raises(YamlError, match="a single value") as caught:
        load("\njust words\n")
    assert (caught.value.line, caught.value.column) == (2, 1)


def test_the_last_of_duplicate_keys_wins_unless_they_are_to_be_unique() -> None:
    assert load("a: 1\na: 2\n") == {"a": 2}
    with pytest.raises(YamlError, match=r"the key 'a' is given twice, first on line 1"):
        load("a: 1\na: 2\n", unique_keys=True)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is given twice, first on line 1", (3, 1)),
        ("a:\n  - b: 1\n    c: 2\n    b: 3\n", "'b' is given twice, first on line 2", (4, 5)),
        ("{a: 1, 'a': 2}", "'a' is given twice", (1, 8)),
        ("n: 1\n'false': 2\n", "'false' is given twice", (2, 1)),
        ("1: a\n0x1: b\n", "'1' is given twice", (2, 1)),
        ("a: 1\n!!str a: 2\n", "'a' is given twice", (2, 1)),
        ("a: 1\n? a\n: 2\n", "'a' is given twice", (2, 3)),
        ("x: &k a\ny: {a: 1, *k : 2}\n", "'a' is given twice", (2, 11)),
        ("a: 1\nb: x\nb : {}\n", "'b' is given twice", (3, 1)),
        ("a:\n- b: 1\n  b: 2\n", "'b' is given twice", (3, 3)),
        ("a: [b: 1, b: 2]\nc: [{d: 1, d: 2}]\n", "'d' is given twice", (2, 12)),
        ('{"a": {"b": 1,\n "b": 2}}', "'b' is given twice, first on line 1", (2, 2)),
        ('{"\\ud83d\\ude00": "\\ud83d", "a": 1, "a": 2}', "'a' is given twice", (1, 36)),
        ("a: 1\na: 2\nb: 'c: d'\ne: f: g\n", "'a' is given twice", (2, 1)),
    ],
)
def test_duplicate_keys_are_told_with_both_places(text: str, message: str, place: tuple[int, int]) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        load(text, unique_keys=True)
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize(
    "text",
    [
        "a: {b: 1}\nc: {b: 1}\n",
        "a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: {<<: *a, <<: {y: 1}}\n",
        "'1': a\n1.5: b\n'yes': c\nyes: d\n",
        "a: b\nb: a\nc: 'a: b'\n# a: b\n",
        "text: |\n  a: 1\n  a: 2\n",
    ],
)
def test_what_only_looks_like_duplicates_is_read(text: str) -> None:
    assert load(text, unique_keys=True) == load(text)


def test_places_count_from_the_line_on_which_the_document_begins() -> None:
    assert read("\n# x\n  a: 1\n", first_line=40)[2:] == (42, 3)
    assert read("\n{a: 1}\n", first_line=40)[2:] == (41, 1)
    with pytest.raises(YamlError, match="first on line 41") as caught:
        read("\na: 1\na: 2\n", unique_keys=True, first_line=40)
    assert caught.value.line == 42
    with pytest.raises(YamlError, match="quoted scalar that begins on line 41") as caught:
        read("\na: 'b\n\n", first_line=40)
    assert caught.value.line == 43


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1\n", "spaces"),
        ("a: {{ .Values.a }}\n", "chart"),
        ("a: {{- .Values.a -}}\n", "chart"),
        ("{{ if .x }}\na: 1\n{{ end }}\n", "chart"),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", "merge conflict"),
        ("a: `b`\n", "quote"),
        ("%YAML 1.2\n", "directives"),
        ("a: 1\n...\nb: 2\n", "^$"),
        ("spec:\n  interval: 1m\n   chart: x\n", "deeper than the field above"),
        ("spec:\n  message: not so: fast\n", "quote a value"),
        ("a:\n   b: 1\n  c: 2\n", "^indent it as its neighbours are$"),
        ("a:\n   - b\n  - c\n", "^indent it as its neighbours are$"),
    ],
)
def test_errors_hint_at_what_probably_happened(text: str, hint: str) -> None:
    with pytest.raises(YamlError) as caught:
        load(text)
    assert re.search(hint, caught.value.hint), caught.value.hint


def test_text_after_the_end_of_a_document_is_not_lost_silently() -> None:
    for text in (
        "a: 1\n...\n---\nb: 2\n",
        "a: 1\n---\nb: 2\n",
        "  a: 1\nb: 2\n",
        "{a: 1}\nb: 2\n",
        "a: 1\r---\rb: 2\r",
    ):
        with pytest.raises(YamlError):
            load(text)


@pytest.mark.parametrize(
    "text",
    [
        "password: 'hunter2\n",
        "password: !!int hunter2\n",
        "password: !!binary hunter2*\n",
        "password: @hunter2\n",
        "password: hunter2: hunter2\n",
        "password: {hunter2: {[hunter2]: 1}}\n",
        "password: &hunter2 [*hunter2]\n",
        "password: *hunter2\n",
        'password: "hunter2\\q"\n',
        'password: "hunter2\\/"\n',
        "password: [.inf, hunter2]\n",
        "a: hunter2\n<<: hunter2\n",
        "? {password: hunter2}\n: 1\n",
        '{"password": "hunter2" "a"}',
        '{"password": "hunter2", "password": "hunter2"}',
        "password: hunter2\npassword: hunter2\n",
        "hunter2\n",
        "password: hunter2\x01\n",
        "password: !hunter2!a b\n",
        "%hunter2\n",
    ],
)
def test_messages_quote_nothing_but_keys(text: str) -> None:
    with pytest.raises(YamlError) as caught:
        load(text, unique_keys=True)
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_names_of_fields_are_kept_once_for_all_documents() -> None:
    one, two = (next(iter(read(f"application.properties: {number}\n").value)) for number in (1, 2))
    assert one is two
