"""In which line of which file each of a HelmRelease's values is written: noted on it when it is applied, for the page,
which has no files. Pure.

For a HelmRelease that kustomize has built, a value has a line if the object's file has the same value at the same path,
or a variable there; values from patches and components have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import orjson

from gitsync.api.identity import Manifest, Origin
from gitsync.api.names import VALUES_ORIGIN_ANNOTATION
from gitsync.errors import YamlError
from gitsync.kubeyaml import load, positions
from gitsync.manifests import DesiredObject

#: Values of a release that are noted at most, and characters of a document in which they are looked for.
MOST: Final = 500
_MOST_TEXT: Final = 64 << 10
#: Digits of the hash that shows whether the values are still those that were noted.
_DIGITS: Final = 12
_VALUES: Final = ("spec", "values")
_NOWHERE: Final = object()

#: The way to a value: names of maps, numbers in lists.
Path = tuple[str | int, ...]


def lines_written(item: DesiredObject) -> str:
    """The note for an object, "" for none. Takes a millisecond for each 3 KB: call it in a thread."""
    values = (item.manifest.get("spec") or {}).get("values")
    if not values or item.source is None or len(item.source.text) > _MOST_TEXT:
        return ""
    found = list(_leaves(values))
    begin = (*item.base, *_VALUES)
    written, places = _at(_document(item.source.text), begin), positions(item.source.text)
    lines: list[int] = []
    for path, value in found[:MOST]:
        is_there = _is_from(_at(written, path), value)
        lines.append(places.find((*begin, *path))[0] + item.source.line - 1 if is_there else 0)
    return f"{_digest(found)} {_packed(lines)} {item.origin.path}" if any(lines) else ""


def lines_of(manifest: Manifest) -> Mapping[Path, Origin]:
    """The places of the values of a live HelmRelease, by its note; empty if the values have changed since."""
    noted = str((manifest["metadata"].get("annotations") or {}).get(VALUES_ORIGIN_ANNOTATION, ""))
    digest, _, rest = noted.partition(" ")
    numbers, _, file = rest.partition(" ")
    values = (manifest.get("spec") or {}).get("values")
    if not file or not isinstance(values, dict):
        return {}
    found = list(_leaves(values))
    if digest != _digest(found):
        return {}
    pairs = zip(found, _unpacked(numbers), strict=False)
    return {path: Origin(file, line) for (path, _), line in pairs if line}


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The scalars, and empty maps and lists, with their paths, in the order in which the API server returns them;
    without nulls, which it may drop."""
    if isinstance(value, dict) and value:
        for name in sorted(value, key=str):
            yield from _leaves(value[name], (*path, str(name)))
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from _leaves(below, (*path, number))
    elif path and value is not None:
        yield path, value


def _document(text: str) -> Any:
    try:
        return load(text)
    except YamlError:
        return None


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        is_field = isinstance(value, dict) and step in value
        if not is_field and not (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            return _NOWHERE
        value = value[step]
    return value


def _is_from(written: Any, value: Any) -> bool:
    """Whether a value may come from the text that is written at its path."""
    return bool(written == value) or (isinstance(written, str) and "$" in written)


def _digest(found: Sequence[tuple[Path, Any]]) -> str:
    body = orjson.dumps([(path, _plain(value)) for path, value in found], default=str)
    return hashlib.sha256(body).hexdigest()[:_DIGITS]


def _plain(value: Any) -> Any:
    """A value as JSON returns it: 1.0 as 1; a number that is too large, as its text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _packed(lines: Sequence[int]) -> str:
    """The lines as text, each as the difference to the one before, "" for a value without a line."""
    texts, last = [], 0
    for line in lines:
        texts.append(str(line - last) if line else "")
        last = line or last
    return ",".join(texts)


def _unpacked(numbers: str) -> Iterator[int]:
    last = 0
    for text in islice(numbers.split(","), MOST):
        if not text:
            yield 0
            continue
        try:
            last += int(text[:9])
        except ValueError:
            return
        yield max(last, 0)
