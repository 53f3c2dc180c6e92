"""The way past the events for plain documents, which most manifests are: it halves the time of reading them."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from gitsync.kubeyaml import goyaml
from gitsync.kubeyaml.limits import MAX_DEPTH

#: So small that it cannot be over a bound without aliases, nor too deep for Go's stack.
_MAX_CHARS: Final = 64 * 1024
#: Anchors (and with them aliases and merge keys), explicit keys, tags, more documents, and line ends of YAML's own.
_NOT_PLAIN: Final = re.compile(r"[&?!\x85\u2028\u2029\ufeff]|\r(?!\n)|^(?:\.\.\.|---|%)", re.MULTILINE)
#: Every colon that can make a key of what is before it, and some that do not.
_KEY_LIKE: Final = re.compile(r""":(?=[\s,\[\]{}]|\Z)|(?<=[\s"'\],\[{}]):""")
_CONTAINERS: Final = (dict, list)
_LEAD: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ ]*")


class Plain(NamedTuple):
    """A plain mapping: its value, where it begins, and whether it is sure that no key was written twice."""

    value: dict[str, Any]
    start: int
    unique_keys: bool


def plain_mapping(text: str) -> Plain | None:
    """The document, when its plainness shows at a glance; None when it has to be looked at event by event.

    Keys: without flow mappings and explicit keys, each key has its colon. If as many keys came out as there are colons
    that could belong to one, then none was written twice, since the second would have replaced the first.
    """
    if len(text) > _MAX_CHARS or text.count("{") != text.count("{}") or _NOT_PLAIN.search(text):
        return None
    lead = _LEAD.match(text)
    start = lead.end() if lead else 0
    if start and text[start - 1] != "\n":
        return None  # kubectl silently leaves out what follows an indented mapping
    try:
        value = goyaml.mapping(text)
    except goyaml.GoyamlRefusal:
        return None  # to be refused with a place, or a list
    if not value or (keys := _keys(value)) is None:
        return None
    return Plain(value, start, keys == len(_KEY_LIKE.findall(text)))


def _keys(value: dict[str, Any]) -> int | None:
    """How many keys all mappings have together; None when they are nested too deep."""
    layer: list[Any] = [value]
    count = depth = 0
    while layer:
        depth += 1
        below = []
        for container in layer:
            if isinstance(container, dict):
                count += len(container)
                container = container.values()
            below += [child for child in container if isinstance(child, _CONTAINERS)]
        layer = below
    return count if depth <= MAX_DEPTH else None
