"""Probes over real HTTP."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from gitsync.errors import SettingsError
from gitsync.web import Probes


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
        return number


async def asked(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_they_tell_life_from_readiness(port: int) -> None:
    probes = Probes()
    async with probes.serving(port):
        assert await asked(port, "/healthz") == (200, "ok\n")
        assert await asked(port, "/readyz") == (503, "starting\n")
        probes.unready = ""
        assert await asked(port, "/readyz") == (200, "ok\n")
        assert (await asked(port, "/"))[0] == 404
    with pytest.raises(aiohttp.ClientConnectorError):
        await asked(port, "/healthz")


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {number} for probes cannot be had"):
            async with Probes().serving(number):
                pass


async def test_without_a_port_nothing_listens() -> None:
    async with Probes().serving(0):
        pass
