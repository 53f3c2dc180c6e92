"""The same chart with the same values, installed by gitsync and by helm: the same objects, the same release record."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.cases import CASES
from tests.parity.world import World


@pytest.mark.parametrize("case", CASES)
def test_an_install_leaves_what_helm_s_leaves(case: str, world: World) -> None:
    folder, values = CASES[case]

    world.deploy(folder.name, values)
    world.install(folder.name, values)
    world.ready()

    world.same_objects()
    world.same_records(1)
