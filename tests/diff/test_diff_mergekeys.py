"""The merge keys that we know are those of the schemas that the sandbox ships, which tests/contract holds against the
API server's.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gitsync.sandbox
from gitsync.api.builtin import is_builtin
from gitsync.diff.mergekeys import is_set, merge_keys, patch_key, patched_as_set
from gitsync.diff.threeway import _LISTS_OF_UNIONS, _UNIONS, _WHOLE

#: Read once, for all tests.
SCHEMAS = json.loads(
    gzip.decompress(Path(gitsync.sandbox.__file__).with_name("kubernetes.json.gz").read_bytes()),
)["schemas"]


class Field(NamedTuple):
    """A list, or a map with a patch strategy, and what the schemas say of it."""

    kind: str
    path: tuple[str | int, ...]
    strategies: frozenset[str] = frozenset()
    patch_key: str = ""
    list_type: str = ""
    keys: tuple[str, ...] = ()


def lists_and_strategies() -> set[Field]:
    found: set[Field] = set()
    for schema in SCHEMAS.values():
        for meant in schema.get("x-kubernetes-group-version-kind", ()):
            # CustomResourceDefinitions hold schemas, which have no end; nothing of them is merged.
            is_listed = not meant["kind"].endswith("List") and meant["group"] != "apiextensions.k8s.io"
            if is_builtin(meant["group"]) and is_listed:
                found.update(fields(meant["kind"], schema))
    return found


def fields(kind: str, schema: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Field]:
    """Every list, and every map with a strategy, below a schema."""
    for name, field in schema.get("properties", {}).items():
        here = (*path, name)
        if here == ("status",) or len(here) > 24:
            continue
        strategies = frozenset(filter(None, field.get("x-kubernetes-patch-strategy", "").split(",")))
        below = resolved(field)
        if below.get("type") == "array":
            keys = tuple(field.get("x-kubernetes-list-map-keys", ()))
            patch = field.get("x-kubernetes-patch-merge-key", "")
            yield Field(kind, here, strategies, patch, field.get("x-kubernetes-list-type", ""), keys)
            yield from fields(kind, resolved(below["items"]), (*here, 0))
        else:
            if strategies:
                yield Field(kind, here, strategies)
            yield from fields(kind, below, here)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    for part in (schema, *schema.get("allOf", ())):
        if "$ref" in part:
            found: dict[str, Any] = SCHEMAS[part["$ref"].rpartition("/")[2]]
            return found
    return schema


def known(kind: str, path: tuple[str | int, ...], list_type: str) -> Field:
    """What we think of a field."""
    strategies = {
        "merge": bool(patch_key(kind, path) or patched_as_set(path)),
        "retainKeys": path in _UNIONS or path[-1] in _LISTS_OF_UNIONS,
        "replace": (kind, path) in _WHOLE,
    }
    keys = merge_keys(kind, path) or ()
    if keys or is_set(path):
        list_type = "map" if keys else "set"
    elif list_type in ("map", "set"):
        list_type = "atomic"
    ours = frozenset(name for name, holds in strategies.items() if holds)
    return Field(kind, path, ours, patch_key(kind, path) or "", list_type, keys)


def test_every_list_of_kubernetes_own_kinds_is_known() -> None:
    seen = lists_and_strategies()
    wrong = [(ours, field) for field in seen if (ours := known(field.kind, field.path, field.list_type)) != field]
    assert not wrong, "\n".join(f"we think {ours}, and it is {field}" for ours, field in sorted(wrong))
    assert len(seen) > 500
