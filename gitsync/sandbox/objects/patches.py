"""The patches of the API: JSON (RFC 6902), merge (RFC 7386) and strategic merge. Pure."""

from __future__ import annotations

from typing import Any, Final

import jsonpatch
import jsonpointer

from gitsync.sandbox.failures import Failure, bad_request
from gitsync.sandbox.kinds.schema import ANY, Type

_PATCH: Final = "$patch"
_ORDER: Final = "$setElementOrder/"
_FROM_LIST: Final = "$deleteFromPrimitiveList/"
_RETAIN: Final = "$retainKeys"


def json_patched(document: Any, patch: Any) -> Any:
    """Raises: Failure for a patch that cannot be carried out."""
    if not isinstance(patch, list) or not all(isinstance(step, dict) for step in patch):
        raise bad_request("error decoding patch: a list of operations is expected")
    try:
        return jsonpatch.apply_patch(document, patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        raise Failure(422, "Invalid", "the server rejected our request due to an error in our request") from None


def merge_patched(document: Any, patch: Any) -> Any:
    """Null removes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patched(result.get(name), value)
    return result


def strategic_patched(document: Any, patch: Any, of: Type) -> Any:
    """As merge_patched, with lists merged by their keys, and the directives of strategic merge patches."""
    if not isinstance(patch, dict):
        return patch
    if patch.get(_PATCH) == "replace":
        return {name: value for name, value in patch.items() if name != _PATCH}
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if name.startswith(_FROM_LIST):
            field = name.removeprefix(_FROM_LIST)
            result[field] = [item for item in result.get(field, []) if item not in value]
        elif name == _RETAIN:
            result = {field: item for field, item in result.items() if field in value}
        elif name.startswith(_ORDER) or name == _PATCH:
            continue
        elif value is None or (isinstance(value, dict) and value.get(_PATCH) == "delete"):
            result.pop(name, None)
        else:
            result[name] = _field(result.get(name), value, of.field(name) or ANY, patch.get(_ORDER + name))
    return result


def _field(live: Any, value: Any, of: Type, order: list[Any] | None) -> Any:
    if not isinstance(value, list):
        return strategic_patched(live, value, of)
    old = live if isinstance(live, list) else []
    if "merge" not in of.strategies:
        return value
    if of.merge_key and any(item.get(_PATCH) == "replace" for item in value):
        return [item for item in value if _PATCH not in item]
    merged = _list(old, value, of) if of.merge_key else [*old, *(item for item in value if item not in old)]
    return _ordered(merged, order or value, old, of.merge_key)


def _list(live: list[Any], patch: list[Any], of: Type) -> list[Any]:
    key = of.merge_key
    result = list(live)
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        place = next((at for at, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get(_PATCH) == "delete":
            result = [old for old in result if old.get(key) != item[key]]
        elif place is None:
            result.append(strategic_patched({}, item, of.items))
        else:
            result[place] = strategic_patched(result[place], item, of.items)
    return result


def _ordered(items: list[Any], order: list[Any], live: list[Any], key: str) -> list[Any]:
    """What the patch names in its order, among the others in theirs (strategicpatch's mergeSortedSlice)."""

    def name(item: Any) -> Any:
        return item.get(key) if key else item

    wanted, before = list(map(name, order)), list(map(name, live))
    named = sorted((item for item in items if name(item) in wanted), key=lambda item: wanted.index(name(item)))
    others = [item for item in items if name(item) not in wanted]
    result = []
    while named and others:
        one, other = name(named[0]), name(others[0])
        known = one in before and other in before
        first = known and before.index(other) < before.index(one)
        result.append((others if first else named).pop(0))
    return result + named + others
