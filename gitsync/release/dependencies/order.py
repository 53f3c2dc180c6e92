"""The graph of what waits for what, over HelmReleases and Kustomizations. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey, Origin
from gitsync.api.kinds import is_release
from gitsync.api.names import DEPENDS_ON_ORIGIN_ANNOTATION
from gitsync.errors import BlockedError, DependencyCycle, DependencyNotReady
from gitsync.graph import Cycle, Edge, Graph, Held
from gitsync.release.dependencies.others import Others
from gitsync.text import whole_number


@dataclass(frozen=True)
class Order:
    """``graph`` has what ``dependsOn`` names. ``held`` are those in or behind a cycle of it; of HelmReleases also those
    in a cycle through a Kustomization that has applied them and waits for them: nothing but another commit ends that,
    and it is the Kustomization that brings the commit, so it goes on."""

    graph: Graph[ObjectKey]
    held: Mapping[ObjectKey, Held[ObjectKey]]

    @classmethod
    def of(cls, releases: Mapping[ObjectKey, HelmRelease | None], others: Others) -> Order:
        """None stands for a release that cannot be read."""
        return cls.of_edges({key: edges_of(it) if it is not None else () for key, it in releases.items()}, others)

    @classmethod
    def of_edges(cls, releases: Mapping[ObjectKey, Sequence[Edge[ObjectKey]]], others: Others) -> Order:
        """The same of what each release waits for. Nodes are sorted, so that a cycle has the same name whoever of its
        members came first."""
        needs = others.needs()
        nodes = [*sorted(releases), *sorted(needs)]
        edges = [edge for found in releases.values() for edge in found]
        edges += [Edge(key, dependency) for key in sorted(needs) for dependency in needs[key]]
        graph = Graph(nodes, edges)
        followed = [Edge(key, inside) for key, found in sorted(others.followed().items()) for inside in found]
        held = graph.held()
        if followed:
            whole = Graph(nodes, [*edges, *followed]).held()
            held = {key: found for key, found in whole.items() if is_release(key)} | held
        return cls(graph, held)


def cycle_error(held: Held[ObjectKey], graph: Graph[ObjectKey]) -> BlockedError:
    """What to say of one that is held."""
    if held.via is not None:
        return DependencyNotReady(
            f"dependency '{shown(held.via)}' is not ready: it is held by the dependency cycle {held.cycle}"
        )
    hint = "remove one of these dependsOn entries"
    if (keeper := _keeper(held.cycle, graph)) is not None:
        hint = f"remove the dependsOn that leads to {keeper}: it has applied the release, and waits for it (wait: true)"
    return DependencyCycle(f"dependency cycle: {held.cycle} ({held.cycle.explain()})", hint=hint)


def shown(key: ObjectKey) -> str:
    """How a dependency is named: releases mostly wait for releases."""
    return key.namespaced_name if is_release(key) else f"{key.kind} {key.namespaced_name}"


def _keeper(cycle: Cycle[ObjectKey], graph: Graph[ObjectKey]) -> ObjectKey | None:
    """The Kustomization that waits in a cycle for what it has applied; None when all waits are written in dependsOn."""
    for edge in cycle.edges:
        if not is_release(edge.dependent) and edge.dependency not in graph.dependencies(edge.dependent):
            return edge.dependent
    return None


def edges_of(release: HelmRelease) -> Sequence[Edge[ObjectKey]]:
    """Each dependsOn entry, with the place where sync has found it: ``path:line`` lines in the entries' order."""
    origins: dict[int, Origin] = {}
    text = release.metadata.annotations.get(DEPENDS_ON_ORIGIN_ANNOTATION, "")
    for number, place in enumerate(text.splitlines()):
        path, _, line = place.rpartition(":")
        if path and (found := whole_number(line)) is not None:
            origins[number] = Origin(path, found)
    dependencies = enumerate(release.dependencies())
    return [Edge(release.key, dependency, origins.get(number)) for number, (dependency, _) in dependencies]
