"""What is known, as boxes and arrows: sources, Kustomizations, releases, and of some their workloads and pods. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_kustomization, is_own_kind, is_release
from gitsync.live.known import Known
from gitsync.live.objecttree import ObjectNode
from gitsync.web.ui.layout import Arrow, Box
from gitsync.web.ui.render import path_of

#: What an object consists of, by those that are unfolded; None of one that nobody could look into.
Unfolded = Mapping[ObjectKey, ObjectNode | None]
_NOTHING: Final[Unfolded] = {}
#: Groups whose objects make pods.
_WORKLOADS: Final = ("apps", "batch")
#: What a Deployment makes between itself and its pods says no more than these.
_PASSED_OVER: Final = ("ReplicaSet",)
_STATUSES: Final = {"progressing": "waiting", "": "waiting"}


def of_known(known: Known, unfolded: Unfolded = _NOTHING) -> tuple[list[Box], list[Arrow]]:
    """All objects of our own kinds, and of what is missing that they wait for a box as well."""
    keys = known.keys(is_own_kind)
    bad = {(edge.dependent, edge.dependency) for cycle in known.order.graph.cycles() for edge in cycle.edges}
    arrows: dict[tuple[ObjectKey, ObjectKey], Arrow] = {}
    for key in keys:
        above, source = known.above(key), known.source(key)
        for kind, end in (("applied", above), ("source", source), *(("depends", it) for it in known.dependencies(key))):
            if end is not None and end != key:
                arrows[key, end] = Arrow(key, end, kind, (key, end) in bad)
    wanted = {end for (_, end), arrow in arrows.items() if arrow.kind == "depends" and known.find(end) is None}
    boxes = {key: _box(key, known, unfolded) for key in (*keys, *sorted(wanted))}
    for key, tree in unfolded.items():
        if tree is not None and key in boxes:
            for box, end in _parts(tree.children, key):
                boxes.setdefault(box.id, box)  # type: ignore[arg-type]
                arrows.setdefault((box.id, end), Arrow(box.id, end, "part"))  # type: ignore[arg-type]
    return list(boxes.values()), list(arrows.values())


def address(unfolded: Sequence[ObjectKey]) -> str:
    """The address of the graph with these unfolded."""
    return "/graph?" + urlencode([("open", path_of(key)) for key in unfolded]) if unfolded else "/graph"


def _box(key: ObjectKey, known: Known, unfolded: Unfolded) -> Box:
    standing = known.standing(key)
    status = standing.status if standing is not None else "missing"
    is_open = key in unfolded
    rest = [other for other in unfolded if other != key]
    can_unfold = standing is not None and (is_release(key) or is_kustomization(key))
    toggle = address(rest if is_open else [*rest, key]) if can_unfold else ""
    # One that is unfolded is not folded away with those that are like it.
    group = ("", str(key)) if is_open else (key.kind, key.namespace)
    return Box(key, key.name, f"{key.kind} in {key.namespace}", status, group, path_of(key), toggle, is_open)


def _parts(nodes: Sequence[ObjectNode], above: ObjectKey) -> Iterator[tuple[Box, ObjectKey]]:
    """Workloads and pods, and what else is not ready, each with what it is of."""
    for node in nodes:
        key = node.key
        if is_own_kind(key) or key.kind in _PASSED_OVER:
            yield from _parts(node.children, above)
            continue
        if key.group in _WORKLOADS or key.kind == "Pod" or node.children or node.status not in ("ready", ""):
            status = _STATUSES.get(node.status, node.status)
            about = f"{key.kind} in {key.namespace}" if key.namespace else key.kind
            yield Box(key, key.name, about, status, (key.kind, key.namespace), path_of(key)), above
            yield from _parts(node.children, key)
