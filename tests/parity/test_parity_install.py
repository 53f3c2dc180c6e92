"""The same chart with the same values, installed by gitsync and by helm: the same objects, the same release record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.charts.cases import CASES
from tests.parity.conftest import NewWorld
from tests.parity.world import World


@pytest.fixture(scope="module")
def installed(new_world: NewWorld) -> Iterator[Mapping[str, Future[World]]]:
    """Every case in a world of its own, installed by both sides; several at once, since much of it is waiting."""

    def install(case: str) -> World:
        folder, values = CASES[case]
        world = stack.enter_context(new_world())
        world.deploy(folder.name, values)
        world.install(folder.name, values)
        world.ready()
        return world

    with ExitStack() as stack, ThreadPoolExecutor(3) as threads:
        yield {case: threads.submit(install, case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_objects_are_those_of_helm(case: str, installed: Mapping[str, Future[World]]) -> None:
    installed[case].result().same_objects()


@pytest.mark.parametrize("case", CASES)
def test_the_record_is_that_of_helm(case: str, installed: Mapping[str, Future[World]]) -> None:
    installed[case].result().same_records(1)
