"""A dependency graph for drawing programs. Arrows point from a release to what it waits for; cycles are red, what is
missing is dashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitsync.api.identity import ObjectKey
    from gitsync.graph import Graph


def dot(graph: Graph[ObjectKey]) -> str:
    """Graphviz."""
    nodes, edges, bad = _parts(graph)
    lines = ["digraph releases {", "  rankdir=BT;", "  node [shape=box];"]
    for key, missing in nodes.items():
        lines.append(f"  {_dot_name(key)}{' [style=dashed]' if missing else ''};")
    for dependent, dependency in edges:
        style = " [color=red]" if (dependent, dependency) in bad else ""
        lines.append(f"  {_dot_name(dependent)} -> {_dot_name(dependency)}{style};")
    return "\n".join([*lines, "}", ""])


def mermaid(graph: Graph[ObjectKey]) -> str:
    """Mermaid, as GitHub and GitLab draw it in Markdown."""
    nodes, edges, bad = _parts(graph)
    numbers = {key: f"n{number}" for number, key in enumerate(nodes)}
    lines = ["flowchart BT"]
    lines += [f'  {numbers[key]}["{_mermaid_label(key)}"]' for key in nodes]
    lines += [f"  {numbers[dependent]} --> {numbers[dependency]}" for dependent, dependency in edges]
    red = [str(number) for number, edge in enumerate(edges) if edge in bad]
    if red:
        lines.append(f"  linkStyle {','.join(red)} stroke:red")
    lines += [f"  style {numbers[key]} stroke-dasharray: 4 4" for key, missing in nodes.items() if missing]
    return "\n".join([*lines, ""])


_Edge = tuple["ObjectKey", "ObjectKey"]


def _parts(graph: Graph[ObjectKey]) -> tuple[dict[ObjectKey, bool], list[_Edge], set[_Edge]]:
    """Nodes (and whether they are missing), edges, and the edges that form cycles."""
    held = graph.held()
    nodes = [*(key for layer in graph.layers() for key in layer), *held]
    missing = graph.missing()
    edges = [(key, dependency) for key in nodes for dependency in graph.dependencies(key)]
    edges += [(edge.dependent, edge.dependency) for edge in missing]
    found = dict.fromkeys(nodes, False) | dict.fromkeys((edge.dependency for edge in missing), True)
    bad = {(edge.dependent, edge.dependency) for cycle in graph.cycles() for edge in cycle.edges}
    return found, edges, bad


def _name(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"


def _dot_name(key: ObjectKey) -> str:
    text = _name(key).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(letter for letter in text if letter.isprintable())}"'


def _mermaid_label(key: ObjectKey) -> str:
    """Letters that mean something to Mermaid or HTML as entities."""
    return "".join(letter if letter.isalnum() or letter in "/-._" else f"#{ord(letter)};" for letter in _name(key))
