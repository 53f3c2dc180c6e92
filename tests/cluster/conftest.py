"""Fixtures of the room: a faulty API server, and a Cluster that speaks to it with short timings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.cluster import Cluster, Timings
from tests.cluster.faulty import FaultyApi, running_api, write_kubeconfig

SHORT = Timings(
    connect=1.0,
    request=5.0,
    total=10.0,
    backoff=0.005,
    backoff_max=0.05,
    renewal=0.0,
    discovery=0.0,
    silence=5.0,
    absent=0.05,
    absent_max=0.05,
    sync=5.0,
    linger=0.05,
)


@pytest.fixture
async def api() -> AsyncIterator[FaultyApi]:
    async with running_api() as running:
        yield running


#: For tests of silence: long enough for a busy machine to get through a bookmark in time.
SOON_SILENT = replace(SHORT, silence=0.3)


@pytest.fixture
async def cluster(api: FaultyApi, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A Cluster on ``api``."""
    async with await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, api.url), timings=SHORT) as connected:
        yield connected
