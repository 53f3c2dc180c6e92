"""What the tests of build/ share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.build.flux import Flux
from tests.controlplane import binaries


@pytest.fixture(scope="session")
def flux() -> Iterator[Flux]:
    """Flux's own code, to be asked."""
    running = Flux(binaries.ensure(binaries.FLUXBUILD))
    yield running
    running.close()
