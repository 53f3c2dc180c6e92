"""Fixtures of this room's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gitsync.http import HttpClient
from gitsync.s3 import Buckets


@pytest.fixture
async def client() -> AsyncIterator[Buckets]:
    http = HttpClient()
    yield Buckets(http)
    await http.close()
