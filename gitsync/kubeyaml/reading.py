"""A document's value: the JSON that Kubernetes makes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from gitsync.errors import YamlError
from gitsync.kubeyaml import jsontext
from gitsync.kubeyaml.compose import compose
from gitsync.kubeyaml.documents import line_and_column, refuse_nul, too_large
from gitsync.kubeyaml.limits import MAX_BYTES


class Reading(NamedTuple):
    """What was read. ``root`` is mapping, sequence, scalar, or "" for nothing and null; ``value`` is None unless it is
    one of the first two. ``line`` and ``column`` say where the root begins."""

    value: Any
    root: str
    line: int
    column: int


def load(text: str, *, unique_keys: bool = False) -> Any:
    """The JSON value of one YAML or JSON document, as ``kubectl`` reads it; None for an empty one.

    As Kubernetes does it, the last of duplicate keys wins, unless ``unique_keys``.
    Raises: YamlError for what is neither, is over a bound, or is a single scalar.
    """
    reading = read(text, unique_keys=unique_keys)
    if reading.root == "scalar":
        raise _scalar(reading.line, reading.column)
    return reading.value


def read(text: str, *, unique_keys: bool = False, first_line: int = 1) -> Reading:
    """As load, with the place of the root. ``first_line`` is the file's line on which ``text`` begins; lines are
    counted from it, in errors too.

    Raises: YamlError
    """
    try:
        reading = _read(text, unique_keys, first_line)
    except YamlError as error:
        if error.line:
            error.line += first_line - 1
        raise
    return reading._replace(line=reading.line + first_line - 1)


def _read(text: str, unique_keys: bool, first_line: int) -> Reading:
    if len(text) > MAX_BYTES:
        raise YamlError(f"more than {MAX_BYTES // 1024 // 1024} MiB of text", hint="split the file")
    refuse_nul(text)
    refused: YamlError | None = None
    if jsontext.may_be_json(text):
        try:
            value = jsontext.parse(text, unique_keys=unique_keys, first_line=first_line)
        except jsontext.NotJson as error:
            refused = error.explained
        else:
            return Reading(value, "mapping", *line_and_column(text, len(text) - len(text.lstrip())))
    try:
        return _read_yaml(text, unique_keys, first_line)
    except YamlError:
        if refused is not None:
            raise refused from None
        raise


def read_first(text: str) -> Any:
    """The value of the first YAML document of a text, as Helm reads a file of values; None for nothing.

    Raises: YamlError, also for a single scalar.
    """
    if len(text) > MAX_BYTES:
        raise too_large(len(text))
    refuse_nul(text)
    kind, start, value = compose(text, only_first=True)
    if kind == "scalar":
        raise _scalar(*line_and_column(text, start))
    return value


def _scalar(line: int, column: int) -> YamlError:
    return YamlError("a single value where a mapping or a list is expected", line=line, column=column)


def _read_yaml(text: str, unique_keys: bool, first_line: int) -> Reading:
    kind, start, value = compose(text, unique_keys=unique_keys, first_line=first_line)
    return Reading(value, kind, *line_and_column(text, start))
