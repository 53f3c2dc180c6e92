"""The fields of a model by the names they have in a manifest: what checks and clean-ups of raw manifests walk along."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

from gitsync.api.fields import ApiModel, FreeForm

if TYPE_CHECKING:
    from collections.abc import Mapping

_FREE_FORM_METADATA = get_args(FreeForm)[1:]


class Shape(NamedTuple):
    """What a field holds: objects of ``model`` (None: plain or free-form data), one or, if ``repeated``, a list."""

    model: type[ApiModel] | None = None
    repeated: bool = False
    free_form: bool = False


@cache
def shapes(model: type[ApiModel]) -> Mapping[str, Shape]:
    """The fields of a model."""
    return {
        field.alias or name: _shape(field.annotation, any(part in _FREE_FORM_METADATA for part in field.metadata))
        for name, field in model.model_fields.items()
    }


def _shape(annotation: Any, free_form: bool = False) -> Shape:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(args[0], free_form)
    if origin in (Union, UnionType):
        return _shape(next(arg for arg in args if arg is not NoneType), free_form)
    if origin is tuple:
        return Shape(_shape(args[0]).model, repeated=True)
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return Shape(annotation)
    return Shape(free_form=free_form)


def without_nulls(node: Any, model: type[ApiModel]) -> Any:
    """A manifest, or part of one, without the typed fields that are null; what has none is shared, not copied.

    Free-form data is left as it is: there null has a meaning of its own.
    """
    if not isinstance(node, dict):
        return node
    changed = None
    for name, shape in shapes(model).items():
        value = node.get(name)
        if value is None:
            if name in node and not shape.free_form:
                changed = node.copy() if changed is None else changed
                del changed[name]
        elif shape.model is not None:
            cleaned = _items_without_nulls(value, shape.model) if shape.repeated else without_nulls(value, shape.model)
            if cleaned is not value:
                changed = node.copy() if changed is None else changed
                changed[name] = cleaned
    return node if changed is None else changed


def _items_without_nulls(items: Any, model: type[ApiModel]) -> Any:
    if not isinstance(items, list):
        return items
    cleaned = [without_nulls(item, model) for item in items]
    return items if all(new is old for new, old in zip(cleaned, items, strict=True)) else cleaned
