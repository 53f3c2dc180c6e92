"""What the documents of a file are, and on which lines they begin, without reading all of them. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from gitsync.api.identity import Origin, group_of
from gitsync.errors import ManifestError, YamlError
from gitsync.kubeyaml import decode, read, split
from gitsync.manifests import is_manifest

#: A field of the document's root, plainly written. Nearly all manifests are; the others are read as YAML.
_ROOT_FIELD: Final = r"^{}:[ \t]+[\"']?([A-Za-z0-9./-]+)[\"']?[ \t]*(?:#.*)?\r?$"
_KIND: Final = re.compile(_ROOT_FIELD.format("kind"), re.MULTILINE)
_API_VERSION: Final = re.compile(_ROOT_FIELD.format("apiVersion"), re.MULTILINE)
_METADATA: Final = re.compile(r"^metadata:[ \t]*(?:#.*)?\r?\n((?:[ \t]+.*\n?|[ \t]*\r?\n|#.*\n?)*+)", re.MULTILINE)
_NAME: Final = re.compile(r"^([ ]+)name:[ \t]+[\"']?([^\s\"'#]+)", re.MULTILINE)
_FIRST: Final = re.compile(r"^(?![ \t]*(?:#|\r?$)|---|%)[ \t]*(\S)", re.MULTILINE)


class Head(NamedTuple):
    """A document of a file: the line and column (1-based) where it begins, and group, kind and name as far as they are
    written. ``root`` is mapping, sequence or scalar; ``is_object``: it has apiVersion and kind. ``text`` and
    ``text_line`` are as in ``kubeyaml.Document``."""

    line: int
    column: int
    root: str
    is_object: bool
    group: str
    kind: str
    name: str
    text: str
    text_line: int


def heads(path: str, data: bytes) -> tuple[Head, ...]:
    """The documents of a file that hold something. Raises: ManifestError for a file that cannot be read."""
    found = []
    try:
        for document in split(decode(data)):
            head = _written(document.text, document.line) or _read(document.text, document.line)
            if head is not None:
                found.append(head)
    except YamlError as error:
        raise ManifestError(error.message, origin=Origin(path, error.line, error.column), hint=error.hint) from None
    return tuple(found)


def head_of(text: str) -> Head:
    """The one document of a text. Raises: YamlError."""
    return _written(text, 1) or _read(text, 1) or Head(1, 1, "", False, "", "", "", text, 1)


def _written(text: str, line: int) -> Head | None:
    """What can be seen without reading YAML; None when that is not enough."""
    kinds, versions = _KIND.findall(text), _API_VERSION.findall(text)
    first = _FIRST.search(text)
    if len(kinds) != 1 or len(versions) != 1 or first is None:
        return None
    metadata = _METADATA.search(text)
    names = _NAME.findall(metadata[1]) if metadata is not None else []
    if not names:
        return None
    name = min(names, key=lambda item: len(item[0]))[1]
    begin = first.start(1)
    column = begin - text.rfind("\n", 0, begin)
    return Head(
        line + text.count("\n", 0, begin), column, "mapping", True, group_of(versions[0]), kinds[0], name, text, line
    )


def _read(text: str, line: int) -> Head | None:
    reading = read(text, first_line=line)
    if not reading.root:
        return None
    value: dict[str, Any] = reading.value if reading.root == "mapping" else {}
    api_version, kind, metadata = value.get("apiVersion"), value.get("kind"), value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return Head(
        reading.line,
        reading.column,
        reading.root,
        is_manifest(value),
        group_of(api_version) if isinstance(api_version, str) else "",
        kind if isinstance(kind, str) else "",
        name if isinstance(name, str) else "",
        text,
        line,
    )
