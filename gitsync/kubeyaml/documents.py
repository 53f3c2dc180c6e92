"""From bytes to documents: encodings, and where kubectl sees one document end and the next begin."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from gitsync.errors import YamlError
from gitsync.kubeyaml.limits import MAX_BYTES, MAX_DOCUMENTS, MAX_JSON_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A line that begins with three dashes ends a document, wherever it stands (apimachinery's YAMLReader).
_SEPARATOR: Final = re.compile(r"^---(.*)$", re.MULTILINE)
#: A document that ends before it holds anything: only comments above a line of three dots.
#: It never goes back: to remember where it could would take memory for each line, of which there may be millions.
_ENDS_AT_ONCE: Final = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?\r?\n)*+\.\.\.(?=\s|\Z)")
#: A line that begins or ends a document in YAML itself, and lines that are no part of any: comments, directives.
_MARK: Final = re.compile(r"^(?:---|\.\.\.)(?=\s|\Z)", re.MULTILINE)
_NO_CONTENT: Final = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?\r?\n|%[^\n]*+\n)*+")
_SPACE: Final = re.compile(r"\s*")
_JSON: Final = json.JSONDecoder()
_BOM: Final = "\ufeff"


class Document(NamedTuple):
    """One document of a file: its text, and the file's line (1-based) on which that text begins."""

    text: str
    line: int


def decode(data: bytes) -> str:
    """A file's text: UTF-8, or UTF-16 when it begins with that encoding's byte order mark, as Kubernetes decides.

    Raises: YamlError for a file over MAX_BYTES, bytes that are not text, and NUL characters.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        readable = data[: error.start].decode("utf-16" if utf16 else "utf-8-sig", "replace")
        line, column = line_and_column(readable, len(readable))
        message = f"the file is not {'UTF-16' if utf16 else 'UTF-8'} text"
        raise YamlError(message, line=line, column=column, hint="save it as UTF-8") from None
    refuse_nul(text)
    return text


def split(data: str) -> Iterator[Document]:
    """The documents of a file, in order, as kubectl reads a stream: JSON values one after another when it begins with
    a brace, from the first thing that is no JSON on YAML documents separated by lines of ``---``. What holds nothing
    but white space is left out; a document of comments only is not.

    Raises: YamlError for content on a separator's line, which kubectl refuses, and for over MAX_DOCUMENTS documents.
    """
    line = last = 0
    for number, (start, end) in enumerate(_spans(data)):
        if number == MAX_DOCUMENTS:
            raise YamlError(f"more than {MAX_DOCUMENTS:,} documents", line=line + 1, hint="split the file")
        line += data.count("\n", last, start)
        last = start
        yield Document(data[start:end].removeprefix(_BOM), line + 1)


def first_document(text: str) -> str:
    """The text up to the end of its first document, as YAML has it, and programs that read a single one: comments and
    directives above the first line of ``---`` are part of it, while for kubectl that line is the end of a document."""
    begun = False
    last = 0
    for mark in _MARK.finditer(text):
        if begun or _NO_CONTENT.match(text, last, mark.start()).end() < mark.start():  # type: ignore[union-attr]
            return text[: mark.start()]
        begun = mark[0] == "---"
        last = mark.end()
    return text


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """The 1-based place of a character. Lines end with a line feed, as editors and Git count them; YAML 1.1 also ends
    them at U+0085, U+2028 and U+2029, so libyaml's own count is not used."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def refuse_nul(text: str) -> None:
    """Raises: YamlError for a NUL as such, which YAML does not allow: most often the file is no text."""
    index = text.find("\0")
    if index >= 0:
        line, column = line_and_column(text, index)
        raise YamlError("a NUL character", line=line, column=column, hint="is this a binary file?")


def too_large(size: int) -> YamlError:
    """The error for a file of ``size`` bytes."""
    limit = f"{MAX_BYTES // 1024 // 1024} MiB"
    return YamlError(f"the file is {size / 1024 / 1024:.1f} MiB, over the limit of {limit}", hint="split it")


def _spans(data: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each document that is not blank."""
    position = 0
    if _skip_space(data, 0) < len(data) and data[_skip_space(data, 0)] == "{":
        refuse_many_values(data)
    while (start := _skip_space(data, position)) < len(data) and data[start] == "{":
        end = _json_end(data, start)
        if end < 0:
            break
        yield start, end
        position = end
    begin = position  # as position, or where the separator above begins, if that is part of the document
    for match in _SEPARATOR.finditer(data, position):
        rest = match[1].strip()
        if rest and not rest.startswith("#"):
            line, _ = line_and_column(data, match.start())
            hint = "begin the document on the next line"
            raise YamlError("content on the line of a document separator", line=line, column=4, hint=hint)
        yield from _unless_blank(data, begin, position, match.start())
        position = min(match.end() + 1, len(data))
        if begin != match.start():
            begin = position
    yield from _unless_blank(data, begin, position, len(data))


def _unless_blank(data: str, begin: int, position: int, end: int) -> Iterator[tuple[int, int]]:
    """The document from ``position`` to ``end``, or from ``begin``, where the separator above it is part of it.

    A separator that ends no document, at the beginning of a file or after another one, is part of the document below it
    (apimachinery's YAMLReader). Only one document reads differently with it: ``...`` is an error, and nothing with
    ``---`` above it. All others come without it.
    """
    if not _is_blank(data, position, end):
        yield (begin if _ENDS_AT_ONCE.match(data, position, end) else position), end


def refuse_many_values(data: str) -> None:
    """Raises: YamlError when JSON may hold more than MAX_JSON_VALUES values, before any of them is made."""
    if sum(map(data.count, ",{[")) > MAX_JSON_VALUES:
        raise YamlError(f"more than {MAX_JSON_VALUES:,} values", hint="split the file")


def _json_end(data: str, start: int) -> int:
    """Where the JSON value that begins at ``start`` ends; -1 when it is none."""
    try:
        return _JSON.raw_decode(data, start)[1]
    except (ValueError, RecursionError):
        return -1


def _skip_space(data: str, position: int) -> int:
    match = _SPACE.match(data, position)
    return match.end() if match else position


def _is_blank(data: str, start: int, end: int) -> bool:
    return _skip_space(data, start) >= end
