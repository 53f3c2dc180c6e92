"""Types of fields, from an OpenAPI schema: of Kubernetes' own kinds and of a CRD alike."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

Schema = Mapping[str, Any]

_REFERENCE: Final = "$ref"
#: What JSON has for a kind, and what server-side apply calls it.
_KINDS: Final[Mapping[str, tuple[Any, str]]] = {
    "object": (dict, "map"),
    "array": (list, "list"),
    "string": (str, "string"),
    "boolean": (bool, "boolean"),
    "integer": (int | float, "numeric (int or float)"),
    "number": (int | float, "numeric (int or float)"),
}


class Type:
    """What may stand in one place of an object. ``native``: it passes through Go's types on the real server, which
    know no null. ``always``: it is required where it stands.
    """

    def __init__(
        self, schema: Schema, definitions: Mapping[str, Schema], *, native: bool = True, always: bool = False
    ) -> None:
        reference = schema.get(_REFERENCE)
        self.schema = {**definitions[reference.rpartition("/")[2]], **schema} if reference else schema
        self._definitions = definitions
        self.native = native or bool(reference)
        self.always = always

    @cached_property
    def fields(self) -> dict[str, Type]:
        """The fields that are named."""
        required = self.schema.get("required") or ()
        properties = self.schema.get("properties") or {}
        return {name: self._of(schema, always=name in required) for name, schema in properties.items()}

    @cached_property
    def values(self) -> Type | None:
        """What stands under any other name; None where no other name may stand."""
        schema = self.schema.get("additionalProperties")
        if isinstance(schema, Mapping):
            return self._of(schema)
        if self.schema.get("x-kubernetes-preserve-unknown-fields") or schema is True or self.kind == "any":
            return ANY
        return ANY if self.native and not self.fields else None

    def field(self, name: str) -> Type | None:
        """None for a field that does not exist."""
        return self.fields.get(name) or self.values

    @cached_property
    def items(self) -> Type:
        """What a list consists of."""
        return self._of(self.schema["items"]) if "items" in self.schema else ANY

    @property
    def kind(self) -> str:
        """``string``, ``integer``, ``number``, ``boolean``, ``object``, ``array``; ``any`` where that is open."""
        if self.schema.get("x-kubernetes-int-or-string") or "oneOf" in self.schema:
            return "any"
        return self.schema.get("type") or ("object" if "properties" in self.schema else "any")

    @property
    def nullable(self) -> bool:
        return bool(self.schema.get("nullable")) or self is ANY

    def atomic(self, value: Any) -> bool:
        """Whether ``value``, a map or list, has one owner as a whole."""
        if isinstance(value, list):
            return not (self.keys or self.is_set)
        return self.schema.get("x-kubernetes-map-type") == "atomic"

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """By which fields the elements of the list are told apart; () when they are not."""
        return tuple(self.schema.get("x-kubernetes-list-map-keys") or ())

    @property
    def is_set(self) -> bool:
        return self.schema.get("x-kubernetes-list-type") == "set"

    @property
    def merge_key(self) -> str:
        """That of strategic merge patches, "" when the list is replaced."""
        return str(self.schema.get("x-kubernetes-patch-merge-key") or "")

    @property
    def strategies(self) -> list[str]:
        """Of strategic merge patches: ``merge``, ``replace``, ``retainKeys``."""
        return str(self.schema.get("x-kubernetes-patch-strategy") or "").split(",")

    def element(self, item: Any) -> str:
        """An element of a list with keys, or of a set, as fieldsV1 names it.

        Raises: ValueError when it lacks a key.
        """
        if not self.keys:
            return f"v:{_compact(item)}"
        found = {}
        for key in sorted(self.keys):
            fallback = self.items.fields[key].schema.get("default") if key in self.items.fields else None
            value = item.get(key, fallback) if isinstance(item, dict) else None
            if value is None:
                raise ValueError(
                    f"associative list with keys has an element that omits all key fields {json.dumps(self.keys)} "
                    "(and doesn't have default values for any key fields)"
                )
            found[key] = value
        return f"k:{_compact(found)}"

    def complaint(self, value: Any) -> str:
        """Why ``value`` cannot stand here, in the words of server-side apply; "" when it can."""
        python, word = _KINDS.get(self.kind, (object, ""))
        if self.schema.get("format") == "byte" and isinstance(value, str) and not _is_base64(value):
            return "illegal base64 data"
        fits = isinstance(value, python) and (self.kind == "boolean" or not (word and isinstance(value, bool)))
        if fits:
            return ""
        got = f"&value.valueUnstructured{{Value:{json.dumps(value)}}}" if self.native else _word(value)
        return f"expected {word}, got {got}"

    def _of(self, schema: Schema, *, always: bool = False) -> Type:
        return Type(schema, self._definitions, native=self.native, always=always)


#: What nothing is known about: maps are merged, lists are atomic.
ANY: Final = Type({"x-kubernetes-preserve-unknown-fields": True}, {}, native=False)


def _word(value: Any) -> str:
    kinds = ((dict, "map"), (list, "list"), (str, "string"), (bool, "boolean"), (int | float, "number"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "null")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
