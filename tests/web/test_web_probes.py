"""Probes over real HTTP."""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest

from gitsync.errors import SettingsError
from gitsync.web import probes as probes_module
from gitsync.web.probes import Probes
from tests.web.asking import asked, port

__all__ = ["port"]


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


async def test_life_ends_when_no_thread_is_free_any_more(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes_module, "STUCK", 0.2)
    loop, held = asyncio.get_running_loop(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        loop.set_default_executor(threads)
        async with Probes().serving(port):
            assert (await asked(port, "/healthz"))[0] == 200
            hanging = asyncio.ensure_future(asyncio.to_thread(held.wait))
            status, text = await asked(port, "/healthz")
            assert status == 503
            assert text.startswith("no thread has been free for")
            held.set()
            await hanging
            assert (await asked(port, "/healthz"))[0] == 200


async def test_a_loop_that_is_held_up_answers_nothing(port: int) -> None:
    """Whoever asks gives up then, which is a failure, too."""

    def ask(patience: float = 60) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=patience) as answer:
            return bool(answer.status == 200)

    async with Probes().serving(port):
        assert await asyncio.to_thread(ask)
        with ThreadPoolExecutor(1) as threads, pytest.raises(TimeoutError):
            threads.submit(ask, 0.3).result()  # which the loop waits for
        assert await asyncio.to_thread(ask), "as soon as it goes on"


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {number} for probes cannot be had"):
            async with Probes().serving(number):
                pass


async def test_without_a_port_nothing_listens() -> None:
    async with Probes().serving(0):
        pass
