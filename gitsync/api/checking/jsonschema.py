"""JSON schemas of our own kinds, made of their CustomResourceDefinitions: what editors and kubeconform check files by.

Stricter than the definitions: a field that no version has is an error, where an API server would only drop it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gitsync.api.crds import crds

#: The draft that both YAML's language server and kubeconform know.
DRAFT = "http://json-schema.org/draft-07/schema#"
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
    },
}


class KindSchema(NamedTuple):
    """The schema of one version of a kind. ``body`` is without ``$schema``."""

    group: str
    version: str
    kind: str
    body: dict[str, Any]

    @property
    def file(self) -> str:
        """Its name where schemas of many kinds are kept, as CRDs-catalog and kubeconform have it."""
        return f"{self.group}/{self.kind.lower()}_{self.version}.json"

    def whole(self) -> dict[str, Any]:
        """By itself."""
        return {"$schema": DRAFT, **self.body}


def kind_schemas() -> Iterator[KindSchema]:
    """One for each version of each of our kinds, the newest version of a kind first."""
    for crd in crds():
        spec = crd["spec"]
        group, kind = spec["group"], spec["names"]["kind"]
        for version in spec["versions"]:
            body = _of_version(group, kind, version)
            yield KindSchema(group, version["name"], kind, body)


def any_kind() -> dict[str, Any]:
    """Of a file with whatever is in a repository: objects of our kinds are as they have to be, others pass."""
    return {"$schema": DRAFT, "type": "object", "allOf": [_if_it_is(schema) for schema in kind_schemas()]}


def _of_version(group: str, kind: str, version: dict[str, Any]) -> dict[str, Any]:
    whole = version["schema"]["openAPIV3Schema"]
    return {
        "type": "object",
        "description": whole["description"],
        "required": ["apiVersion", "kind", "metadata", *whole["required"]],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": f"{group}/{version['name']}"},
            "kind": {"const": kind},
            "metadata": _METADATA,
            "spec": _strict(whole["properties"]["spec"]),
            "status": {"type": "object"},
        },
    }


def _if_it_is(schema: KindSchema) -> dict[str, Any]:
    marks = {name: schema.body["properties"][name] for name in ("apiVersion", "kind")}
    return {"if": {"required": sorted(marks), "properties": marks}, "then": schema.body}


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    """A structural schema without Kubernetes' own words, in which a map with known fields has no others."""
    kept = {name: value for name, value in node.items() if not name.startswith("x-")}
    if "properties" in kept:
        kept["properties"] = {name: _strict(field) for name, field in kept["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            kept.setdefault("additionalProperties", False)
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _strict(kept[name])
    return kept
