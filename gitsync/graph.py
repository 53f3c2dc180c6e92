"""The dependency graph: order, layers, cycles. Pure, and linear in nodes and edges; nothing here recurses.

All answers are deterministic: nodes come in the order in which they were given, edges in theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from gitsync.api.identity import ObjectKey
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.api.identity import Origin

N = TypeVar("N", bound=Hashable)

#: Edges looked at while searching the shortest cycle of one component. Real repositories need a few thousand; past
#: this, in a graph made to be slow, the shortest cycle found so far is named.
_SEARCH_BUDGET = 1_000_000
#: So many names are written out in a text, of a cycle so many from either end.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Edge(Generic[N]):
    """``dependent`` waits for ``dependency``; ``origin`` is where that is written."""

    dependent: N
    dependency: N
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Cycle(Generic[N]):
    """Nodes that wait for each other.

    ``members`` are all nodes of the strongly connected component, in input order; ``edges`` are one shortest cycle
    among them, in order, beginning at the member that comes first in the input.
    """

    members: tuple[N, ...]
    edges: tuple[Edge[N], ...]

    def __str__(self) -> str:
        """``default/a -> default/b -> default/a``; of a very long one, its beginning and its end."""
        name = self._namer()
        names = [name(edge.dependent) for edge in self.edges]
        if len(names) > 2 * _NAMED:
            names[_NAMED:-_NAMED] = [f"({len(names) - 2 * _NAMED} more)"]
        return " -> ".join([*names, names[0]])

    def explain(self) -> str:
        """Each edge with the place where it is written, and the members that the shortest cycle does not pass:
        ``default/a -> default/b at apps/a.yaml:12:7; default/b -> default/a at apps/b.yaml:9:7``
        """
        name = self._namer()
        steps = [
            f"{name(edge.dependent)} -> {name(edge.dependency)}" + (f" at {edge.origin}" if edge.origin else "")
            for edge in self.edges
        ]
        if len(steps) > 2 * _NAMED:
            steps[_NAMED:-_NAMED] = [f"({len(steps) - 2 * _NAMED} more)"]
        passed = {edge.dependent for edge in self.edges}
        others = [node for node in self.members if node not in passed]
        if others:
            steps.append(f"in further cycles with these: {listed(map(name, others), _NAMED)}")
        return "; ".join(steps)

    def _namer(self) -> Callable[[N], str]:
        """Objects of one kind, as releases always are, go by namespace and name alone."""
        kinds = {member[:2] if isinstance(member, ObjectKey) else None for member in self.members}
        return _short_name if len(kinds) == 1 and None not in kinds else str


@dataclass(frozen=True, slots=True)
class HeldByCycle(Generic[N]):
    """Why a node cannot have a turn: the cycle, and the dependency that leads there (None for the cycle's members)."""

    cycle: Cycle[N]
    via: N | None = None

    def __str__(self) -> str:
        if self.via is None:
            return f"dependency cycle: {self.cycle}"
        return f"waits for {self.via}, which is held by the dependency cycle {self.cycle}"


class Graph(Generic[N]):
    """Nodes and who waits for whom. Repeated nodes and edges count once; the first edge's origin is kept.

    Raises: ValueError when an edge's dependent is not a node (its dependency may be missing, see ``missing``).
    """

    def __init__(self, nodes: Iterable[N], edges: Iterable[Edge[N]]) -> None:
        self._nodes = list(dict.fromkeys(nodes))
        self._index = {node: index for index, node in enumerate(self._nodes)}
        # Nodes are numbers from here on: adjacency lists of small integers are what keeps this fast.
        self._needs: list[list[int]] = [[] for _ in self._nodes]
        self._needed_by: list[list[int]] = [[] for _ in self._nodes]
        self._edges: dict[tuple[int, int], Edge[N]] = {}
        self._missing: list[Edge[N]] = []
        for edge in edges:
            self._add(edge)

    def _add(self, edge: Edge[N]) -> None:
        dependent = self._index.get(edge.dependent)
        if dependent is None:
            raise ValueError(f"{edge.dependent} has dependencies but is not a node of the graph")
        dependency = self._index.get(edge.dependency)
        if dependency is None:
            self._missing.append(edge)
        elif (dependent, dependency) not in self._edges:
            self._edges[dependent, dependency] = edge
            self._needs[dependent].append(dependency)
            self._needed_by[dependency].append(dependent)

    def __contains__(self, node: N) -> bool:
        return node in self._index

    def dependencies(self, node: N) -> list[N]:
        """What ``node`` waits for directly. Raises: KeyError when it is not a node."""
        return [self._nodes[index] for index in self._needs[self._index[node]]]

    def dependents(self, node: N) -> list[N]:
        """What waits for ``node`` directly. Raises: KeyError when it is not a node."""
        return [self._nodes[index] for index in self._needed_by[self._index[node]]]

    def missing(self) -> list[Edge[N]]:
        """The edges whose dependency is not a node, in input order. They do not count anywhere else: their dependents
        have their places in the layers.
        """
        return list(self._missing)

    def layers(self) -> list[list[N]]:
        """Dependencies first: each node stands in the layer after that of its last dependency. Nodes in or behind a
        cycle are left out; ``held`` has them.
        """
        return [[self._nodes[index] for index in layer] for layer in self._peel(self._needs, self._needed_by)]

    def reverse_layers(self) -> list[list[N]]:
        """For deleting: dependents first, each node in the layer after that of its last dependent. Nothing is left out,
        for a cycle must be removable too: its members stand together in one layer.
        """
        component = [0] * len(self._nodes)
        for number, members in enumerate(self._components):
            for index in members:
                component[index] = number
        needs: list[list[int]] = [[] for _ in self._components]
        needed_by: list[list[int]] = [[] for _ in self._components]
        for dependent, dependency in self._edges:
            upper, lower = component[dependent], component[dependency]
            if upper != lower:
                needs[upper].append(lower)
                needed_by[lower].append(upper)
        layers = self._peel(needed_by, needs)
        return [
            [self._nodes[index] for index in sorted(index for number in layer for index in self._components[number])]
            for layer in layers
        ]

    def cycles(self) -> list[Cycle[N]]:
        """One for each strongly connected component of more than one node and each node that depends on itself, in the
        order of their first members.
        """
        return list(self._cycles)

    def held(self) -> dict[N, HeldByCycle[N]]:
        """The nodes in a cycle, or behind one, each with the reason; in the order of their distance from it."""
        held: dict[int, HeldByCycle[N]] = {}
        for cycle in self._cycles:
            for node in cycle.members:
                held[self._index[node]] = HeldByCycle(cycle)
        waiting = deque(held)
        while waiting:
            index = waiting.popleft()
            for dependent in self._needed_by[index]:
                if dependent not in held:
                    held[dependent] = HeldByCycle(held[index].cycle, via=self._nodes[index])
                    waiting.append(dependent)
        return {self._nodes[index]: reason for index, reason in held.items()}

    @staticmethod
    def _peel(before: list[list[int]], after: list[list[int]]) -> list[list[int]]:
        """Kahn's algorithm, layer by layer; what is in or behind a cycle never comes up."""
        open_count = [len(indices) for indices in before]
        layer = [index for index, count in enumerate(open_count) if not count]
        layers = []
        while layer:
            layers.append(layer)
            following = []
            for index in layer:
                for successor in after[index]:
                    open_count[successor] -= 1
                    if not open_count[successor]:
                        following.append(successor)
            layer = sorted(following)
        return layers

    @cached_property
    def _cycles(self) -> list[Cycle[N]]:
        cycles = []
        for members in self._components:
            if len(members) > 1 or members[0] in self._needs[members[0]]:
                path = self._shortest_cycle(members)
                edges = tuple(
                    self._edges[index, following] for index, following in zip(path, path[1:] + path[:1], strict=True)
                )
                cycles.append(Cycle(tuple(self._nodes[index] for index in members), edges))
        return cycles

    @cached_property
    def _components(self) -> list[list[int]]:
        """Strongly connected components (Tarjan 1972, with a stack of its own instead of recursion), each sorted, in
        the order of their first members.
        """
        count = len(self._nodes)
        order = [0] * count  # when a node was met, counted from 1; 0: not yet
        low = [0] * count  # the earliest node on the stack that it reaches
        on_stack = [False] * count
        stack: list[int] = []
        components: list[list[int]] = []
        met = 0
        for root in range(count):
            if order[root]:
                continue
            work = [(root, iter(self._needs[root]))]
            met += 1
            order[root] = low[root] = met
            stack.append(root)
            on_stack[root] = True
            while work:
                index, targets = work[-1]
                for target in targets:
                    if not order[target]:
                        met += 1
                        order[target] = low[target] = met
                        stack.append(target)
                        on_stack[target] = True
                        work.append((target, iter(self._needs[target])))
                        break
                    if on_stack[target]:
                        low[index] = min(low[index], order[target])
                else:
                    work.pop()
                    if work:
                        parent = work[-1][0]
                        low[parent] = min(low[parent], low[index])
                    if low[index] == order[index]:
                        components.append(_unwind(stack, on_stack, index))
        return sorted(components)

    def _shortest_cycle(self, members: list[int]) -> list[int]:
        """The nodes of one shortest cycle among ``members``, rotated to begin with the smallest.

        A breadth-first search from every node would be quadratic. Every cycle has an edge that closes it in a
        depth-first search, so searching from the heads of those edges is enough, and never deeper than what is found.
        """
        inside = set(members)
        best: list[int] = []
        budget = _SEARCH_BUDGET
        for start in self._closing_heads(members, inside):
            found, looked_at = self._cycle_through(start, inside, len(best) or len(members) + 1)
            best = found or best
            budget -= looked_at
            if budget < 0 or len(best) == 1:
                break
        first = best.index(min(best))
        return best[first:] + best[:first]

    def _closing_heads(self, members: list[int], inside: set[int]) -> list[int]:
        """The heads of the edges that lead back to a node still open in a depth-first search, sorted."""
        heads = set()
        state = dict.fromkeys(members, 0)  # 0 not met, 1 open, 2 done
        work = [(members[0], iter(self._needs[members[0]]))]
        state[members[0]] = 1
        while work:
            index, targets = work[-1]
            for target in targets:
                if target not in inside:
                    continue
                if state[target] == 0:
                    state[target] = 1
                    work.append((target, iter(self._needs[target])))
                    break
                if state[target] == 1:
                    heads.add(target)
            else:
                state[index] = 2
                work.pop()
        return sorted(heads)

    def _cycle_through(self, start: int, inside: set[int], below: int) -> tuple[list[int], int]:
        """A shortest cycle through ``start`` of fewer than ``below`` nodes ([] when there is none), and the number of
        edges looked at.
        """
        came_from: dict[int, int] = {start: start}
        frontier = [start]
        looked_at = 0
        for _ in range(below - 1):
            following = []
            for index in frontier:
                for target in self._needs[index]:
                    looked_at += 1
                    if target == start:
                        return _path(came_from, start, index), looked_at
                    if target in inside and target not in came_from:
                        came_from[target] = index
                        following.append(target)
            if not following:
                break
            frontier = following
        return [], looked_at


def _short_name(node: object) -> str:
    return node.namespaced_name if isinstance(node, ObjectKey) else str(node)


def _unwind(stack: list[int], on_stack: list[bool], root: int) -> list[int]:
    """Take a finished component off Tarjan's stack."""
    members = []
    while True:
        index = stack.pop()
        on_stack[index] = False
        members.append(index)
        if index == root:
            return sorted(members)


def _path(came_from: dict[int, int], start: int, end: int) -> list[int]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]
