"""Who gets an answer from the page, and what a browser may do with it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster
from gitsync.errors import SettingsError
from gitsync.web.ui import Page, Readers, connections
from tests.web.conftest import Visitor, World

PAGES: Sequence[str] = (
    "/",
    "/releases",
    "/kustomizations",
    "/sources",
    "/search?q=x",
    "/graph",
    "/commits",
    "/static/page.js",
)


async def test_the_printed_address_is_on_loopback_and_lets_in_once_and_for_all(visitor: Visitor) -> None:
    assert visitor.address.startswith("http://127.0.0.1:")
    key = visitor.address.partition("key=")[2]
    assert len(key) >= 32
    status, text = await visitor.get("/")
    assert status == 200
    assert key not in text


async def test_without_the_key_nothing_is_answered(visitor: Visitor) -> None:
    async with aiohttp.ClientSession() as stranger:
        for path in (*PAGES, "/changes", "/?key=wrong", "/?key=%C3%A4"):
            async with stranger.get(visitor.base + path) as answer:
                assert answer.status == 403
                assert "gitsync ui" in await answer.text()


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(visitor: Visitor) -> None:
    async with (
        aiohttp.ClientSession() as fresh,
        fresh.get(visitor.address, allow_redirects=False) as answer,
    ):
        assert answer.status == 303
        assert answer.headers["Location"] == "/"
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:80", "127.0.0.1", "127.0.0.1:1", ""])
async def test_a_name_that_leads_to_loopback_is_not_served(visitor: Visitor, host: str) -> None:
    status, text = await visitor.get("/", Host=host)
    assert status == 421
    assert "HelmRelease" not in text


@pytest.mark.parametrize("origin", ["http://attacker.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
async def test_other_sites_are_refused(visitor: Visitor, origin: str) -> None:
    assert (await visitor.get("/", Origin=origin))[0] == 403
    assert (await visitor.post("/object/helm.toolkit.fluxcd.io/HelmRelease/x/y/suspend", {}, Origin=origin))[0] == 403


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_has_a_policy_without_inline_and_eval(visitor: Visitor, path: str) -> None:
    async with visitor.session.get(visitor.base + path) as answer:
        policy, text = answer.headers["Content-Security-Policy"], await answer.text()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    if not path.startswith("/static"):
        assert "style=" not in text
        assert "<style" not in text
        assert text.count("<script") == 1
        assert 'src="http' not in text


async def test_an_action_takes_the_token_of_its_form(visitor: Visitor, world: World) -> None:
    await world.release("redis")
    path = f"/object/helm.toolkit.fluxcd.io/HelmRelease/{world.namespace}/redis/suspend"
    for data in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "ä"}):
        assert (await visitor.post(path, data))[0] == 403
    async with visitor.session.post(visitor.base + path, data={}) as answer:  # without an Origin
        assert answer.status == 403
    assert (await visitor.get(path))[0] == 200  # asks, and does nothing
    found = await world.cluster.get(ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", world.namespace, "redis"))
    assert "suspend" not in found["spec"]


@pytest.mark.parametrize("path", ["/nothing", "/static/../server.py", "/static/%2e%2e%2fserver.py", "/commits/12"])
async def test_what_is_not_there_is_said(visitor: Visitor, path: str) -> None:
    status, text = await visitor.get(path)
    assert status == 404
    assert "class Page" not in text


async def test_a_port_that_is_taken_is_named(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} of 127.0.0.1 cannot be had") as caught:
            async with Page(cluster, ("gitsync-system", "gitsync")).serving(port):
                pass
    assert "--port 0" in caught.value.hint


@pytest.mark.parametrize(
    ("host", "peer", "status"),
    [
        ("localhost:8080", "127.0.0.1", 200),
        ("localhost:8080", "::ffff:127.0.0.1", 200),
        ("127.0.0.1", "10.1.2.3", 421),
        ("localhost", "::ffff:10.1.2.3", 421),
        ("gitsync.example", "10.1.2.3", 200),
        ("gitsync.example", "127.0.0.1", 200),
    ],
)
async def test_readers_use_the_loopbacks_names_on_the_same_machine_only(host: str, peer: str, status: int) -> None:
    async def answered(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    request = make_mocked_request("GET", "/", headers={"Host": host}).clone(remote=peer)
    assert (await Readers(("gitsync.example",)).middleware(request, answered)).status == status


async def test_one_connection_more_than_may_be_takes_the_place_of_one_that_says_nothing(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 4)
    host, port = visitor.base.removeprefix("http://").split(":")
    async with visitor.session.get(f"{visitor.base}/changes") as stream:
        await stream.content.readuntil(b"\n\n")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(8)]
        try:
            async with asyncio.timeout(60):
                for reader, _ in silent[:4]:
                    assert await reader.read() == b"", "the oldest are closed"
            assert (await visitor.get("/"))[0] == 200
            visitor.page.board.tell()
            assert b"event: change" in await stream.content.readuntil(b"\n\n"), "one that is answered stays"
        finally:
            for _, writer in silent:
                writer.close()


async def test_where_all_connections_are_answered_one_more_is_closed(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = visitor.base.removeprefix("http://").split(":")
    async with visitor.session.get(f"{visitor.base}/changes") as stream:
        await stream.content.readuntil(b"\n\n")
        monkeypatch.setattr(connections, "MOST_CONNECTIONS", 1)
        async with asyncio.timeout(60):
            first, second = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            assert await second[0].read() == b""
        for _, writer in (first, second):
            writer.close()
