"""Which kinds are served: those recorded from a real API server, and those that CustomResourceDefinitions bring."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from gitsync.sandbox.failures import Named
from gitsync.sandbox.kinds.protobuf import Messages
from gitsync.sandbox.kinds.schema import Schema, Type

#: Written by ``python -m tests.contract.recording``.
RECORDING: Final = Path(__file__).parents[1] / "kubernetes.json.gz"

#: Kinds of Kubernetes whose metadata.generation counts the changes of their spec.
_COUNTING_GROUPS: Final = frozenset({"apps", "batch", "networking.k8s.io", "policy", "apiextensions.k8s.io"})
_COUNTING: Final = frozenset({"pods", "replicationcontrollers", "priorityclasses", "endpointslices"})
_COUNTING_CONFIG: Final = "admissionregistration.k8s.io"


@dataclass(frozen=True, eq=False)
class Resource:
    """A kind in one version. ``entry`` is what aggregated discovery says of it; ``columns`` those of a CRD."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    type: Type
    entry: Mapping[str, Any]
    custom: bool = False
    columns: tuple[Mapping[str, Any], ...] = ()
    crd: Mapping[str, Any] = field(default_factory=dict)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def collection(self) -> str:
        """The same for all versions: they share their objects."""
        return f"{self.plural}.{self.group}"

    @property
    def verbs(self) -> list[str]:
        verbs: list[str] = self.entry["verbs"]
        return verbs

    @property
    def has_status(self) -> bool:
        """Whether the status is a subresource."""
        return any(each["subresource"] == "status" for each in self.entry.get("subresources") or ())

    @property
    def counts_generations(self) -> bool:
        if self.custom or self.group in _COUNTING_GROUPS:
            return True
        return self.plural in _COUNTING or (self.group == _COUNTING_CONFIG and self.plural.endswith("configurations"))

    def named(self, name: str) -> Named:
        """One of its objects, for failures."""
        return Named(self.group, self.plural, self.kind, name)


class Catalog:
    """``groups`` is what aggregated discovery says, in the server's order of preference."""

    def __init__(self, recording: Path = RECORDING) -> None:
        recorded = orjson.loads(gzip.decompress(recording.read_bytes()))
        self.version: Mapping[str, str] = recorded["version"]
        self.schemas: dict[str, Schema] = recorded["schemas"]
        self.messages: Messages = recorded["messages"]
        self.groups: list[dict[str, Any]] = recorded["groups"]
        self._resources: dict[tuple[str, str, str], Resource] = {}
        self._custom: dict[str, list[Resource]] = {}
        self._kinds = {
            (gvk["group"], gvk["version"], gvk["kind"]): name
            for name, schema in self.schemas.items()
            for gvk in schema.get("x-kubernetes-group-version-kind") or ()
        }
        for group in self.groups:
            for version in group["versions"]:
                for entry in version["resources"]:
                    self._add(self._recorded(group["metadata"]["name"], version["version"], entry))
        self._refresh()

    @property
    def message_names(self) -> dict[tuple[str, str], str]:
        """Protobuf messages by apiVersion and kind."""
        return {
            (f"{group}/{version}".lstrip("/"), kind): name.replace("io.k8s.", "k8s.io.", 1)
            for (group, version, kind), name in self._kinds.items()
        }

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._resources.get((group, version, plural))

    def of_collection(self, collection: str) -> Resource:
        """In the preferred version. Raises: KeyError."""
        return self._collections[collection]

    def of_kind(self, group: str, kind: str) -> Resource:
        """In the preferred version. Raises: KeyError."""
        for resource in self._resources.values():
            if (resource.group, resource.kind) == (group, kind):
                return resource
        raise KeyError(kind)

    def knows(self, group: str, version: str = "") -> bool:
        """Whether a group, or a version of it, is served."""
        return any(each.group == group and version in ("", each.version) for each in self._resources.values())

    def kinds(self) -> Iterator[Resource]:
        """Every kind that is served, once."""
        yield from self._collections.values()

    def namespaced(self) -> Iterator[Resource]:
        """Every kind that lives in namespaces, once."""
        return (each for each in self._collections.values() if each.namespaced and "list" in each.verbs)

    def schema_of(self, group: str, version: str) -> dict[str, Schema]:
        """The schemas of a version by name."""
        custom = [each for found in self._custom.values() for each in found]
        mine = {
            _schema_name(each): each.type.schema for each in custom if (each.group, each.version) == (group, version)
        }
        return mine or {
            name: self.schemas[name] for (g, v, _), name in self._kinds.items() if (g, v) == (group, version)
        }

    def resources(self, group: str, version: str) -> list[Resource]:
        return [each for each in self._resources.values() if (each.group, each.version) == (group, version)]

    def replace_custom(self, name: str, resources: list[Resource]) -> None:
        """Serve what a CustomResourceDefinition names, and no longer what it named before."""
        resources = [each for each in resources if not self._is_native(each)]
        for old in self._custom.pop(name, ()):
            del self._resources[old.group, old.version, old.plural]
        if resources:
            self._custom[name] = resources
            for resource in resources:
                self._add(resource)
        custom = [each for found in self._custom.values() for each in found]
        self.groups = [group for group in self.groups if not group.get("custom")] + _groups_of(custom)
        self._refresh()

    def _is_native(self, resource: Resource) -> bool:
        """Whether a CRD names what Kubernetes serves itself."""
        known = self._resources.get((resource.group, resource.version, resource.plural))
        return known is not None and not known.custom

    def _recorded(self, group: str, version: str, entry: Mapping[str, Any]) -> Resource:
        kind = entry["responseKind"]["kind"]
        schema = self.schemas.get(self._kinds.get((group, version, kind), ""), {"type": "object"})
        of = Type(schema, self.schemas)
        return Resource(group, version, kind, entry["resource"], entry["scope"] == "Namespaced", of, entry)

    def _add(self, resource: Resource) -> None:
        self._resources[resource.group, resource.version, resource.plural] = resource

    def _refresh(self) -> None:
        self._collections: dict[str, Resource] = {}
        for resource in self._resources.values():
            self._collections.setdefault(resource.collection, resource)


def _schema_name(resource: Resource) -> str:
    return f"{'.'.join(reversed(resource.group.split('.')))}.{resource.version}.{resource.kind}"


def _groups_of(resources: list[Resource]) -> list[dict[str, Any]]:
    """Aggregated discovery of custom resources; versions in the order in which their CRDs were given."""
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for resource in resources:
        groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource.entry)
    return [
        {
            "metadata": {"name": name},
            "custom": True,
            "versions": [{"version": version, "resources": entries} for version, entries in versions.items()],
        }
        for name, versions in groups.items()
    ]
