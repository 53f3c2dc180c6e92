"""The fields of custom resources, and the words by which a page says how gitsync honours each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitsync.api.crds import crds

WORDS = {"works", "refused", "warned", "no effect yet", "no effect"}


def leaves(kind: str) -> list[str]:
    """The fields of a kind's spec in its CRD."""
    crd = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == kind)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return list(_leaves(spec, ""))


def _leaves(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if schema.get("type") == "array":
        yield from _leaves(schema["items"], f"{path}[]")
    elif properties := schema.get("properties"):
        for name, inner in properties.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path
