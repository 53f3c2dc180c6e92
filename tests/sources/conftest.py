"""Fixtures of this room's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.sources.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    await world.close()


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm's own program."""
    return binaries.ensure(binaries.HELM)
