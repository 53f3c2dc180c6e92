"""A real S3 server, and servers that answer what no sound one does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from gitsync.errors import ArtifactError, GitsyncError, SourceError, SourceMissing, SourceUnavailable
from gitsync.http import Connection
from gitsync.s3 import Buckets, Item, Keys, Place
from gitsync.s3.buckets import MAX_PAGES
from tests.charts.certificates import Authority
from tests.charts.servers import Server, answer, redirect, serving
from tests.controlplane.s3 import KEYS, REGION, S3

_KEY = "a b/c+d~ü&=?#.yaml"


def at(s3: S3, bucket: str) -> Place:
    return Place(s3.host, bucket, REGION, KEYS, Connection(ca=s3.ca), timeout=30.0)


def fake(server: Server, timeout: float = 30.0) -> Place:
    url = URL(server.url)
    return Place(f"localhost:{url.port}", "apps", keys=KEYS, insecure=url.scheme == "http", timeout=timeout)


async def listed(client: Buckets, place: Place, prefix: str = "") -> list[Item]:
    async with client.conversation(place):
        return await client.items(place, prefix)


async def fetched(client: Buckets, place: Place, item: Item) -> bytes:
    async with client.conversation(place):
        return (await client.object(place, item)).read()


def page(*items: tuple[str, str, int], token: str = "") -> bytes:
    contents = "".join(
        f"<Contents><Key>{key}</Key><ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
        for key, etag, size in items
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f'<ListBucketResult xmlns="http://s3.example/doc/">{contents}{more}</ListBucketResult>'.encode()


async def test_what_is_put_is_listed_and_fetched(client: Buckets, s3: S3) -> None:
    s3.make("found")
    etag = s3.put("found", _KEY, "hello")
    s3.put("found", "other/x", "x")
    place = at(s3, "found")
    assert await listed(client, place) == [Item(_KEY, etag, 5), *await listed(client, place, "other/")]
    assert await listed(client, place, "a b/c+") == [Item(_KEY, etag, 5)]
    assert await fetched(client, place, Item(_KEY, etag, 5)) == b"hello"
    async with client.conversation(place):
        assert await client.small(place, "other/x", 10) == b"x"
        assert await client.small(place, "nosuch", 10) is None


async def test_a_list_of_several_pages_is_read_whole(client: Buckets, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.make("many")
    keys = ["a", "b/c", "b/d e", "f", "g"]
    for key in keys:
        s3.put("many", key, "x")
    monkeypatch.setattr("gitsync.s3.buckets._PAGE", "2")
    assert [item.key for item in await listed(client, at(s3, "many"))] == keys
    assert [item.key for item in await listed(client, at(s3, "many"), "b/")] == ["b/c", "b/d e"]


async def test_an_object_that_was_changed_or_removed_since_it_was_listed_is_not_taken(client: Buckets, s3: S3) -> None:
    s3.make("moving")
    s3.put("moving", "a", "one")
    place = at(s3, "moving")
    (item,) = await listed(client, place)
    s3.put("moving", "a", "two")
    with pytest.raises(SourceUnavailable, match="'a' was changed or removed while"):
        await fetched(client, place, item)
    s3.delete("moving", "a")
    with pytest.raises(SourceUnavailable, match="'a' was changed or removed while"):
        await fetched(client, place, item)


async def test_who_has_no_or_other_keys_is_told_so(client: Buckets, s3: S3) -> None:
    s3.make("closed")
    place = at(s3, "closed")
    for keys, code in (
        (Keys("reader", "not-the-pass-word"), "SignatureDoesNotMatch"),
        (Keys(), "AccessDenied"),
    ):
        with pytest.raises(SourceError, match=rf"/closed: access refused \(403, {code}\)") as caught:
            await listed(client, replace(place, keys=keys))
        assert "accesskey and secretkey" in caught.value.hint
        assert "not-the-pass-word" not in str(caught.value)


async def test_a_bucket_that_is_not_there_another_region_and_a_foreign_certificate(client: Buckets, s3: S3) -> None:
    with pytest.raises(SourceMissing, match=r"/nosuch: not found \(404, NoSuchBucket\)"):
        await listed(client, at(s3, "nosuch"))
    s3.make("regional")
    with pytest.raises(SourceError, match="the bucket is not in region elsewhere-1") as caught:
        await listed(client, replace(at(s3, "regional"), region="elsewhere-1"))
    assert caught.value.hint == f"set spec.region: {REGION}"
    other = replace(at(s3, "regional"), connection=Connection(ca=Authority().pem))
    with pytest.raises(SourceUnavailable, match=r"/regional: TLS failed: .*certificate verify failed"):
        await listed(client, other)


async def test_a_certificate_that_has_expired_is_not_taken(client: Buckets, tmp_path: Path) -> None:
    authority = Authority()
    async with serving(answer(page()), authority.server_context(tmp_path, expired=True)) as server:
        with pytest.raises(SourceUnavailable, match=r"TLS failed: .*certificate has expired"):
            await listed(client, replace(fake(server), connection=Connection(ca=authority.pem)))
    assert not server.requests


async def test_an_object_that_breaks_off_is_asked_for_again_later(client: Buckets) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handle) as server:
        with pytest.raises(SourceUnavailable):
            await fetched(client, fake(server), Item("a", "x", 1000))


@pytest.mark.parametrize(
    "body",
    [
        b"no list at all",
        b"<html></html>",
        b"<ListBucketResult>",
        page(("a", "x", 1)).replace(b"<Size>1", b"<Size>many"),
        page(("%FF", "x", 1)),
        page().replace(b"</List", b"<IsTruncated>true</IsTruncated></List"),
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + page(("&b;", "x", 1)),
    ],
)
async def test_what_is_no_list_is_said_to_be_none(client: Buckets, body: bytes) -> None:
    async with serving(answer(body)) as server:
        with pytest.raises(SourceError, match="what it answers is no list of objects"):
            await listed(client, fake(server))


async def test_a_list_without_an_end_is_left(client: Buckets) -> None:
    async def handle(request: web.Request) -> web.Response:
        number = int(request.query.get("continuation-token", "0")) + 1
        return web.Response(body=page((f"k{number}", "x", 1), token=str(number)))

    async with serving(handle) as server:
        with pytest.raises(SourceError, match="its list of objects has no end: 100 were read"):
            await listed(client, fake(server))
        assert len(server.requests) == MAX_PAGES
    async with serving(answer(page(("a", "x", 1), token="same"))) as server:
        with pytest.raises(SourceError, match="has no end: 2 were read"):
            await listed(client, fake(server))


async def test_keys_are_not_shown_to_where_a_server_leads(client: Buckets) -> None:
    async with serving(answer(page())) as other, serving(redirect(f"{other.url}/apps")) as server:
        with pytest.raises(SourceError, match=r"/apps leads to http://localhost:\d+") as caught:
            await listed(client, fake(server))
        assert "spec.endpoint" in caught.value.hint
    assert [request.headers.get("Authorization") for request in other.requests] == [None]


@pytest.mark.parametrize(("body", "words"), [(b"xx", "has 2 bytes and not the 3"), (b"x" * 9, "has more than the 3")])
async def test_an_object_of_another_size_is_refused(client: Buckets, body: bytes, words: str) -> None:
    async with serving(answer(body)) as server:
        with pytest.raises(ArtifactError, match=f"object 'a' {words}"):
            await fetched(client, fake(server), Item("a", "x", 3))


async def test_a_list_that_drips_in_meets_the_deadline(client: Buckets) -> None:
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"<")
        await done.wait()
        return response

    async with serving(handle) as server:
        with pytest.raises(SourceUnavailable, match=r"did not answer within 0\.2 s"):
            await listed(client, fake(server, timeout=0.2))
        done.set()


@pytest.mark.parametrize(
    ("endpoint", "bucket", "words"),
    [
        ("https://s3.example", "apps", "spec.endpoint is no host"),
        ("s3.example/path", "apps", "spec.endpoint is no host"),
        ("user@s3.example", "apps", "spec.endpoint is no host"),
        ("s3.example", "apps/other", "spec.bucketName is not the name of a bucket"),
        ("s3.example", "..", "spec.bucketName is not the name of a bucket"),
    ],
)
def test_what_names_another_place_is_refused(endpoint: str, bucket: str, words: str) -> None:
    with pytest.raises(GitsyncError, match=words):
        Place(endpoint, bucket)
