"""A commit's order for drawing programs. Arrows point from what waits to what it waits for; cycles are red, what is
missing is dashed. Where there are Kustomizations, what one brings is drawn inside of it, and dotted arrows lead to
sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gitsync.api.identity import ObjectKey
    from gitsync.preview.order import CommitOrder


class _Drawing:
    """What there is to draw. ``nodes`` says of each object whether it is missing; ``edges`` lead from an object to what
    it depends on, ``bad`` are those of cycles; ``sources`` lead from an object to its source; ``inside`` has, by
    Kustomization (None: by none), the objects that it brings."""

    def __init__(self, order: CommitOrder) -> None:
        graph, self._kinds = order.graph, bool(order.kustomizations)
        held = graph.held()
        nodes = [*(key for layer in graph.layers() for key in layer), *held]
        missing = order.dependencies.missing()
        own = order.dependencies
        self.edges = [_Arrow(key, dependency) for key in nodes for dependency in own.dependencies(key)]
        self.edges += [_Arrow(edge.dependent, edge.dependency) for edge in missing]
        self.bad = {_Arrow(edge.dependent, edge.dependency) for cycle in graph.cycles() for edge in cycle.edges}
        self.edges += sorted(self.bad - set(self.edges))  # a Kustomization that waits for something in it
        self.nodes = dict.fromkeys(nodes, False) | dict.fromkeys((edge.dependency for edge in missing), True)
        self.sources = [_Arrow(key, order.source(key)) for key in nodes] if self._kinds else []
        self.inside: dict[ObjectKey | None, list[ObjectKey]] = {}
        for key in self.nodes:
            self.inside.setdefault(order.brought_by.get(key), []).append(key)

    def name(self, key: ObjectKey) -> str:
        return str(key) if self._kinds else key.namespaced_name

    def boxes(
        self,
        node: Callable[[ObjectKey], str],
        begin: Callable[[ObjectKey], str],
        end: str,
        above: ObjectKey | None = None,
        indent: str = "  ",
    ) -> Iterator[str]:
        """A line for each node. A Kustomization and what it brings stand between the lines ``begin`` and ``end`` of a
        box."""
        for key in self.inside.get(above, ()):
            if key not in self.inside:
                yield f"{indent}{node(key)}"
                continue
            deeper = f"{indent}  "
            yield f"{indent}{begin(key)}"
            yield f"{deeper}{node(key)}"
            yield from self.boxes(node, begin, end, key, deeper)
            yield f"{indent}{end}"


class _Arrow(NamedTuple):
    start: ObjectKey
    end: ObjectKey


def dot(order: CommitOrder) -> str:
    """The order in Graphviz' language."""
    drawing = _Drawing(order)

    def name(key: ObjectKey) -> str:
        text = drawing.name(key).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{"".join(letter for letter in text if letter.isprintable())}"'

    def node(key: ObjectKey) -> str:
        return f"{name(key)}{' [style=dashed]' if drawing.nodes[key] else ''};"

    boxes = drawing.boxes(node, lambda key: f'subgraph "cluster {name(key)[1:]} {{', "}")
    lines = ["digraph releases {", "  rankdir=BT;", "  node [shape=box];", *boxes]
    lines += [f"  {name(key)} [shape=ellipse];" for key in dict.fromkeys(arrow.end for arrow in drawing.sources)]
    for arrow in drawing.edges:
        style = " [color=red]" if arrow in drawing.bad else ""
        lines.append(f"  {name(arrow.start)} -> {name(arrow.end)}{style};")
    lines += [f"  {name(arrow.start)} -> {name(arrow.end)} [style=dotted];" for arrow in drawing.sources]
    return "\n".join([*lines, "}", ""])


def mermaid(order: CommitOrder) -> str:
    """The order in Mermaid's language, which GitHub and GitLab draw in Markdown."""
    drawing = _Drawing(order)
    sources = dict.fromkeys(arrow.end for arrow in drawing.sources)
    numbers = {key: f"n{number}" for number, key in enumerate([*drawing.nodes, *sources])}

    def node(key: ObjectKey) -> str:
        return f'{numbers[key]}["{_label(drawing.name(key))}"]'

    lines = ["flowchart BT", *drawing.boxes(node, lambda key: f'subgraph in_{numbers[key]}[" "]', "end")]
    lines += [f'  {numbers[key]}(["{_label(drawing.name(key))}"])' for key in sources]
    lines += [f"  {numbers[arrow.start]} --> {numbers[arrow.end]}" for arrow in drawing.edges]
    lines += [f"  {numbers[arrow.start]} -.-> {numbers[arrow.end]}" for arrow in drawing.sources]
    red = [str(number) for number, arrow in enumerate(drawing.edges) if arrow in drawing.bad]
    if red:
        lines.append(f"  linkStyle {','.join(red)} stroke:red")
    lines += [f"  style {numbers[key]} stroke-dasharray: 4 4" for key, missing in drawing.nodes.items() if missing]
    return "\n".join([*lines, ""])


def _label(text: str) -> str:
    """A text for Mermaid, with the characters that mean something to Mermaid or HTML written as entities."""
    return "".join(letter if letter.isalnum() or letter in "/-._" else f"#{ord(letter)};" for letter in text)
