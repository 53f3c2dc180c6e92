"""What no sound registry does: HTTP servers that page without end, lead elsewhere, ask oddly, or break off."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from gitsync.errors import ArtifactError, GitsyncError, SourceError, SourceUnavailable
from gitsync.http import Connection
from gitsync.oci import Descriptor, Login, Registry, Repository
from gitsync.oci.manifest import read_manifest
from gitsync.oci.registry import MAX_MANIFEST, MAX_PAGES
from tests.charts.certificates import Authority
from tests.charts.servers import Handler, Server, answer, redirect, serving

SECRET = "s3cret-word"
BLOB = b"the layer of an artifact"
LAYER = Descriptor("any/type", f"sha256:{hashlib.sha256(BLOB).hexdigest()}", len(BLOB))
LOGIN = Login("puller", SECRET)


def at(server: Server, login: Login = LOGIN, timeout: float = 30.0) -> Repository:
    """A repository ``app`` there."""
    url = URL(server.url)
    return Repository(f"localhost:{url.port}", "app", login, insecure=url.scheme == "http", timeout=timeout)


def sent(server: Server) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


def challenged(then: Handler, *challenges: str) -> Handler:
    """Answers who has credentials, of whatever kind, and asks others for them."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            return await then(request)
        response = web.Response(status=401)
        for challenge in challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response

    return handle


async def test_a_redirect_to_another_host_carries_no_credentials(client: Registry) -> None:
    async with (
        serving(answer(BLOB)) as storage,
        serving(challenged(redirect(f"{storage.url}/blob?X-Signature=abc"), "Basic realm=x")) as server,
    ):
        assert (await client.blob(at(server), LAYER, 100)).read() == BLOB
    assert sent(server) == [None, LOGIN.basic]
    assert sent(storage) == [None]
    assert storage.paths == ["/blob?X-Signature=abc"]


async def test_credentials_are_asked_for_once_and_then_sent_at_once(client: Registry) -> None:
    async with serving(challenged(answer(b'{"tags": ["1"]}'), "Basic realm=x")) as server:
        assert await client.tags(at(server)) == ["1"]
        assert await client.tags(at(server)) == ["1"]
    assert sent(server) == [None, LOGIN.basic, LOGIN.basic]


async def test_sources_of_one_server_share_a_connection_and_no_credentials(client: Registry) -> None:
    ports = set()

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response({"tags": ["1"]})

    async with serving(challenged(handle, "Basic realm=x")) as server:
        other = Login("another", SECRET)
        for login in (LOGIN, other, LOGIN):
            assert await client.tags(at(server, login)) == ["1"]
    assert len(ports) == 1
    assert sent(server) == [None, LOGIN.basic, None, other.basic, LOGIN.basic]


async def test_a_redirect_from_https_to_plain_http_is_not_followed(client: Registry, tmp_path: Path) -> None:
    authority = Authority()
    context = authority.server_context(tmp_path)
    async with serving(answer(BLOB)) as plain, serving(redirect(f"{plain.url}/blob"), context) as server:
        with pytest.raises(SourceError, match="from https to plain http"):
            await client.blob(replace(at(server), connection=Connection(ca=authority.pem)), LAYER, 100)
    assert not plain.requests


async def test_redirects_without_end_are_given_up(client: Registry) -> None:
    async with serving(redirect("/again")) as server:
        with pytest.raises(SourceError, match="redirects more than 10 times"):
            await client.tags(at(server))


async def test_tags_in_pages_without_end_are_given_up(client: Registry) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        last = int(request.query.get("last", "0")) + 1
        link = f'</v2/app/tags/list?n=1&last={last}>; rel="next"'
        return web.json_response({"tags": [str(last)]}, headers={"Link": link})

    async with serving(handle) as server:
        with pytest.raises(SourceError, match="its list of tags has no end: 100 were read"):
            await client.tags(at(server))
    assert len(server.requests) == MAX_PAGES


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ('</v2/app/tags/list?n=1000>; rel="next"', "has no end"),
        ('<http://elsewhere.example/v2/app/tags/list>; rel="next"', "goes on at another server"),
    ],
)
async def test_a_page_of_tags_that_leads_nowhere_is_said(client: Registry, link: str, words: str) -> None:
    async with serving(answer(b'{"tags": ["1"]}', Link=link)) as server:
        with pytest.raises(SourceError, match=words):
            await client.tags(at(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b'{"tags": 1}', b"{}", b"[" * 100_000, b'{"tags": [' + b"[]," * 1_000_000 + b"1]}"],
    ids=["nothing", "a list", "a text", "a number", "no tags", "deep", "heavy"],
)
async def test_a_list_of_tags_that_is_none_is_said(client: Registry, body: bytes) -> None:
    async with serving(answer(body)) as server:
        with pytest.raises(SourceError, match="list of tags cannot be read"):
            await client.tags(at(server))


@pytest.mark.parametrize(
    ("challenges", "words"),
    [
        ((), "does not say what it asks for"),
        (("",), "does not say what it asks for"),
        (("Negotiate",), "asks for what is not supported"),
        (('Digest realm="x", nonce="y"', "Negotiate abc=="), "asks for what is not supported"),
        (("Bearer",), "names no token service that can be asked"),
        (('Bearer realm="no url",service="x"',), "names no token service that can be asked"),
        (('Bearer realm="file:///etc/passwd"',), "names no token service that can be asked"),
        (('Bearer realm="unterminated',), "names no token service that can be asked"),
    ],
)
async def test_odd_challenges_are_refused_in_words(client: Registry, challenges: tuple[str, ...], words: str) -> None:
    async with serving(challenged(answer(b'{"tags": []}'), *challenges)) as server:
        with pytest.raises(SourceError, match=words) as caught:
            await client.tags(at(server))
    assert sent(server) == [None]
    assert SECRET not in str(caught.value)


async def test_who_asks_for_basic_and_says_no_again_is_asked_no_third_time(client: Registry) -> None:
    async with serving(answer(status=401, WWW_Authenticate='Basic realm="x"')) as server:
        with pytest.raises(SourceError, match="access refused"):
            await client.tags(at(server))
    assert sent(server) == [None, LOGIN.basic]


class TokenRegistry:
    """Takes the token that it gave last, and asks for another as often as ``expire`` is called."""

    def __init__(self) -> None:
        self.tokens = 0
        self.url = ""

    def expire(self) -> None:
        self.tokens += 1

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            form = await request.post() if request.method == "POST" else request.query
            assert form["scope"] == "repository:app:pull"
            return web.json_response({"access_token": f"token-{self.tokens}", "expires_in": 3600})
        if request.headers.get("Authorization") != f"Bearer token-{self.tokens}":
            ask = f'Bearer realm="{self.url}/token?a=b",service="s",scope="repository:app:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": ask})
        if "/blobs/" in request.path:
            return web.Response(body=BLOB)
        self.expire()  # between two requests of a pull
        layer = {"mediaType": LAYER.media_type, "digest": LAYER.digest, "size": LAYER.size}
        media_type = "application/vnd.oci.image.manifest.v1+json"
        return web.Response(body=json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": [layer]}))


@pytest.mark.parametrize("login", [LOGIN, Login(identity_token=SECRET)], ids=["password", "identity token"])
async def test_a_token_that_expires_in_a_pull_is_renewed(client: Registry, login: Login) -> None:
    registry = TokenRegistry()
    async with serving(registry.handle) as server:
        registry.url = server.url
        layer = (await client.manifest(at(server, login), "1.0")).layer()
        assert (await client.blob(at(server, login), layer, 100)).read() == BLOB
    asked = [request for request in server.requests if request.path == "/token"]
    assert [request.method for request in asked] == ["GET" if login is LOGIN else "POST"] * 2
    assert [request.headers.get("Authorization") for request in asked] == [login.basic or None] * 2
    assert asked[0].query.get("a") == "b"


@pytest.mark.parametrize("answered", [b"{}", b"[]", b'{"token": "two\\nlines"}', b'{"token": 1}', b"no json"])
async def test_a_token_service_without_a_token_is_said(client: Registry, answered: bytes) -> None:
    async with serving(answer(answered)) as tokens:
        ask = f'Bearer realm="{tokens.url}/token"'
        async with serving(challenged(answer(b"{}"), ask)) as server:
            with pytest.raises(SourceError, match="answers without a token"):
                await client.tags(at(server))


async def test_no_credentials_go_to_a_token_service_over_plain_http(client: Registry, tmp_path: Path) -> None:
    authority = Authority()
    async with serving(answer(b'{"token": "x"}')) as tokens:
        handle = challenged(answer(b"{}"), f'Bearer realm="{tokens.url}/token"')
        async with serving(handle, authority.server_context(tmp_path)) as server:
            with pytest.raises(SourceError, match="asked over plain http"):
                await client.tags(replace(at(server), connection=Connection(ca=authority.pem)))
    assert not tokens.requests


async def test_a_certificate_that_has_expired_is_not_taken(client: Registry, tmp_path: Path) -> None:
    authority = Authority()
    async with serving(answer(b"{}"), authority.server_context(tmp_path, expired=True)) as server:
        with pytest.raises(SourceUnavailable, match=r"TLS failed: .*certificate has expired"):
            await client.tags(replace(at(server), connection=Connection(ca=authority.pem)))
    assert not server.requests


async def test_a_layer_that_breaks_off_is_asked_for_again_later(client: Registry) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await response.prepare(request)
        await response.write(BLOB[:5])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handle) as server:
        with pytest.raises(SourceUnavailable):
            await client.blob(at(server), LAYER, 100)


async def test_a_layer_that_drips_in_meets_the_deadline(client: Registry) -> None:
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await response.prepare(request)
        await response.write(BLOB[:1])
        await done.wait()
        return response

    async with serving(handle) as server:
        with pytest.raises(SourceUnavailable, match=r"did not answer within 0\.2 s"):
            await client.blob(at(server, timeout=0.2), LAYER, 100)
        done.set()


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"<html>a login page</html>", "text/html", "no manifest: it is no JSON"),
        (b"[1]", "application/json", "no manifest"),
        (b'{"layers": []}', "text/plain", "its media type is 'text/plain'"),
        (b'{"manifests": []}', "application/vnd.oci.image.index.v1+json", "an index of several artifacts"),
        (b'{"layers": [{}]}', "application/vnd.oci.image.manifest.v1+json", "without a digest and a size"),
        (b" " * (MAX_MANIFEST + 1), "application/vnd.oci.image.manifest.v1+json", "larger than 4 MiB"),
    ],
)
async def test_what_is_no_manifest_is_said_to_be_none(
    client: Registry, body: bytes, content_type: str, words: str
) -> None:
    async with serving(answer(body, Content_Type=content_type)) as server:
        with pytest.raises(SourceError, match=words):
            await client.manifest(at(server), "1.0")


async def test_the_manifest_of_a_tag_has_to_be_that_of_the_digest_beside_it(client: Registry) -> None:
    other = f"sha256:{'0' * 64}"
    async with serving(answer(b"{}", Docker_Content_Digest=other)) as server:
        with pytest.raises(ArtifactError, match="not what its digest says"):
            await client.manifest(at(server), "1.0")


async def test_an_overloaded_registry_says_when_to_come_again(client: Registry) -> None:
    async with serving(answer(status=429, Retry_After="7")) as server:
        with pytest.raises(SourceUnavailable) as caught:
            await client.tags(at(server))
    assert caught.value.retry_after == 7


async def test_the_words_of_a_registry_are_not_repeated(client: Registry) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": f"you sent {SECRET}"}]}).encode()
    async with serving(challenged(answer(body, status=403), "Basic realm=x")) as server:
        with pytest.raises(GitsyncError, match=r"access refused \(403, DENIED\)") as caught:
            await client.tags(at(server))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("tag", ["", "../../secrets", "a b", "x" * 129, "-x"])
async def test_what_is_no_tag_is_not_asked_for(client: Registry, tag: str) -> None:
    async with serving(answer(b"{}")) as server:
        with pytest.raises(SourceError, match="is no tag"):
            await client.resolve(at(server), tag)
    assert not server.requests


async def test_a_proxy_is_asked_with_its_own_credentials(client: Registry) -> None:
    async with serving(answer(b'{"tags": ["1"]}')) as proxy:
        where = proxy.url.replace("http://", f"http://me:{SECRET}@")
        through = Repository("registry.example", "app", insecure=True, connection=Connection(proxy=where))
        assert await client.tags(through) == ["1"]
    assert proxy.requests[0].headers["Proxy-Authorization"].startswith("Basic ")
    assert proxy.requests[0].headers["Host"] == "registry.example"


@pytest.mark.parametrize("insecure", [True, False])
async def test_a_proxy_that_refuses_or_is_away_is_named(client: Registry, insecure: bool) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    connection = Connection(proxy=f"http://me:{SECRET}@127.0.0.1:{port}")
    through = Repository("registry.example", "app", insecure=insecure, connection=connection)
    with pytest.raises(GitsyncError, match=r"its proxy refuses \(407\)") as caught:
        await client.tags(through)
    assert "proxySecretRef" in caught.value.hint
    proxy.close()
    await proxy.wait_closed()
    with pytest.raises(GitsyncError, match=r"its proxy cannot be reached: ") as caught:
        await client.tags(through)
    assert SECRET not in str(caught.value)


def test_annotations_that_would_fill_a_status_are_left_out() -> None:
    layer = {"mediaType": LAYER.media_type, "digest": LAYER.digest, "size": LAYER.size}
    annotations = {"first": "1", "huge": "x" * 1_000_000, "number": 1, "last": "2"} | {str(n): "y" for n in range(9999)}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    text = json.dumps({"mediaType": media_type, "layers": [layer], "annotations": annotations}).encode()
    found = read_manifest(text, LAYER.digest, "").annotations
    assert (found["first"], found["last"]) == ("1", "2")
    assert not {"huge", "number"} & found.keys()
    assert len(json.dumps(dict(found))) < 200_000


INDEX = {"manifests": [{"mediaType": "any/type", "digest": LAYER.digest, "size": LAYER.size}]}
FALLBACK = f"/v2/app/manifests/{LAYER.digest.replace(':', '-')}"


@pytest.mark.parametrize("status", [200, 400, 404, 405])
async def test_referrers_are_listed_by_the_registry_or_by_the_tag_that_stands_for_the_list(
    client: Registry, status: int
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if "referrers" in request.path and status != 200:
            return web.Response(status=status)
        return web.json_response(INDEX)

    async with serving(handle) as server:
        assert await client.referrers(at(server), LAYER.digest) == (LAYER,)
        asked = [f"/v2/app/referrers/{LAYER.digest}"]
        assert server.paths == (asked if status == 200 else [*asked, FALLBACK])


async def test_without_any_list_there_are_no_referrers_and_what_is_none_is_said(client: Registry) -> None:
    async def nothing(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    async with serving(nothing) as server:
        assert await client.referrers(at(server), LAYER.digest) == ()
    async with serving(answer(b"[]")) as server:
        with pytest.raises(ArtifactError, match="no index"):
            await client.referrers(at(server), LAYER.digest)
    async with serving(answer(b"{}", status=503)) as server:
        with pytest.raises(SourceUnavailable):
            await client.referrers(at(server), LAYER.digest)
