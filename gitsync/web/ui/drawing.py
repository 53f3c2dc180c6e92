"""What is known, as boxes and arrows: sources, Kustomizations and releases. Pure."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_own_kind
from gitsync.live.known import Known
from gitsync.web.ui.layout import Arrow, Box
from gitsync.web.ui.render import path_of


def of_known(known: Known) -> tuple[list[Box], list[Arrow]]:
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
    return [_box(key, known) for key in (*keys, *sorted(wanted))], list(arrows.values())


def _box(key: ObjectKey, known: Known) -> Box:
    standing = known.standing(key)
    status = standing.status if standing is not None else "missing"
    return Box(key, key.name, f"{key.kind} in {key.namespace}", status, (key.kind, key.namespace), path_of(key))
