"""Where the boxes and arrows of a graph go: in columns, what is waited for to the left of who waits. Pure, and about
linear in nodes and arrows: what is too much to look at is folded before it is laid out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

from gitsync.graph import Edge, Graph

#: So many boxes are drawn one by one; of more, those that are alike are folded into one.
MOST: Final = 120
#: So many that are alike are no reason to fold them.
_FEW = 2
WIDTH: Final = 190
HEIGHT: Final = 46
_GAP_X = 50
_GAP_Y = 14
_MARGIN = 12
#: Room over all boxes, for arrows of cycles.
_TOP = 36
_SWEEPS = 4
#: Places in which arrows pass through columns: beyond that they go straight.
_MOST_BENDS = 60


@dataclass(frozen=True, slots=True)
class Box:
    """One to draw. ``group`` is what those have in common that may be folded together, ``path`` where its page is;
    ``toggle`` is where what it consists of is shown, or with ``is_open`` is no more."""

    id: Hashable
    title: str
    about: str
    status: str
    group: tuple[str, ...]
    path: str = ""
    toggle: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """From what waits to what it waits for, or from a part to what it is of. ``kind`` is "depends", "source", "applied"
    or "part"; ``is_bad`` is part of a cycle."""

    start: Hashable
    end: Hashable
    kind: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its upper left corner."""

    box: Box
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow as the path of an SVG."""

    path: str
    arrow: Arrow


@dataclass(frozen=True, slots=True)
class Drawn:
    """A graph that is laid out; ``folded`` is how many boxes stand for others, ``of`` how many there were."""

    boxes: Sequence[Placed]
    curves: Sequence[Curve]
    width: int
    height: int
    folded: int
    of: int


def laid_out(boxes: Sequence[Box], arrows: Sequence[Arrow], most: int = MOST) -> Drawn:
    """All of it. Arrows to what is not among the boxes are left out."""
    known = {box.id for box in boxes}
    inside = [arrow for arrow in arrows if arrow.start in known and arrow.end in known]
    columns = _columns(boxes, inside)
    shown, joined, shown_columns = _folded(boxes, inside, columns, most)
    places, curves, bottom = _placed(shown, joined, shown_columns)
    width = max((place.x for place in places), default=0) + WIDTH + _MARGIN
    return Drawn(
        places, curves, width, bottom + _MARGIN, len(shown) - len(known & {box.id for box in shown}), len(boxes)
    )


def _columns(boxes: Sequence[Box], arrows: Iterable[Arrow]) -> dict[Hashable, int]:
    """By box, its column: the one after the last of what it waits for. Those in and behind cycles come after what is
    known of theirs."""
    graph = Graph([box.id for box in boxes], [Edge(arrow.start, arrow.end) for arrow in arrows])
    columns = {node: number for number, layer in enumerate(graph.layers()) for node in layer}
    for node in graph.held():
        before = [columns[below] for below in graph.dependencies(node) if below in columns]
        columns[node] = max(before, default=-1) + 1
    return columns


def _folded(
    boxes: Sequence[Box], arrows: Sequence[Arrow], columns: Mapping[Hashable, int], most: int
) -> tuple[list[Box], list[Arrow], dict[Hashable, int]]:
    """No more boxes than ``most``, or about that: those of a group, a status and a column become one, by ever less of
    what they have in common."""
    stands: dict[Hashable, Hashable] = {box.id: box.id for box in boxes}
    shown = list(boxes)
    depth = max((len(box.group) for box in boxes), default=0)
    while len(shown) > most and depth > 0:
        alike = {box.id: (box.group[:depth], box.status, columns[box.id]) for box in boxes}
        numbers = Counter(alike.values())
        stands = {node: mark if numbers[mark] > _FEW else node for node, mark in alike.items()}
        shown = _standing(boxes, stands, numbers)
        depth -= 1
    where = {stands[node]: column for node, column in columns.items()}
    joined: dict[tuple[Hashable, Hashable], Arrow] = {}
    for arrow in arrows:
        start, end = stands[arrow.start], stands[arrow.end]
        if start != end or arrow.start == arrow.end:
            before = joined.get((start, end))
            bad = arrow.is_bad or (before is not None and before.is_bad)
            joined[start, end] = Arrow(start, end, before.kind if before is not None else arrow.kind, bad)
    return shown, list(joined.values()), where


def _standing(
    boxes: Sequence[Box], stands: Mapping[Hashable, Hashable], numbers: Mapping[tuple[tuple[str, ...], str, int], int]
) -> list[Box]:
    """The boxes that are not folded, and one for each fold."""
    shown: dict[Hashable, Box] = {}
    for box in boxes:
        mark = stands[box.id]
        if mark == box.id:
            shown[mark] = box
        elif mark not in shown and isinstance(mark, tuple):
            group, status, _ = mark
            kind, *rest = group
            about = f"{status} in {rest[0]}" if rest else status
            shown[mark] = Box(mark, f"{numbers[mark]} {kind}s", about, status, group)
    return list(shown.values())


@dataclass(frozen=True, slots=True)
class _Bend:
    """Where an arrow passes through a column."""

    arrow: Arrow
    column: int


def _placed(
    boxes: Sequence[Box], arrows: Sequence[Arrow], columns: Mapping[Hashable, int]
) -> tuple[list[Placed], list[Curve], int]:
    """Boxes and arrows in their places, and the lower end of all of them. Within a column each is near what its arrows
    lead to, by a few sweeps over the means of their places; an arrow that passes columns goes between their boxes."""
    stacks: dict[int, list[Hashable]] = {}
    for box in boxes:
        stacks.setdefault(columns[box.id], []).append(box.id)
    near: dict[Hashable, list[Hashable]] = {box.id: [] for box in boxes}
    bends = _bends(arrows, columns, set(stacks))
    for arrow in arrows:
        ways = [arrow.start, *bends[arrow], arrow.end]
        for bend in bends[arrow]:
            stacks[bend.column].append(bend)
            near[bend] = []
        for one, other in pairwise(ways):
            near[one].append(other)
            near[other].append(one)
    heights = _sorted(stacks, near)
    numbers = {column: number for number, column in enumerate(sorted(stacks))}
    places = {
        box.id: Placed(box, _x(numbers[columns[box.id]]), _TOP + int(heights[box.id] - HEIGHT / 2)) for box in boxes
    }
    curves = []
    for arrow in arrows:
        points = [(_x(numbers[bend.column]), _TOP + int(heights[bend])) for bend in bends[arrow]]
        curves.append(Curve(_curve(places[arrow.start], points, places[arrow.end]), arrow))
    bottom = max((int(height + _room(node) / 2) for node, height in heights.items()), default=0)
    return list(places.values()), curves, _TOP + bottom


def _bends(arrows: Sequence[Arrow], columns: Mapping[Hashable, int], used: Set[int]) -> dict[Arrow, list[_Bend]]:
    """By arrow, the columns between, from its start on; none where that would be too much to lay out."""
    between = {arrow: range(columns[arrow.start] - 1, columns[arrow.end], -1) for arrow in arrows}
    if sum(map(len, between.values())) > _MOST_BENDS:
        return {arrow: [] for arrow in arrows}
    return {arrow: [_Bend(arrow, column) for column in passed if column in used] for arrow, passed in between.items()}


def _sorted(stacks: Mapping[int, list[Hashable]], near: Mapping[Hashable, Sequence[Hashable]]) -> dict[Hashable, float]:
    """Each column in its order; the heights of the middles of all that is in it."""
    heights = _heights(stacks)
    for _ in range(_SWEEPS):
        for stack in stacks.values():
            mean = {node: fmean([heights[other] for other in near[node]] or [heights[node]]) for node in stack}
            stack.sort(key=mean.__getitem__)
        heights = _heights(stacks)
    return heights


def _heights(stacks: Mapping[int, Sequence[Hashable]]) -> dict[Hashable, float]:
    """The columns one beside the other, each around the same middle."""
    size = {column: sum(map(_room, stack)) for column, stack in stacks.items()}
    tallest = max(size.values(), default=0)
    found: dict[Hashable, float] = {}
    for column, stack in stacks.items():
        top = (tallest - size[column]) / 2
        for node in stack:
            found[node] = top + (_room(node) - _GAP_Y) / 2
            top += _room(node)
    return found


def _room(node: Hashable) -> int:
    return _GAP_Y + (0 if isinstance(node, _Bend) else HEIGHT)


def _x(number: int) -> int:
    return _MARGIN + number * (WIDTH + _GAP_X)


def _curve(start: Placed, points: Sequence[tuple[int, int]], end: Placed) -> str:
    """From the left side of who waits to the right side of what it waits for, straight through the columns between;
    within a column, around."""
    x, y = start.x, start.y + HEIGHT // 2
    x2, y2 = end.x + WIDTH, end.y + HEIGHT // 2
    if start.x == end.x:  # a cycle
        bend = x2 + _GAP_X // 2
        return f"M{x2} {y}C{bend} {y} {bend} {y2} {x2} {y2}"
    if start.x < end.x:  # likewise, over the boxes
        above = min(start.y, end.y) - _TOP
        x, x2 = start.x + WIDTH // 2, end.x + WIDTH // 2
        return f"M{x} {start.y}C{x} {above} {x2} {above} {x2} {end.y}"
    path = f"M{x} {y}"
    for left, height in points:
        path += f"{_bow(x, y, left + WIDTH, height)}H{left}"
        x, y = left, height
    return path + _bow(x, y, x2, y2)


def _bow(x: int, y: int, x2: int, y2: int) -> str:
    middle = (x + x2) // 2
    return f"C{middle} {y} {middle} {y2} {x2} {y2}"
