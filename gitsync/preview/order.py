"""The order in which a commit's Kustomizations and HelmReleases are applied, and which are never applied (cycles).
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey, Origin
from gitsync.api.kustomization import Kustomization
from gitsync.graph import Edge, Graph
from gitsync.manifests import Desired
from gitsync.sync.kustomization.waiting.dependencies import BOOTSTRAP


@dataclass(frozen=True)
class CommitOrder:
    """The Kustomizations and HelmReleases of a commit; ``brought_by`` says which Kustomization an object comes by."""

    desired: Desired
    brought_by: Mapping[ObjectKey, ObjectKey]

    @cached_property
    def kustomizations(self) -> Mapping[ObjectKey, Kustomization]:
        """The Kustomizations, typed."""
        models = {key: item.model for key, item in self.desired.objects.items()}
        return {key: model for key, model in models.items() if isinstance(model, Kustomization)}

    @property
    def nodes(self) -> Mapping[ObjectKey, Kustomization | HelmRelease]:
        """The Kustomizations and the HelmReleases."""
        return {**self.kustomizations, **self.desired.helm_releases}

    @cached_property
    def dependencies(self) -> Graph[ObjectKey]:
        """The graph of ``dependsOn``: each edge is an entry, with its file and line."""
        return Graph(self.nodes, [edge for key in self.nodes for edge in self._own(key)])

    @cached_property
    def graph(self) -> Graph[ObjectKey]:
        """All that waits for each other: what a Kustomization brings waits for what that depends on, and one that waits
        for what it brings is ready after that."""
        edges = [edge for key in self.nodes for edge in self._own(key)]
        for key in self.nodes:
            for above in self.lineage(key):
                edges += [Edge(key, edge.dependency, edge.origin) for edge in self._own(above)]
        for key, kustomization in self.kustomizations.items():
            edges += [Edge(key, other, origin) for other, origin in self._waits_for(key, kustomization)]
        return Graph(self.nodes, edges)

    def lineage(self, key: ObjectKey) -> Iterator[ObjectKey]:
        """The Kustomization that brings an object, the one that brings this, and so on."""
        above = self.brought_by.get(key)
        while above is not None:
            yield above
            above = self.brought_by.get(above)

    def source(self, key: ObjectKey) -> ObjectKey:
        """The source of a Kustomization, or of a release's chart."""
        return self.nodes[key].source

    def missing(self) -> list[Edge[ObjectKey]]:
        """The dependencies that are nowhere in the repository; one that has errors is there, and so is the sync of the
        repository itself, by the name that Flux gives its Kustomization."""
        faulty = {BOOTSTRAP, *(error.key for error in self.desired.errors)}
        return [edge for edge in self.dependencies.missing() if edge.dependency not in faulty]

    def _own(self, key: ObjectKey) -> Iterator[Edge[ObjectKey]]:
        item = self.desired.objects[key]
        for dependency, path in self.nodes[key].dependencies():
            yield Edge(key, dependency, item.field_origin(path))

    def _waits_for(self, key: ObjectKey, kustomization: Kustomization) -> Iterator[tuple[ObjectKey, Origin]]:
        item, spec = self.desired.objects[key], kustomization.spec
        if spec.wait:
            origin = item.field_origin(("spec", "wait"))
            yield from ((other, origin) for other in self.nodes if self.brought_by.get(other) == key)
            return
        for number, check in enumerate(spec.health_checks):
            if check.key in self.nodes:
                yield check.key, item.field_origin(("spec", "healthChecks", number))
