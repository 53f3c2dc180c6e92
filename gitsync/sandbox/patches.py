"""The patches of the API: JSON (RFC 6902), merge (RFC 7386) and strategic merge. Pure."""

from __future__ import annotations

from typing import Any, Final

import jsonpatch
import jsonpointer

from gitsync.sandbox.failures import Failure, bad_request
from gitsync.sandbox.schema import ANY, Type

_PATCH: Final = "$patch"
_ORDER: Final = "$setElementOrder/"
_FROM_LIST: Final = "$deleteFromPrimitiveList/"
_RETAIN: Final = "$retainKeys"


def json_patched(document: Any, patch: Any) -> Any:
    """Raises: Failure for a patch that cannot be carried out."""
    try:
        return jsonpatch.apply_patch(document, patch)
    except jsonpatch.JsonPatchTestFailed as error:
        raise Failure(
            422, "Invalid", f"the server rejected our request due to an error in our request: {error}"
        ) from None
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"error decoding patch: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise Failure(
            422, "Invalid", f"the server rejected our request due to an error in our request: {error}"
        ) from None


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
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and value.get(_PATCH) == "delete":
            result.pop(name, None)
        else:
            result[name] = _field(result.get(name), value, of.field(name) or ANY)
    for name, order in patch.items():
        field = name.removeprefix(_ORDER)
        if name.startswith(_ORDER) and isinstance(result.get(field), list):
            result[field] = _ordered(result[field], order, (of.field(field) or ANY).merge_key)
    return result


def _field(live: Any, value: Any, of: Type) -> Any:
    if not isinstance(value, list):
        return strategic_patched(live, value, of)
    old = live if isinstance(live, list) else []
    if "merge" not in of.strategies:
        return value
    if not of.merge_key:
        return [*old, *(item for item in value if item not in old)]
    return _list(old, value, of)


def _list(live: list[Any], patch: list[Any], of: Type) -> list[Any]:
    key = of.merge_key
    if any(item.get(_PATCH) == "replace" for item in patch):
        return [item for item in patch if _PATCH not in item]
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


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """The order of the patch; what it does not name comes last."""
    wanted = [entry.get(key) if key else entry for entry in order]
    names = [item.get(key) if key else item for item in items]
    places = [wanted.index(name) if name in wanted else len(wanted) for name in names]
    return [items[at] for at in sorted(range(len(items)), key=lambda at: places[at])]
