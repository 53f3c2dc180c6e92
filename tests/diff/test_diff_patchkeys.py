"""The merge keys that we know are those of the API server's own schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gitsync.api.builtin import is_builtin
from gitsync.diff.mergekeys import patch_key, patched_as_set
from gitsync.diff.threeway import _LISTS_OF_UNIONS, _UNIONS, _WHOLE
from tests.controlplane.cluster import Cli

Path = tuple[str | int, ...]
#: Kind, path, patch strategy, merge key ("" for none).
Field = tuple[str, Path, frozenset[str], str]
STRATEGY, KEY = "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key"


def fields(schemas: dict[str, Any], kind: str, schema: dict[str, Any], path: Path = ()) -> Iterator[Field]:
    """Every list, and every map with a strategy, below a schema."""
    for name, field in schema.get("properties", {}).items():
        here = (*path, name)
        if here == ("status",) or len(here) > 24 or name == "podCIDRs":  # of a Node, which no chart makes
            continue
        strategy = frozenset(filter(None, field.get(STRATEGY, "").split(",")))
        below = resolved(schemas, field)
        if below.get("type") == "array":
            yield kind, here, strategy, field.get(KEY, "")
            yield from fields(schemas, kind, resolved(schemas, below["items"]), (*here, 0))
        else:
            if strategy:
                yield kind, here, strategy, ""
            yield from fields(schemas, kind, below, here)


def resolved(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for part in (schema, *schema.get("allOf", ())):
        if "$ref" in part:
            found: dict[str, Any] = schemas[part["$ref"].rpartition("/")[2]]
            return found
    return schema


def test_every_list_of_kubernetes_own_kinds_is_known(kubectl: Cli) -> None:
    seen: set[Field] = set()
    for group_version in json.loads(kubectl("get", "--raw", "/openapi/v3"))["paths"]:
        group = group_version.split("/")[1] if group_version.startswith("apis/") else ""
        if not is_builtin(group) or group == "apiextensions.k8s.io" or group_version.count("/") != (2 if group else 1):
            continue
        schemas = json.loads(kubectl("get", "--raw", f"/openapi/v3/{group_version}"))["components"].get("schemas", {})
        for schema in schemas.values():
            for meant in schema.get("x-kubernetes-group-version-kind", ()):
                if meant["group"] == group and not meant["kind"].endswith("List"):
                    seen.update(fields(schemas, meant["kind"], schema))

    wrong = []
    for kind, path, strategy, key in seen:
        known = {
            "merge": bool(patch_key(kind, path) or patched_as_set(path)),
            "retainKeys": path in _UNIONS or path[-1] in _LISTS_OF_UNIONS,
            "replace": (kind, path) in _WHOLE,
        }
        ours = frozenset(name for name, holds in known.items() if holds)
        if (ours, patch_key(kind, path) or "") != (strategy, key):
            wrong.append(
                f"{kind} {path}: {sorted(strategy)} by {key!r}, we think {sorted(ours)} by {patch_key(kind, path)!r}"
            )
    assert not wrong, "\n".join(sorted(wrong))
    assert len(seen) > 500
