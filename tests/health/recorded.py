"""The fixtures: live objects as the API server returned them, with the health that each has to have."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tests.yamls import documents

FIXTURES = Path(__file__).parent / "fixtures"


@functools.cache
def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(FIXTURES.glob("*.yaml"))
        for (listed,) in [documents(path)]
        for case in listed
    ]
