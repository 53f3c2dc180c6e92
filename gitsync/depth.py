"""How deep what is read may be nested: much of what handles data goes down into it, and has an end. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

#: Mappings and lists inside each other. CustomResourceDefinitions, the deepest that are seen, reach about 40.
MAX_DEPTH: Final = 200
#: What decodes JSON gives up at 1,024 levels; an API server takes 10,000.
_DECODED: Final = 1_000
#: Texts, and what begins and ends containers.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_METADATA: Final = b'"metadata"'


def is_deeper(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether containers are nested deeper than ``levels``, without recursion."""
    layer = [value] if isinstance(value, dict | list) else []
    while layer and levels >= 0:
        levels -= 1
        layer = [
            child
            for container in layer
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
    return bool(layer)


def shallow(raw: bytes, level: int) -> bytes:
    """JSON of Kubernetes objects, without what cannot be decoded for its depth: fields of objects, which are containers
    ``level`` deep, that are nested too deep are null. Of ``metadata`` it is its fields, so that the object keeps its
    name.
    """
    depth, cut, key, is_metadata = 0, 0, b"", False
    begins: list[int] = []
    pieces: list[bytes] = []
    done = 0
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if token in b"{[":
            depth += 1
            if depth <= level + 1:
                begins[depth - 1 :] = [match.start()]
            if depth == level:
                is_metadata = key == _METADATA
            if depth > _DECODED and not cut:
                cut = level + is_metadata
        elif token in b"}]":
            if not depth:
                return raw  # it is no JSON
            if depth == cut:
                pieces += [raw[done : begins[cut - 1]], b"null"]
                done, cut = match.end(), 0
            depth -= 1
        elif depth < level:
            key = token
    return b"".join([*pieces, raw[done:]])
