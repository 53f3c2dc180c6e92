"""An object made to fit its type: what the type does not know is left out, and named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.kinds.schema import Type

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


#: Levels of nesting that an object may have.
_DEEPEST: Final = 100


class Conformed:
    """``manifest`` is a copy without unknown fields and nulls, and without what Go's types leave out, unless
    ``all_said``. ``unknown`` says where such were, ``wrong`` where something had another type (path and complaint), in
    the words of server-side apply.
    """

    def __init__(self, manifest: Manifest, of: Type, *, all_said: bool = False) -> None:
        self._all_said = all_said
        self.unknown: list[str] = []
        self.wrong: list[tuple[str, str]] = []
        self.manifest: Manifest = self._value(manifest, of, "", 0)

    def _value(self, value: Any, of: Type, path: str, depth: int) -> Any:
        if depth > _DEEPEST:
            self.wrong.append((path, "nested too deep"))
            return None
        complaint = of.complaint(value) if value is not None else ""
        if complaint:
            self.wrong.append((path, complaint))
        elif isinstance(value, dict):
            return self._map(value, of, path, depth)
        elif isinstance(value, list):
            return self._list(value, of, path, depth)
        return value

    def _map(self, value: dict[str, Any], of: Type, path: str, depth: int) -> dict[str, Any]:
        found = {}
        for name, item in value.items():
            below = of.field(name)
            if below is None:
                self.unknown.append(f"{path}.{name}")
            elif item is not None or below.nullable or below.schema.get("default") is not None:
                found[name] = self._value(item, below, f"{path}.{name}", depth + 1)
        if self._all_said or not of.native:
            return found
        return {name: item for name, item in found.items() if not _left_out(item, of, name)}

    def _list(self, value: list[Any], of: Type, path: str, depth: int) -> list[Any]:
        if of.keys:
            try:
                places = [of.element(item)[2:] for item in value]
            except ValueError as error:
                self.wrong.append((path, f"element 0: {error}"))
                places = [str(place) for place in range(len(value))]
        else:
            places = [str(place) for place in range(len(value))]
        return [
            self._value(item, of.items, f"{path}[{place}]", depth + 1)
            for place, item in zip(places, value, strict=True)
        ]


def _left_out(value: Any, of: Type, name: str) -> bool:
    """Whether Go's types leave a field out when it is so."""
    if value is None or value == []:
        return True
    below = of.field(name)
    return value == {} and below is not None and "additionalProperties" in below.schema


def with_defaults(value: Any, of: Type) -> Any:
    """``value``, which is the caller's own, with the defaults of its schema filled in, as a CRD gives them."""
    if isinstance(value, dict):
        for name, below in of.fields.items():
            default = below.schema.get("default")
            if default is not None and (name not in value or (value[name] is None and not below.nullable)):
                value[name] = _copied(default)
            if name in value:
                value[name] = with_defaults(value[name], below)
        if of.values is not None and isinstance(of.schema.get("additionalProperties"), dict):
            for name in value.keys() - of.fields.keys():
                value[name] = with_defaults(value[name], of.values)
    elif isinstance(value, list):
        return [with_defaults(item, of.items) for item in value]
    return value


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
