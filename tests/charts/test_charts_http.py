from __future__ import annotations

import asyncio
import base64
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from gitsync.http import HttpClient
from gitsync.sources.helm import RepositorySpec, redacted
from gitsync.sources.helm.http import ChartDownloads, Known, Response
from tests.charts.certificates import Authority
from tests.charts.servers import Server, answer, redirect, serving
from tests.logins.internet import connected

SECRET = "s3cret-word"
GIVEN = "Basic " + base64.b64encode(f"reader:{SECRET}".encode()).decode()


@pytest.fixture
async def http() -> AsyncIterator[ChartDownloads]:
    client = HttpClient()
    yield ChartDownloads(client)
    await client.close()


def sent(server: Server) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


def got(response: Response) -> bytes:
    assert response.body is not None
    return response.body.read()


async def test_validators_of_the_last_answer_make_the_next_request_conditional(http: ChartDownloads) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        known = request.headers.get("If-None-Match") == '"v1"'
        headers = {"ETag": '"v1"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
        return web.Response(status=304 if known else 200, body=None if known else b"body", headers=headers)

    async with serving(handle) as server:
        first = await http.get(RepositorySpec(server.url), server.url, limit=100)
        again = await http.get(
            RepositorySpec(server.url), server.url, limit=100, known=Known(first.etag, first.modified)
        )

    assert got(first) == b"body"
    assert again.body is None
    assert server.requests[1].headers["If-Modified-Since"] == "Wed, 01 Jan 2025 00:00:00 GMT"


async def test_credentials_go_to_the_repositorys_own_host(http: ChartDownloads) -> None:
    async with serving(answer(b"x")) as server:
        await http.get(RepositorySpec(server.url, "reader", SECRET), f"{server.url}/chart.tgz", limit=10)

    assert sent(server) == [GIVEN]


async def test_credentials_in_the_url_are_used_and_never_shown(http: ChartDownloads) -> None:
    async with serving(answer(status=403)) as server:
        url = server.url.replace("://", f"://reader:{SECRET}@")
        with pytest.raises(ChartError, match="access refused") as caught:
            await http.get(RepositorySpec(url), f"{url}/index.yaml?token={SECRET}", limit=10)

    assert sent(server) == [GIVEN]
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(RepositorySpec(url, "reader", SECRET, key=SECRET, cert=SECRET, ca=SECRET))


@pytest.mark.parametrize(("pass_credentials", "expected"), [(False, None), (True, GIVEN)])
async def test_credentials_go_to_other_hosts_only_when_told_so(
    http: ChartDownloads, pass_credentials: bool, expected: str | None
) -> None:
    async with serving(answer(b"x")) as other, serving(redirect(f"{other.url}/chart.tgz?sig=a%2Fb")) as server:
        spec = RepositorySpec(server.url, "reader", SECRET, pass_credentials=pass_credentials)
        await http.get(spec, f"{server.url}/chart.tgz", limit=10)
        await http.get(spec, f"{other.url}/direct.tgz", limit=10)

    assert sent(server) == [GIVEN]
    assert sent(other) == [expected, expected]
    assert other.paths == ["/chart.tgz?sig=a%2Fb", "/direct.tgz"]


async def test_credentials_never_go_from_https_to_http(http: ChartDownloads, tmp_path: Path) -> None:
    authority = Authority()
    async with (
        serving(answer(b"x")) as plain,
        serving(redirect(f"{plain.url}/x"), authority.server_context(tmp_path)) as server,
    ):
        spec = RepositorySpec(server.url, "reader", SECRET, ca=authority.pem, pass_credentials=True)
        await http.get(spec, server.url, limit=10)

    assert (sent(server), sent(plain)) == ([GIVEN], [None])


async def test_redirects_without_end_are_given_up(http: ChartDownloads) -> None:
    async with serving(redirect("/again")) as server:
        with pytest.raises(ChartError, match="redirects more than 10 times"):
            await http.get(RepositorySpec(server.url), server.url, limit=10)

    assert len(server.requests) == 10


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "gopher://x"])
async def test_a_redirect_to_anything_but_http_is_refused(http: ChartDownloads, target: str) -> None:
    async with serving(redirect(target)) as server:
        with pytest.raises(ChartError, match="no http"):
            await http.get(RepositorySpec(server.url), server.url, limit=10)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused_announced_or_not(http: ChartDownloads, announced: bool) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if announced:
            response.content_length = 3 * 2**20
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(3):
            await response.write(bytes(2**20))
        return response

    async with serving(handle) as server:
        with pytest.raises(ChartError, match="larger than 1 MiB"):
            await http.get(RepositorySpec(server.url), server.url, limit=2**20)


async def test_a_compressed_body_counts_unpacked(http: ChartDownloads) -> None:
    bomb = gzip.compress(bytes(8 * 2**20))
    async with serving(answer(bomb, Content_Encoding="gzip")) as server:
        with pytest.raises(ChartError, match="larger than 1 MiB"):
            await http.get(RepositorySpec(server.url), server.url, limit=2**20, compressed=True)
        # An archive is gzip by itself, and some servers label it so: what is not asked for unpacked stays packed.
        archive = await http.get(RepositorySpec(server.url), server.url, limit=2**20)

    assert got(archive) == bomb


async def test_a_server_that_hangs_is_given_up_at_the_deadline(http: ChartDownloads) -> None:
    release = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with serving(handle) as server:
        started = time.monotonic()
        with pytest.raises(ChartRepositoryUnavailable, match=r"did not answer within 0\.2 s"):
            await http.get(RepositorySpec(server.url, timeout=0.2), server.url, limit=10)
        assert time.monotonic() - started < 2
        release.set()


async def test_a_body_that_breaks_off_is_the_environments_fault(http: ChartDownloads) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(handle) as server:
        with pytest.raises(ChartRepositoryUnavailable):
            await http.get(RepositorySpec(server.url), server.url, limit=10_000)


async def test_nobody_listening_is_the_environments_fault(http: ChartDownloads) -> None:
    async with serving(answer()) as server:
        url = server.url
    with pytest.raises(ChartRepositoryUnavailable) as caught:
        await http.get(RepositorySpec(url), f"{url}/index.yaml", limit=10)

    assert caught.value.url == f"{url}/index.yaml"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, ChartNotFound),
        (401, ChartError),
        (403, ChartError),
        (400, ChartError),
        (302, ChartError),
        (429, ChartRepositoryUnavailable),
        (500, ChartRepositoryUnavailable),
        (503, ChartRepositoryUnavailable),
    ],
)
async def test_statuses_become_the_errors_they_mean(http: ChartDownloads, status: int, error: type[Exception]) -> None:
    async with serving(answer(status=status, Retry_After="7")) as server:
        with pytest.raises(error) as caught:
            await http.get(RepositorySpec(server.url), server.url, limit=10)

    assert type(caught.value) is error
    if isinstance(caught.value, ChartRepositoryUnavailable):
        assert caught.value.retry_after == 7


async def test_a_private_authority_is_trusted_when_given(http: ChartDownloads, tmp_path: Path) -> None:
    authority = Authority()
    async with serving(answer(b"x"), authority.server_context(tmp_path)) as server:
        with pytest.raises(ChartRepositoryUnavailable, match="TLS failed") as caught:
            await http.get(RepositorySpec(server.url), server.url, limit=10)
        body = got(await http.get(RepositorySpec(server.url, ca=authority.pem), server.url, limit=10))

    assert "certSecretRef" in caught.value.hint
    assert body == b"x"


async def test_a_certificate_that_has_expired_is_not_taken(http: ChartDownloads, tmp_path: Path) -> None:
    authority = Authority()
    async with serving(answer(b"x"), authority.server_context(tmp_path, expired=True)) as server:
        spec = RepositorySpec(server.url, username="ann", password="pa55word", ca=authority.pem)
        with pytest.raises(ChartRepositoryUnavailable, match=r"TLS failed: .*certificate has expired"):
            await http.get(spec, server.url, limit=10)
    assert not server.requests


async def test_an_archive_that_drips_in_meets_the_deadline(http: ChartDownloads) -> None:
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await done.wait()
        return response

    async with serving(handle) as server:
        with pytest.raises(ChartRepositoryUnavailable, match=r"did not answer within 0\.2 s"):
            await http.get(RepositorySpec(server.url, timeout=0.2), server.url, limit=10)
        done.set()


async def test_a_client_certificate_is_shown_when_given(http: ChartDownloads, tmp_path: Path) -> None:
    authority = Authority()
    cert, key = authority.issue("reader")
    async with serving(answer(b"x"), authority.server_context(tmp_path, wants_client=True)) as server:
        with pytest.raises(ChartRepositoryUnavailable):
            await http.get(RepositorySpec(server.url, ca=authority.pem), server.url, limit=10)
        spec = RepositorySpec(server.url, ca=authority.pem, cert=cert, key=key)
        assert got(await http.get(spec, server.url, limit=10)) == b"x"


async def test_certificates_that_cannot_be_read_are_refused_without_showing_them(http: ChartDownloads) -> None:
    with pytest.raises(ChartError, match="certificates cannot be read") as caught:
        await http.get(RepositorySpec("https://localhost:1", ca=SECRET), "https://localhost:1", limit=10)

    assert SECRET not in str(caught.value)


async def test_a_repository_is_asked_through_the_proxy_of_the_environment(
    http: ChartDownloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(["charts.example"], tmp_path, monkeypatch) as internet:
        internet.services["charts.example"] = answer(b"x")
        spec = RepositorySpec("https://charts.example", "reader", SECRET)
        assert got(await http.get(spec, "https://charts.example/index.yaml", limit=10)) == b"x"
        assert internet.authorizations == {"GET https://charts.example/index.yaml": [GIVEN]}
        monkeypatch.setenv("NO_PROXY", "charts.example")
        with pytest.raises(ChartRepositoryUnavailable):
            await http.get(spec, "https://charts.example/index.yaml", limit=10)
    assert internet.times("index.yaml") == 1


async def test_cookies_of_a_repository_are_not_kept(http: ChartDownloads) -> None:
    async with serving(answer(b"x", Set_Cookie="session=1; Path=/")) as server:
        for _ in range(2):
            await http.get(RepositorySpec(server.url), server.url, limit=10)

    assert [request.headers.get("Cookie") for request in server.requests] == [None, None]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host/path?token=x#y", "https://host/path"),
        ("http://[::1", "(unreadable URL)"),
    ],
)
def test_urls_are_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown
