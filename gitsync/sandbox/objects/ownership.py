"""Whose a field is: sets of fields, and metadata.managedFields, which keeps them.

A field is a path of elements in fieldsV1's notation: ``("f:spec", "f:ports", 'k:{"port":80}', "f:name")``. The rules
are those of structured-merge-diff, which the API server uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from gitsync.sandbox.kinds.schema import Type

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


Path = tuple[str, ...]
Fields = frozenset[Path]

#: What nobody owns, being the server's or part of the identity.
_NOBODYS: Final = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"),
            *("managedFields", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Manager:
    """An entry of managedFields."""

    name: str
    operation: Literal["Apply", "Update"]
    api_version: str
    fields: Fields
    time: str = ""
    subresource: str = ""

    def same(self, other: Manager) -> bool:
        """Whether both are the same entry, whatever they own."""
        return self._identity == other._identity

    @property
    def _identity(self) -> tuple[str, ...]:
        # The fields that somebody applied are one set in all versions.
        version = "" if self.operation == "Apply" else self.api_version
        return self.name, self.operation, version, self.subresource

    def said(self) -> str:
        """Who that is, as a conflict names it."""
        sub = f' with subresource "{self.subresource}"' if self.subresource else ""
        if self.operation == "Apply":
            return f'conflict with "{self.name}"{sub}'
        return f'conflict with "{self.name}"{sub} using {self.api_version}'


def leaves(manifest: Manifest, of: Type, *, containers: bool = False) -> dict[Path, Any]:
    """Every field of an object that can be owned, with its value; if asked, also the maps and lists they are in."""
    found = _walk(manifest, of, (), containers)
    return {path: value for path, value in found if path not in _NOBODYS and path[:2] not in _NOBODYS}


def _walk(value: Any, of: Type, path: Path, containers: bool) -> Iterator[tuple[Path, Any]]:
    # In Go's types a struct, and what is required, is always there; pointers, maps and other lists come and go.
    there = of.native and (of.schema.get("default") == {} or of.always)
    if containers and path and value and isinstance(value, dict | list) and not of.atomic(value) and not there:
        yield path, type(value)()
    if isinstance(value, dict) and not of.atomic(value):
        for name, item in value.items():
            below, at = of.field(name), (*path, f"f:{name}")
            if below is None:
                continue
            if item is None or item == {}:
                yield at, item
                continue
            if name not in of.fields and isinstance(item, dict) and not below.atomic(item):
                yield at, {}
            yield from _walk(item, below, at, containers)
    elif isinstance(value, list) and not of.atomic(value):
        for item in value:
            at = (*path, of.element(item))
            if of.keys:
                yield at, {}
                yield from _walk(item, of.items, at, containers)
            else:
                yield at, item
    else:
        yield path, value


def to_fields_v1(fields: Fields) -> dict[str, Any]:
    """A set as managedFields writes it."""
    root: dict[str, Any] = {}
    for path in sorted(fields):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _plain(root)


def _plain(node: dict[str, Any]) -> dict[str, Any]:
    """A member of the set without others in it is written as {}."""
    return {} if node.keys() == {"."} else {name: _plain(below) if below else {} for name, below in node.items()}


def from_fields_v1(node: dict[str, Any], path: Path = ()) -> Fields:
    """The reverse."""
    found: set[Path] = set()
    for element, below in node.items():
        if element == ".":
            found.add(path)
        else:
            found |= from_fields_v1(below, (*path, element)) if below else {(*path, element)}
    return frozenset(found)


def managers(manifest: Manifest | None) -> list[Manager]:
    """Who owns what of an object."""
    entries = (manifest or {}).get("metadata", {}).get("managedFields") or ()
    return [
        Manager(
            entry.get("manager", ""),
            entry["operation"],
            entry["apiVersion"],
            from_fields_v1(entry.get("fieldsV1") or {}),
            entry.get("time", ""),
            entry.get("subresource", ""),
        )
        for entry in entries
        if entry.get("operation")
    ]


def write(manifest: Manifest, found: list[Manager]) -> None:
    """Sets metadata.managedFields. Who owns nothing any more is left out; appliers come first, then by time."""
    kept = sorted((each for each in found if each.fields), key=lambda each: (each.operation != "Apply", each.time))
    entries = [
        {
            "manager": each.name,
            "operation": each.operation,
            "apiVersion": each.api_version,
            "time": each.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(each.fields),
            **({"subresource": each.subresource} if each.subresource else {}),
        }
        for each in kept
    ]
    manifest["metadata"].pop("managedFields", None)
    if entries:
        manifest["metadata"]["managedFields"] = entries


@dataclass(frozen=True, slots=True)
class Difference:
    """What a write does to the fields of an object."""

    changed: Fields
    removed: Fields

    def within(self, status: bool, rest: bool) -> Difference:
        """The part of it that is in the status, or not."""
        parts = (
            frozenset(path for path in each if (status if path[0] == "f:status" else rest))
            for each in (self.changed, self.removed)
        )
        return Difference(*parts)

    @classmethod
    def between(cls, before: Manifest | None, after: Manifest, of: Type) -> Difference:
        """``changed`` are those that are new or have another value."""
        old = leaves(before, of, containers=True) if before else {}
        new = leaves(after, of, containers=True)
        changed = {path for path, value in new.items() if path not in old or not _same(old[path], value)}
        return cls(frozenset(changed), frozenset(old.keys() - new.keys()))


def after_update(found: list[Manager], writer: Manager, difference: Difference) -> list[Manager]:
    """Whose the fields are once ``writer`` has written: what it changed is its own, what is gone is nobody's."""
    mine = [each for each in found if each.same(writer)]
    fields = frozenset().union(*(each.fields for each in mine)) - difference.removed | difference.changed
    others = [
        replace(each, fields=each.fields - difference.removed - difference.changed)
        for each in found
        if not each.same(writer)
    ]
    time = writer.time if not mine or fields != mine[0].fields else mine[0].time
    return [*others, replace(writer, fields=fields, time=time)]


def conflicts(found: list[Manager], writer: Manager, difference: Difference) -> list[tuple[Manager, Path]]:
    """The fields of others that ``writer`` changes by applying."""
    others = [each for each in found if not each.same(writer)]
    return [(each, path) for each in others for path in sorted(each.fields & difference.changed)]


def after_apply(found: list[Manager], writer: Manager, difference: Difference) -> list[Manager]:
    """Whose the fields are once ``writer`` has applied ``writer.fields``, all of them."""
    others = [
        replace(each, fields=each.fields - difference.removed - difference.changed)
        for each in found
        if not each.same(writer)
    ]
    before = next((each for each in found if each.same(writer)), None)
    time = before.time if before and before.fields == writer.fields else writer.time
    return [*others, replace(writer, time=time)]


def shown(path: Path) -> str:
    """A field as messages name it: ``.spec.ports[port=80].name``."""
    text = ""
    for element in path:
        sort, _, rest = element.partition(":")
        if sort == "f":
            text += f".{rest}"
        elif sort == "k":
            text += f"[{','.join(f'{name}={json.dumps(value)}' for name, value in json.loads(rest).items())}]"
        elif sort == "v":
            text += f"[={rest}]"
    return text


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
