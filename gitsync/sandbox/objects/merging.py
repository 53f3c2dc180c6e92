"""Server-side apply: what somebody applies, merged into what is there."""

from __future__ import annotations

from typing import Any

from gitsync.sandbox.kinds.schema import Type
from gitsync.sandbox.objects.ownership import Fields, to_fields_v1


def merged(live: Any, applied: Any, of: Type) -> Any:
    """``live`` with the fields of ``applied``; what is atomic is replaced as a whole. Neither is changed."""
    if isinstance(live, dict) and isinstance(applied, dict) and not of.atomic(applied):
        result = dict(live)
        for name, value in applied.items():
            below = of.field(name)
            result[name] = merged(live[name], value, below) if name in live and below else value
        return result
    if isinstance(live, list) and isinstance(applied, list) and not of.atomic(applied):
        return _merged_list(live, applied, of)
    return applied


def _merged_list(live: list[Any], applied: list[Any], of: Type) -> list[Any]:
    """The order of what is applied; what only ``live`` has stays behind the element that it stood behind."""
    old = {of.element(item): item for item in live}
    new = {of.element(item): item for item in applied}
    result = {name: merged(old[name], item, of.items) if name in old else item for name, item in new.items()}
    order = list(new)
    previous = None
    for name in old:
        if name not in new:
            order.insert(
                order.index(previous) + 1 if previous in order else 0 if previous is None else len(order), name
            )
            result[name] = old[name]
        previous = name
    return [result[name] for name in order]


def without(value: Any, of: Type, gone: Fields, kept: Fields) -> Any:
    """``value`` without the fields that are ``gone``. An element or map entry that goes takes all that nobody owns
    (``kept`` are the fields that somebody does) with it. A map or list of which nothing is left is None.
    """
    return _without(value, of, to_fields_v1(gone), to_fields_v1(kept))


def _without(value: Any, of: Type, gone: dict[str, Any], kept: dict[str, Any]) -> Any:
    if not gone:
        return value
    if isinstance(value, dict):
        found = {}
        for name, item in value.items():
            stays, left = _part(f"f:{name}", item, of.field(name), gone, kept)
            if stays and (left is not None or item is None):
                found[name] = left
        return found or None
    if isinstance(value, list):
        parts = [_part(of.element(item), item, of.items, gone, kept) for item in value]
        return [left for stays, left in parts if stays] or None
    return value


def _part(element: str, item: Any, of: Type | None, gone: dict[str, Any], kept: dict[str, Any]) -> tuple[bool, Any]:
    """Whether a part stays, and what of it."""
    goes, owned = gone.get(element), kept.get(element)
    if goes is None or of is None:
        return True, item
    if not goes or "." in goes:
        if owned is None:
            return False, None
        if not goes:
            return True, item
    left = _without(item, of, goes, owned or {})
    if left is None and owned is not None and (not owned or "." in owned):
        return True, type(item)()  # empty, but somebody's
    return True, left
