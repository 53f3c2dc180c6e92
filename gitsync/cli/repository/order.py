"""The order of a commit's Kustomizations and releases as a table and as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import ObjectKey, Origin
from gitsync.api.kinds import is_release
from gitsync.cli.common.output import one_line, table
from gitsync.preview.order import CommitOrder

if TYPE_CHECKING:
    from gitsync.graph import Edge

_HEADERS = ("ORDER", "RELEASE", "AFTER", "FILE")
_TREE_HEADERS = ("ORDER", "OBJECT", "AFTER", "KUSTOMIZATION", "SOURCE", "FILE")


class Order:
    """How an order is shown. ``place`` writes an Origin for people. Where there are Kustomizations, objects are named
    with their kinds."""

    def __init__(self, order: CommitOrder, place: Callable[[Origin], str]) -> None:
        self.order = order
        self._place = place
        self._missing: dict[ObjectKey, list[Edge[ObjectKey]]] = {}
        for edge in order.missing():
            self._missing.setdefault(edge.dependent, []).append(edge)

    def name(self, key: ObjectKey) -> str:
        """An object, for people."""
        return str(key) if self.order.kustomizations else key.namespaced_name

    def table(self) -> str:
        """A row for each object, ordered by the step in which it is applied; ``-`` for those that a cycle holds."""
        graph = self.order.graph
        steps = [(str(number), key) for number, layer in enumerate(graph.layers(), 1) for key in layer]
        steps += [("-", key) for key in graph.held()]
        headers = _TREE_HEADERS if self.order.kustomizations else _HEADERS
        rows = [[step, self.name(key), ", ".join(self._after(key)), *self._from(key)] for step, key in steps]
        return table([list(headers), *([one_line(cell) for cell in row] for row in rows)])

    def _from(self, key: ObjectKey) -> list[str]:
        if not self.order.kustomizations:
            return [self._file(key)]
        above = self.order.brought_by.get(key)
        return [above.namespaced_name if above else "", str(self.order.source(key)), self._file(key)]

    def problems(self) -> list[str]:
        """Cycles, each edge with its place, and dependencies that are not there; one text for each."""
        cycles = [
            f"dependency cycle: {cycle}\n" + "\n".join(f"  {self._depends(edge)}" for edge in cycle.edges)
            for cycle in self.order.graph.cycles()
        ]
        absent = [edge for edges in self._missing.values() for edge in edges]
        missing = [f"{self._depends(edge)}, which is not in the repository" for edge in absent]
        return cycles + missing

    def _depends(self, edge: Edge[ObjectKey]) -> str:
        return f"{self.where(edge)}: {self.name(edge.dependent)} depends on {self.name(edge.dependency)}"

    def where(self, edge: Edge[ObjectKey]) -> str:
        """The place at which the dependency is written, as ``file:line:column``."""
        return self._place(edge.origin) if edge.origin else self._file(edge.dependent)

    def data(self) -> dict[str, Any]:
        """All of it, as JSON."""
        graph, desired = self.order.graph, self.order.desired
        layers = graph.layers()
        releases = [[key.namespaced_name for key in layer if is_release(key)] for layer in layers]
        return {
            "commit": desired.commit.id or None,
            "order": [[str(key) for key in layer] for layer in layers],
            "layers": [layer for layer in releases if layer],
            "kustomizations": [self._node(key) for key in self.order.kustomizations],
            "releases": [self._node(key) for key in desired.helm_releases],
            "cycles": [
                {
                    "cycle": str(cycle),
                    "members": [self.name(key) for key in cycle.members],
                    "edges": [self._edge(edge) for edge in cycle.edges],
                }
                for cycle in graph.cycles()
            ],
            "held": [{"name": self.name(key), "reason": str(reason)} for key, reason in graph.held().items()],
            "missing": [self._edge(edge) for edges in self._missing.values() for edge in edges],
            "errors": [
                {"place": self._place(error.origin), "message": error.message, "hint": error.hint}
                for error in desired.errors
            ],
        }

    def _node(self, key: ObjectKey) -> dict[str, Any]:
        above = self.order.brought_by.get(key)
        return {
            "name": key.namespaced_name,
            "dependsOn": self._after(key),
            "kustomization": above.namespaced_name if above else "",
            "source": str(self.order.source(key)),
            "file": self._file(key),
        }

    def _edge(self, edge: Edge[ObjectKey]) -> dict[str, str]:
        return {"from": self.name(edge.dependent), "to": self.name(edge.dependency), "place": self.where(edge)}

    def _after(self, key: ObjectKey) -> list[str]:
        missing = [edge.dependency for edge in self._missing.get(key, ())]
        return [self.name(dependency) for dependency in (*self.order.dependencies.dependencies(key), *missing)]

    def _file(self, key: ObjectKey) -> str:
        return self._place(self.order.desired.objects[key].origin)
