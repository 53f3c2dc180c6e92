"""The graph: where its boxes are, and that there is an end to them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.web.ui.layout import HEIGHT, MOST, WIDTH, Arrow, Box, Drawn, laid_out
from tests.cost import costs_below


def box(name: str, status: str = "ready", kind: str = "HelmRelease", namespace: str = "default") -> Box:
    return Box(name, name, kind, status, (kind, namespace))


def column(drawn: Drawn, name: str) -> int:
    return next(place.x for place in drawn.boxes if place.box.id == name)


def test_what_waits_is_to_the_right_of_what_it_waits_for() -> None:
    boxes = [box(name) for name in ("ui", "api", "db", "cache")]
    arrows = [Arrow("ui", "api", "depends"), Arrow("api", "db", "depends"), Arrow("api", "cache", "depends")]
    drawn = laid_out(boxes, arrows)
    assert column(drawn, "db") == column(drawn, "cache") < column(drawn, "api") < column(drawn, "ui")
    assert len(drawn.curves) == 3
    assert drawn.folded == 0


def test_cycles_and_what_is_behind_them_are_drawn_too() -> None:
    boxes = [box(name) for name in ("a", "b", "behind", "self")]
    arrows = [Arrow("a", "b", "depends", True), Arrow("b", "a", "depends", True), Arrow("behind", "a", "depends")]
    drawn = laid_out(boxes, [*arrows, Arrow("self", "self", "depends", True)])
    assert len(drawn.boxes) == 4
    assert len(drawn.curves) == 4
    assert column(drawn, "behind") > column(drawn, "a")


def test_an_arrow_to_what_is_not_drawn_is_left_out() -> None:
    assert laid_out([box("a")], [Arrow("a", "b", "source")]).curves == []


def test_what_is_alike_is_folded_and_what_is_not_stays() -> None:
    boxes = [box(f"app-{number}") for number in range(500)] + [box("broken", "failed"), box("charts", kind="Bucket")]
    arrows = [Arrow(item.id, "charts", "source") for item in boxes[:-1]]
    drawn = laid_out(boxes, arrows)
    titles = {place.box.title for place in drawn.boxes}
    assert titles == {"500 HelmReleases", "broken", "charts"}
    assert drawn.folded == 1
    assert len(drawn.curves) == 2


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=80),
    st.lists(st.sampled_from(["ready", "failed", "waiting"]), min_size=1, max_size=31),
    st.integers(1, 40),
)
def test_boxes_never_lie_on_each_other_and_are_all_in_the_picture(
    pairs: list[tuple[int, int]], statuses: list[str], most: int
) -> None:
    boxes = [box(str(number), status, namespace=str(number % 3)) for number, status in enumerate(statuses)]
    arrows = [Arrow(str(start), str(end), "depends") for start, end in dict.fromkeys(pairs)]
    drawn = laid_out(boxes, arrows, most)
    places = sorted((place.x, place.y) for place in drawn.boxes)
    for (x, y), (other, below) in pairwise(places):
        assert x + WIDTH <= other or (x == other and y + HEIGHT <= below)
    assert all(0 <= x <= drawn.width - WIDTH and 0 <= y <= drawn.height - HEIGHT for x, y in places)


@pytest.mark.parametrize(("number", "seconds"), [(50, 0.1), (500, 0.5), (2000, 3.0)])
def test_it_is_quick(number: int, seconds: float) -> None:
    """Half of them wait for one of the ten before, in twenty namespaces; a tenth has failed."""
    statuses = ["failed" if item % 10 == 0 else "ready" for item in range(number)]
    boxes = [box(str(item), status, namespace=f"team-{item % 20}") for item, status in enumerate(statuses)]
    arrows = [Arrow(str(item), str(item - 1 - item % 7), "depends") for item in range(10, number) if item % 2]
    drawn = costs_below(seconds, lambda: laid_out(boxes, arrows))
    assert len(drawn.boxes) <= 2 * MOST
