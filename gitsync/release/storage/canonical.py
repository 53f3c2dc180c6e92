"""Digests over JSON in one way of writing: keys sorted, no spaces. Pure.

The text is made in pieces: while the json module works on one value, no other thread runs, so that a call for some
megabytes would hold up the event loop from whichever thread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

#: Levels of a value that are taken apart.
_DEPTH = 4


def digest(value: Any, *, ensure_ascii: bool = True) -> str:
    """``sha256:...`` over ``json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=ensure_ascii)``."""
    whole = hashlib.sha256()
    encode = partial(json.dumps, sort_keys=True, separators=(",", ":"), ensure_ascii=ensure_ascii)
    for piece in _pieces(value, encode, _DEPTH):
        whole.update(piece.encode())
    return f"sha256:{whole.hexdigest()}"


def with_floats(value: Any) -> Any:
    """A JSON value with every number a float, as in Go: Helm writes records anew, and rounds large integers."""
    if isinstance(value, dict):
        return {name: with_floats(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_floats(item) for item in value]
    return float(str(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same to Helm, for which every number is a float."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same_json(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        pairs = isinstance(other, list | tuple) and len(one) == len(other)
        return pairs and all(same_json(first, second) for first, second in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, int | float):
        return type(one) is type(other) and bool(one == other)
    return isinstance(other, int | float) and float(str(one)) == float(str(other))


def _pieces(value: Any, encode: partial[str], depth: int) -> Iterator[str]:
    if depth and value and isinstance(value, dict) and all(isinstance(name, str) for name in value):
        for number, name in enumerate(sorted(value)):
            yield f"{',' if number else '{'}{encode(name)}:"
            yield from _pieces(value[name], encode, depth - 1)
        yield "}"
    elif depth and value and isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _pieces(item, encode, depth - 1)
        yield "]"
    else:
        yield encode(value)
