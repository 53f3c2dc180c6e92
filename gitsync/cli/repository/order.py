"""The dependency graph of a commit's releases as a table and as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import ObjectKey, Origin
from gitsync.cli.common.output import one_line, table
from gitsync.sync.apply import release_graph

if TYPE_CHECKING:
    from gitsync.graph import Edge, Graph
    from gitsync.manifests import Desired

_HEADERS = ("ORDER", "RELEASE", "AFTER", "FILE")


def short(key: ObjectKey) -> str:
    """``namespace/name``: all here are HelmReleases."""
    return f"{key.namespace}/{key.name}"


def missing_edges(graph: Graph[ObjectKey], desired: Desired) -> list[Edge[ObjectKey]]:
    """The edges to releases that are nowhere in the repository; one that has errors is there."""
    faulty = {error.key for error in desired.errors}
    return [edge for edge in graph.missing() if edge.dependency not in faulty]


class Order:
    """The order of a commit's releases. ``place`` writes an Origin for people."""

    def __init__(self, desired: Desired, place: Callable[[Origin], str]) -> None:
        self.graph = release_graph(desired)
        self._desired = desired
        self._place = place
        self._missing: dict[ObjectKey, list[Edge[ObjectKey]]] = {}
        for edge in missing_edges(self.graph, desired):
            self._missing.setdefault(edge.dependent, []).append(edge)

    def table(self) -> str:
        """Releases by the step in which their turn comes; ``-`` for those that a cycle holds."""
        steps = [(str(number), key) for number, layer in enumerate(self.graph.layers(), 1) for key in layer]
        steps += [("-", key) for key in self.graph.held()]
        rows = [[step, short(key), ", ".join(self._after(key)), self._file(key)] for step, key in steps]
        return table([list(_HEADERS), *([one_line(cell) for cell in row] for row in rows)])

    def problems(self) -> list[str]:
        """Cycles, each edge with its place, and dependencies that are not there; one text for each."""
        cycles = [
            f"dependency cycle: {cycle}\n" + "\n".join(f"  {self._depends(edge)}" for edge in cycle.edges)
            for cycle in self.graph.cycles()
        ]
        absent = [edge for edges in self._missing.values() for edge in edges]
        missing = [f"{self._depends(edge)}, which is not in the repository" for edge in absent]
        return cycles + missing

    def _depends(self, edge: Edge[ObjectKey]) -> str:
        return f"{self.where(edge)}: {short(edge.dependent)} depends on {short(edge.dependency)}"

    def where(self, edge: Edge[ObjectKey]) -> str:
        """Where an edge is written."""
        return self._place(edge.origin) if edge.origin else self._file(edge.dependent)

    def data(self) -> dict[str, Any]:
        """All of it, as JSON."""
        held = self.graph.held()
        return {
            "commit": self._desired.commit.id or None,
            "layers": [[short(key) for key in layer] for layer in self.graph.layers()],
            "releases": [
                {"name": short(key), "dependsOn": self._after(key), "file": self._file(key)}
                for key in self._desired.helm_releases
            ],
            "cycles": [
                {
                    "cycle": str(cycle),
                    "members": [short(key) for key in cycle.members],
                    "edges": [self._edge(edge) for edge in cycle.edges],
                }
                for cycle in self.graph.cycles()
            ],
            "held": [{"name": short(key), "reason": str(reason)} for key, reason in held.items()],
            "missing": [self._edge(edge) for edges in self._missing.values() for edge in edges],
            "errors": [
                {"place": self._place(error.origin), "message": error.message, "hint": error.hint}
                for error in self._desired.errors
            ],
        }

    def _edge(self, edge: Edge[ObjectKey]) -> dict[str, str]:
        return {"from": short(edge.dependent), "to": short(edge.dependency), "place": self.where(edge)}

    def _after(self, key: ObjectKey) -> list[str]:
        missing = [edge.dependency for edge in self._missing.get(key, ())]
        return [short(dependency) for dependency in (*self.graph.dependencies(key), *missing)]

    def _file(self, key: ObjectKey) -> str:
        return self._place(self._desired.objects[key].origin)
