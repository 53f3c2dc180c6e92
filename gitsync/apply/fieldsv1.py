"""Sets of fields of an object, as ``metadata.managedFields`` writes them (FieldsV1 of structured-merge-diff). Pure.

A set is a trie of maps. ``f:NAME`` leads to a field of a map, ``k:{"name":"a"}`` to the element of a list that has
these keys, ``v:"a"`` to the element that is this value, ``i:0`` to the one in this place. A node with ``.`` in it, or
with nothing, is a member of the set itself; a member with nothing below it stands for all that is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

Fields = dict[str, Any]
#: Keys of list elements that a manifest may leave out, and what the API server then takes them for.
_DEFAULTS: Final = {"protocol": "TCP"}


def union(sets: Iterable[Fields]) -> Fields:
    """What any of the sets has."""
    result: Fields = {}
    for each in sets:
        for element, below in each.items():
            result[element] = _united(result[element], below) if element in result else below
    return result


def _united(one: Fields, other: Fields) -> Fields:
    below = union((one, other))
    return {".": {}, **below} if below and not (one and other) else below


def difference(one: Fields, other: Fields) -> Fields:
    """What ``one`` has and ``other`` has not."""
    result: Fields = {}
    for element, below in one.items():
        if element == ".":
            continue
        if element not in other:
            result[element] = below
        elif (rest := _rest(below, other[element])) is not None:
            result[element] = rest
    return result


def _rest(one: Fields, other: Fields) -> Fields | None:
    """What a node has that another has not; None when there is no such thing."""
    below = difference(one, other)
    if _is_member(one) and not _is_member(other):
        return {".": {}, **below} if below else {}
    return below or None


def _is_member(node: Fields) -> bool:
    return not node or "." in node


def below(fields: Fields, path: tuple[str, ...]) -> Fields:
    """The part of a set that is at ``path`` and below it."""
    first, *rest = path
    if first not in fields:
        return {}
    if not rest:
        return {first: fields[first]}
    found = below(fields[first], tuple(rest))
    return {first: found} if found else {}


def among(fields: Fields, value: Any) -> Fields:
    """The part of a set that an object (or a value in it) has."""
    result: Fields = {".": {}} if "." in fields else {}
    for element, place in _places(fields, value).items():
        node = fields[element]
        found = among(node, value[place])
        if found or _is_member(node):
            result[element] = found
    return result


def without(value: Any, gone: Fields, kept: Fields) -> Any:
    """An object (or a value in it) without what ``gone`` has, unless it is in ``kept``, too: as the API server prunes
    it (merge/update.go of structured-merge-diff). A field goes with all that is in it unless something in it is kept;
    so does an element of a list unless it is itself kept, for others may hold defaults in it.
    """
    if not isinstance(value, dict | list):
        return value
    left: dict[Any, Any] = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    for element, place in _places(gone, value).items():
        is_field, rest = element.startswith("f:"), kept.get(element)
        if (is_field and rest is None) or (
            not is_field and _is_member(gone[element]) and (rest is None or not _is_member(rest))
        ):
            del left[place]
        else:
            left[place] = without(left[place], gone[element], rest or {})
    return left if isinstance(value, dict) else list(left.values())


def overlaid(value: Any, manifest: Any, fields: Fields | None) -> Any:
    """An object (or a value in it) with all that a manifest says, as applying merges them. ``fields`` is what anybody
    holds of it: where that goes on below a map or list, it is merged, else replaced.
    """
    if isinstance(value, dict) and isinstance(manifest, dict) and fields != {}:
        below = fields or {}
        said = {
            name: overlaid(value[name], item, below.get(f"f:{name}")) if name in value else item
            for name, item in manifest.items()
        }
        return {**value, **said}
    if isinstance(value, list) and isinstance(manifest, list) and fields:
        names = next((_keys(element) for element in fields if element.startswith("k:")), ())
        nodes = {_identity(_parsed(element[2:]), names): node for element, node in fields.items()}
        there = {_identity(item, names): item for item in value}
        result = []
        for item in manifest:
            told = _identity(item, names)
            result.append(overlaid(there.pop(told), item, nodes.get(told)) if told in there else item)
        return [*result, *there.values()]
    return manifest


def _places(fields: Fields, value: Any) -> dict[str, Any]:
    """Where each element of a node is in a value: the name in a map, or the place in a list. Those that are not there
    are left out.
    """
    if isinstance(value, dict):
        return {each: each[2:] for each in fields if each.startswith("f:") and each[2:] in value}
    if not isinstance(value, list):
        return {}
    indices: dict[tuple[str, ...], dict[str, int]] = {}
    found: dict[str, Any] = {}
    for element in fields:
        kind, _, text = element.partition(":")
        wanted = _parsed(text)
        if kind == "i" and isinstance(wanted, int) and 0 <= wanted < len(value):
            found[element] = wanted
        elif kind == "v" or (kind == "k" and isinstance(wanted, dict)):
            names = tuple(wanted) if kind == "k" else ()
            if names not in indices:
                indices[names] = {_identity(item, names): place for place, item in reversed([*enumerate(value)])}
            if (place := indices[names].get(_identity(wanted, names))) is not None:
                found[element] = place
    return found


def _identity(item: Any, names: tuple[str, ...]) -> str:
    """What tells an element of a list apart: the values of its keys, or (without keys) itself."""
    if not names:
        return json.dumps(item, sort_keys=True)
    values = item if isinstance(item, dict) else {}
    return json.dumps([values.get(name, _DEFAULTS.get(name)) for name in names])


def _keys(element: str) -> tuple[str, ...]:
    wanted = _parsed(element[2:]) if element.startswith("k:") else None
    return tuple(wanted) if isinstance(wanted, dict) else ()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
