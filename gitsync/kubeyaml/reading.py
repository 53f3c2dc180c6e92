"""A document's value: the JSON that Kubernetes makes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gitsync.errors import YamlError
from gitsync.kubeyaml import goyaml, jsontext
from gitsync.kubeyaml.bounds import Root, check_bounds
from gitsync.kubeyaml.documents import line_and_column, refuse_nul
from gitsync.kubeyaml.explain import explain
from gitsync.kubeyaml.limits import MAX_BYTES
from gitsync.kubeyaml.places import positions

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Wherever an integer of 2^53 or more can be: in any base that YAML knows it takes 16 characters, or an exponent.
_LARGE_NUMBER: Final = re.compile(r"[0-9][0-9A-Fa-f_xXoO]{15}|[0-9.][eE]\+?_*[0-9]")
_EXACT: Final = 2**53


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
        message = "a single value where a mapping or a list is expected"
        raise YamlError(message, line=reading.line, column=reading.column)
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


def _read_yaml(text: str, unique_keys: bool, first_line: int) -> Reading:
    root = check_bounds(text, unique_keys=unique_keys, first_line=first_line)
    value: Any = None
    try:
        if root.kind == "mapping":
            value = goyaml.mapping(text)
        elif root.kind == "sequence":
            value = goyaml.mapping(_inside_a_mapping(text, root))["x"]
    except goyaml.GoyamlRefusal as refusal:
        raise explain(text, str(refusal)) from None
    if value is not None and _LARGE_NUMBER.search(text):
        _restore_integers(text, value)
    return Reading(value, root.kind, *line_and_column(text, root.start))


def _inside_a_mapping(text: str, root: Root) -> str:
    """The text of a list made the value of the key ``x``, since helm_python reads mappings only. A list in blocks
    begins on a line of its own, to keep its indentation."""
    if text[root.start] == "-":
        column = root.start - text.rfind("\n", 0, root.start) - 1
        return "x:\n" + " " * column + text[root.start :]
    return "x: " + text[root.start :]


def _restore_integers(text: str, value: Any) -> None:
    """Puts back the digits of integers beyond 2^53, which helm_python reads as floating point numbers. Kubernetes keeps
    integers of 64 bits, and makes floating point numbers of larger ones only."""
    places = None
    for container, key, path in _large_integers(value, ()):
        places = places or positions(text)
        container[key] = _exact(places.number(path)) or jsontext.as_number(container[key])


def _exact(written: str | None) -> int | None:
    """The value of an integer of at most 64 bits, by how it is written; None for everything else."""
    try:
        name = goyaml.plain_key(written or "x")
    except goyaml.GoyamlRefusal:
        return None
    return int(name) if re.fullmatch(r"-?[0-9]+", name) else None


def _large_integers(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, Any, tuple[str | int, ...]]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(children):
        if isinstance(child, int):
            if abs(child) >= _EXACT:
                yield value, key, (*path, key)
        elif isinstance(child, dict | list):
            yield from _large_integers(child, (*path, key))
