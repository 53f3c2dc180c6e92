"""Whether a document is an object, which one, and what about it no API server would take."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitsync.api import FieldPath, Manifest

_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_API_VERSION: Final = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_NAME: Final = 253
_TYPE_NAMES: Final = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


class Fault(NamedTuple):
    """One thing wrong: where in the object, what, and what to do."""

    path: FieldPath
    message: str
    hint: str = ""


def is_list(value: dict[str, Any]) -> bool:
    """Whether this is a list of objects in one document: a ``List`` of ``v1``, or any kind ``...List`` with items."""
    kind = value.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list)


def items(value: dict[str, Any]) -> Iterator[Any]:
    """The items of such a list. As in Kubernetes' decoder, those of a ``ConfigMapList`` need no kind of their own."""
    item_kind = value["kind"].removesuffix("List")
    for item in value["items"]:
        if item_kind and isinstance(item, dict) and not item.get("kind"):
            yield {**item, "apiVersion": item.get("apiVersion") or value.get("apiVersion"), "kind": item_kind}
        else:
            yield item


def is_manifest(value: dict[str, Any]) -> bool:
    """Whether this is meant as an object: it has apiVersion and kind, or one of them and metadata."""
    has = [bool(value.get("apiVersion")), bool(value.get("kind"))]
    return all(has) or (any(has) and isinstance(value.get("metadata"), dict))


def faults(value: Manifest) -> list[Fault]:
    """What keeps a manifest from being identified and applied. No value is quoted."""
    found = [*_type_faults(value)]
    metadata = value.get("metadata")
    if metadata is None:
        found.append(Fault(("metadata",), "metadata.name is missing"))
    elif not isinstance(metadata, dict):
        found.append(Fault(("metadata",), f"metadata is {_type(metadata)}, not a mapping"))
    else:
        found += _name_faults(metadata)
        found += _text_map_faults(metadata)
    return found


def _type_faults(value: Manifest) -> Iterator[Fault]:
    for name, pattern in (("apiVersion", _API_VERSION), ("kind", _KIND)):
        given = value.get(name)
        if not given:
            close = difflib.get_close_matches(name, [key for key in value if key != name], 1, 0.8)
            yield Fault(
                (), f"{name} is missing", f"did you mean {name} where {close[0]!r} is written?" if close else ""
            )
        elif not isinstance(given, str):
            yield Fault((name,), f"{name} is {_type(given)}, not text")
        elif not pattern.fullmatch(given):
            yield Fault((name,), f"{name} is not a name that Kubernetes takes")


def _name_faults(metadata: dict[str, Any]) -> Iterator[Fault]:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if name is None or name == "":
        generated = "generateName" in metadata
        hint = (
            "an object in Git needs a name of its own: generateName makes a new object each time" if generated else ""
        )
        yield Fault(("metadata", "generateName" if generated else "name"), "metadata.name is missing", hint)
    elif not isinstance(name, str):
        yield Fault(("metadata", "name"), f"metadata.name is {_type(name)}, not text", "quote it")
    elif name in (".", "..") or "/" in name or "%" in name or len(name) > _MAX_NAME:
        message = f"metadata.name may not be . or .., contain / or %, or be longer than {_MAX_NAME} characters"
        yield Fault(("metadata", "name"), message)
    if namespace is not None and not isinstance(namespace, str):
        yield Fault(("metadata", "namespace"), f"metadata.namespace is {_type(namespace)}, not text", "quote it")
    elif namespace and not _NAMESPACE.fullmatch(namespace):
        message = "metadata.namespace must be lowercase letters, digits and dashes, at most 63"
        yield Fault(("metadata", "namespace"), message)


def _text_map_faults(metadata: dict[str, Any]) -> Iterator[Fault]:
    """The API server takes only text as the value of a label or annotation, and refuses the whole object otherwise."""
    for field in ("labels", "annotations"):
        mapping = metadata.get(field)
        if mapping is None:
            continue
        if not isinstance(mapping, dict):
            yield Fault(("metadata", field), f"metadata.{field} is {_type(mapping)}, not a mapping")
            continue
        for key, value in mapping.items():
            if not isinstance(value, str) and value is not None:
                path = ("metadata", field, key)
                yield Fault(path, f"metadata.{field}: the value of {key!r} is {_type(value)}, not text", "quote it")


def _type(value: object) -> str:
    return _TYPE_NAMES.get(type(value), "text")
