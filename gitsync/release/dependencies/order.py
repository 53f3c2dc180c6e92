"""The graph of what waits for what, over HelmReleases and Kustomizations. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_release
from gitsync.errors import BlockedError, DependencyCycle, DependencyNotReady
from gitsync.graph import Cycle, Edge, Graph, HeldByCycle
from gitsync.release.dependencies.others import Followed, Others
from gitsync.release.dependencies.places import Places, edges_of, nowhere


@dataclass(frozen=True)
class Order:
    """``graph`` has the ``dependsOn`` of all objects. ``held`` are the objects whose own ``dependsOn`` leads into a
    cycle; that may also be closed by a Kustomization that is ready only when the objects it has applied are. An object
    that is in a cycle only by such a wait is not held: it has to go on, for the commit that ends the cycle comes
    through it."""

    graph: Graph[ObjectKey]
    held: Mapping[ObjectKey, HeldByCycle[ObjectKey]]

    @classmethod
    def of(cls, releases: Mapping[ObjectKey, HelmRelease | None], others: Others, places: Places = nowhere) -> Order:
        """The order of these releases (None for one that cannot be read) and of ``others``. ``places`` gives the line
        in which Git has an edge of a cycle now."""
        edges = {key: edges_of(it) if it is not None else () for key, it in releases.items()}
        return cls.of_edges(edges, others, places)

    @classmethod
    def of_edges(
        cls,
        releases: Mapping[ObjectKey, Sequence[Edge[ObjectKey]]],
        others: Others,
        places: Places = nowhere,
    ) -> Order:
        """As ``of``, by the edges of each release. Nodes are sorted, so that a cycle always has the same name."""
        needs = others.needs()
        nodes = [*sorted(releases), *sorted(needs)]
        edges = [edge for found in releases.values() for edge in found]
        edges += [edge for key in sorted(needs) for edge in needs[key]]
        graph = Graph(nodes, edges)
        followed = [edge for key, found in sorted(others.followed().items()) for edge in found if key in needs]
        held = graph.held()
        if followed:
            whole = Graph(nodes, [*edges, *followed]).held()
            held = {key: found for key in whole if (found := _led(key, whole, graph)) is not None} | held
        return cls(graph, _placed(held, places))


def _led(
    key: ObjectKey, whole: Mapping[ObjectKey, HeldByCycle[ObjectKey]], graph: Graph[ObjectKey]
) -> HeldByCycle[ObjectKey] | None:
    """How a dependsOn of ``key`` leads into a cycle; None when none does, and only objects that it has applied are
    held."""
    found, wanted = whole[key], [item for item in graph.dependencies(key) if item in whole]
    if found.via is None:
        is_led = any(whole[item].via is None and whole[item].cycle is found.cycle for item in wanted)
    else:
        is_led = found.via in wanted
    if is_led:
        return found
    return HeldByCycle(whole[wanted[0]].cycle, via=wanted[0]) if wanted else None


def _placed(
    held: Mapping[ObjectKey, HeldByCycle[ObjectKey]], places: Places
) -> Mapping[ObjectKey, HeldByCycle[ObjectKey]]:
    """``held``, with the present place in Git of each edge of the cycles."""
    cycles: dict[int, Cycle[ObjectKey]] = {}
    for found in held.values():
        if id(found.cycle) not in cycles:
            edges = (
                replace(edge, origin=places(edge.dependent, edge.dependency) or edge.origin)
                for edge in found.cycle.edges
            )
            cycles[id(found.cycle)] = replace(found.cycle, edges=tuple(edges))
    return {key: HeldByCycle(cycles[id(found.cycle)], found.via) for key, found in held.items()}


def otherwise_held(
    before: Mapping[ObjectKey, HeldByCycle[ObjectKey]], now: Mapping[ObjectKey, HeldByCycle[ObjectKey]]
) -> list[ObjectKey]:
    """The objects that are held now and were not, or the other way round, or by another cycle (or the same one, written
    in other lines)."""

    def said(held: HeldByCycle[ObjectKey] | None) -> object:
        return (held.via, held.cycle.edges) if held is not None else None

    return [key for key in {**before, **now} if said(before.get(key)) != said(now.get(key))]


def cycle_error(cycle: Cycle[ObjectKey]) -> DependencyCycle:
    """The error of a member of a cycle."""
    hint = "remove one of these dependsOn entries"
    if (edge := next((edge for edge in cycle.edges if isinstance(edge, Followed)), None)) is not None:
        hint = f"remove the dependsOn that leads to {edge.dependent}: it is ready only when {edge.dependency} is"
    return DependencyCycle(f"dependency cycle: {cycle} ({cycle.explain()})", hint=hint)


def held_error(held: HeldByCycle[ObjectKey]) -> BlockedError:
    """The error of a release that is held by a cycle."""
    if held.via is None:
        return cycle_error(held.cycle)
    return DependencyNotReady(
        f"dependency '{shown(held.via)}' is not ready: it is held by the dependency cycle {held.cycle}"
    )


def shown(key: ObjectKey) -> str:
    """How messages name a dependency: a HelmRelease without its kind, since releases mostly wait for releases."""
    return key.namespaced_name if is_release(key) else f"{key.kind} {key.namespaced_name}"
