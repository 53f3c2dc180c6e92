"""The same chart with the same values, installed by gitsync and by helm: the same objects, the same release record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.charts.cases import CASES
from tests.parity.ahead import NewWorld, ahead
from tests.parity.world import World


def install(world: World, case: str) -> World:
    """Both sides install a case."""
    folder, values = CASES[case]
    world.deploy(folder.name, values)
    world.install(folder.name, values)
    world.ready()
    return world


@pytest.fixture(scope="module")
def installed(new_world: NewWorld) -> Iterator[Mapping[str, Future[World]]]:
    with ahead(new_world, CASES, install) as worlds:
        yield worlds


@pytest.mark.parametrize("case", CASES)
def test_objects_are_those_of_helm(case: str, installed: Mapping[str, Future[World]]) -> None:
    installed[case].result().same_objects()


@pytest.mark.parametrize("case", CASES)
def test_the_record_is_that_of_helm(case: str, installed: Mapping[str, Future[World]]) -> None:
    installed[case].result().same_records(1)
