"""What the tests of health/ share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane import binaries
from tests.health.kstatus import Kstatus


@pytest.fixture(scope="session")
def kstatus() -> Iterator[Kstatus]:
    """kstatus, to be asked about objects."""
    running = Kstatus(binaries.ensure(binaries.KSTATUS))
    yield running
    running.close()
