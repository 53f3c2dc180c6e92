"""Fixtures of this room's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.charts import Charts


@pytest.fixture
async def charts(tmp_path: Path) -> AsyncIterator[Charts]:
    charts = Charts(tmp_path / "cache")
    yield charts
    await charts.close()
