"""Asking a server on this machine."""

from __future__ import annotations

import aiohttp
import pytest

from tests.controlplane.processes import free_ports


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


async def asked(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()
