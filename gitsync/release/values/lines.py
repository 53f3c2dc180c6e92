"""On which lines of which file a HelmRelease's values are written: noted on it when it is applied, since who looks
at it in the cluster has no files. Pure.

Of one that kustomize has built, a value is taken to be written in the file that the object is from where that says the
same, or names a variable; what a patch or a component has put there has no line.
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

#: Values that are noted of a release, and characters of a document in which they are looked for.
MOST: Final = 500
_MOST_TEXT: Final = 64 << 10
#: Digits of the hash by which it is seen that a release has other values by now.
_DIGITS: Final = 12
_VALUES: Final = ("spec", "values")
_NOWHERE: Final = object()

#: The way to a value: names of maps, numbers in lists.
Path = tuple[str | int, ...]


def lines_written(item: DesiredObject) -> str:
    """What is noted of an object; "" where there is nothing to note. Takes a millisecond for each 3 KB: call it in a
    thread."""
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
    """Where the values of a live HelmRelease are written, as far as that was noted and they are still those."""
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
    """What is no map and no list, or an empty one, in the order in which the API server gives it back; without nulls,
    which it may drop."""
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
    """Whether a value came of what is written there."""
    return bool(written == value) or (isinstance(written, str) and "$" in written)


def _digest(found: Sequence[tuple[Path, Any]]) -> str:
    body = orjson.dumps([(path, _plain(value)) for path, value in found], default=str)
    return hashlib.sha256(body).hexdigest()[:_DIGITS]


def _plain(value: Any) -> Any:
    """As JSON brings it back: 1.0 as 1, what is too large as it is written."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _packed(lines: Sequence[int]) -> str:
    """Each as how many lines below the one before, "" for what has no line."""
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
