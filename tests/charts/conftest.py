"""Fixtures of this room's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.charts import Charts
from gitsync.sources.helm import ChartRepositories


@pytest.fixture
async def charts() -> AsyncIterator[Charts]:
    charts = Charts()
    yield charts
    await charts.close()


@pytest.fixture
async def repositories(tmp_path: Path) -> AsyncIterator[ChartRepositories]:
    repositories = ChartRepositories(tmp_path / "cache")
    yield repositories
    await repositories.close()
