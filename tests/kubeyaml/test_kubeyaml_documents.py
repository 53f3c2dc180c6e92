"""Where documents begin and end, and how bytes become text."""

from __future__ import annotations

import codecs

import pytest

from gitsync.errors import YamlError
from gitsync.kubeyaml import MAX_BYTES, Document, decode, split


def texts(data: str) -> list[str]:
    return [document.text for document in split(data)]


def test_documents_end_at_lines_of_dashes() -> None:
    assert texts("a: 1\n---\nb: 2\n--- # comment\nc: 3\n---#comment\nd: 4\n---   \n") == [
        "a: 1\n",
        "b: 2\n",
        "c: 3\n",
        "d: 4\n",
    ]


def test_documents_know_the_line_they_begin_on() -> None:
    assert [document.line for document in split("\n# x\na: 1\n---\n\nb: 2\n---\n---\nc: 3")] == [1, 5, 9]


def test_dashes_inside_of_a_document_do_not_end_it() -> None:
    text = "a: |\n  ---\n  b\nc: --- \nd:\n- ---\n ---: e\n"
    assert texts(text) == [text]


def test_blank_documents_are_left_out_and_comments_are_not() -> None:
    assert texts("") == texts("\n \n---\n\n---\n") == []
    assert texts("# only a comment\n---\n") == ["# only a comment\n"]


def test_a_document_that_ends_at_once_has_the_separator_that_no_other_document_ends_with() -> None:
    assert list(split("---\n# c\n...\n---\na: 1\n")) == [Document("---\n# c\n...\n", 1), Document("a: 1\n", 5)]
    assert list(split("a: 1\n---\n---\n...\n")) == [Document("a: 1\n", 1), Document("---\n...\n", 3)]
    assert list(split("a: 1\n---\n...\n")) == [Document("a: 1\n", 1), Document("...\n", 3)]
    assert texts("---\n---\n...\n") == ["...\n"]
    assert texts("---\n....\n---\n...a\n") == ["....\n", "...a\n"]


def test_windows_line_ends_separate_too() -> None:
    assert texts("a: 1\r\n---\r\nb: 2\r\n") == ["a: 1\r\n", "b: 2\r\n"]


def test_marks_of_files_that_were_joined_are_left_out() -> None:
    assert texts("\ufeffa: 1\n---\n\ufeffb: 2\n") == ["a: 1\n", "b: 2\n"]


@pytest.mark.parametrize("line", ["--- a: 1", "---a", "--- {a: 1}", "----", "--- !!map"])
def test_content_on_a_separator_line_is_refused_as_by_kubectl(line: str) -> None:
    with pytest.raises(YamlError, match="separator") as caught:
        list(split(f"a: 1\n{line}\nb: 2\n"))
    assert (caught.value.line, caught.value.column) == (2, 4)


def test_json_values_follow_each_other_without_separators() -> None:
    assert list(split('{"a": 1}{"b": "}{"}\n\n {"c": {}}\n')) == [
        Document('{"a": 1}', 1),
        Document('{"b": "}{"}', 1),
        Document('{"c": {}}', 3),
    ]


def test_yaml_may_follow_json() -> None:
    assert list(split('{"a": 1}\n---\nb: 2\n---\n{c: 3}\n')) == [
        Document('{"a": 1}', 1),
        Document("b: 2\n", 3),
        Document("{c: 3}\n", 5),
    ]


def test_braces_that_are_no_json_are_one_yaml_document() -> None:
    assert texts("{a: 1,\n # }\n b: 2}\n") == ["{a: 1,\n # }\n b: 2}\n"]


def test_more_than_ten_thousand_documents_are_refused() -> None:
    assert len(list(split("a: 1\n---\n" * 10_000))) == 10_000
    with pytest.raises(YamlError, match="10,000 documents"):
        list(split("a: 1\n---\n" * 10_001))
    with pytest.raises(YamlError, match="10,000 documents"):
        list(split('{"a":1}' * 100_000))


@pytest.mark.parametrize(
    "data",
    [
        "é: 1".encode(),
        codecs.BOM_UTF8 + "é: 1".encode(),
        "é: 1".encode("utf-16"),
        codecs.BOM_UTF16_LE + "é: 1".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "é: 1".encode("utf-16-be"),
    ],
)
def test_encodings_are_told_by_their_marks(data: bytes) -> None:
    assert decode(data) == "é: 1"


@pytest.mark.parametrize(
    ("data", "message", "place"),
    [
        (b"a: 1\nb: \xff\n", "UTF-8", (2, 4)),
        (b"a: 1\nb: \xc3", "UTF-8", (2, 4)),
        (codecs.BOM_UTF8 + b"\xff", "UTF-8", (1, 1)),
        ("é: 1".encode("latin-1"), "UTF-8", (1, 1)),
        (codecs.BOM_UTF16_LE + b"a\0\n\0b", "UTF-16", (2, 1)),
        (b"a: 1\nb: \0\n", "NUL", (2, 4)),
        (b"\x89PNG\r\n\x1a\n\0\0", "UTF-8", (1, 1)),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(data: bytes, message: str, place: tuple[int, int]) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        decode(data)
    assert (caught.value.line, caught.value.column) == place


def test_a_file_over_ten_mebibytes_is_refused() -> None:
    assert len(decode(b" " * MAX_BYTES)) == MAX_BYTES
    with pytest.raises(YamlError, match=r"10\.0 MiB, over the limit of 10 MiB"):
        decode(b" " * (MAX_BYTES + 1))
