"""Asking buckets: what is in one, and single objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import NoReturn

import aiohttp
from yarl import URL

from gitsync.errors import ArtifactError, SourceError, SourceUnavailable
from gitsync.http import Hints, HttpClient, Request, redacted, refusal
from gitsync.s3.listing import Item, Page, read_page, refusal_of, region_in
from gitsync.s3.place import Place
from gitsync.s3.signature import encoded, query_of, signed
from gitsync.spool import Body
from gitsync.text import shorten

#: Bytes of a page of a list, and pages of one: a page has 1,000 objects.
MAX_PAGE = 4 * 1024 * 1024
MAX_PAGES = 100
_PAGE = "1000"
_MAX_REFUSAL = 8 * 1024
_LONGEST_SHOWN = 200
_HINTS = Hints(
    missing="check endpoint and bucketName",
    refused="check secretRef: it needs the accesskey and secretkey of somebody who may list and read this bucket",
    tls="if the server has a certificate of a private authority, give its ca.crt in certSecretRef",
)


class Buckets:
    """Asks for one bucket at a time; connections are shared."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def conversation(self, place: Place) -> AbstractAsyncContextManager[None]:
        """All that is asked inside of it has the place's timeout together. Raises: SourceUnavailable."""
        return self._http.deadline(place.base, place.timeout, _HINTS)

    async def items(self, place: Place, prefix: str) -> list[Item]:
        """What is in a bucket, of the keys that begin with ``prefix``; inside of a ``conversation``.

        Raises: SourceMissing, SourceError (refused, no list, or one without end), SourceUnavailable.
        """
        found: list[Item] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._page(place, prefix, token)
            found += page.items
            if not page.token:
                return found
            if page.token == token:
                break
            token = page.token
        raise SourceError(
            f"{place}: its list of objects has no end: {len(found):,} were read, in pages",
            url=str(place),
            hint="choose fewer of them by spec.prefix",
        )

    async def object(self, place: Place, item: Item) -> Body:
        """An object as it was listed; inside of a ``conversation``.

        Raises: ArtifactError for one of another size, SourceUnavailable for one that was changed or removed since.
        """
        url = URL(f"{place.base}/{encoded(item.key, '/')}", encoded=True)
        should = f"the {item.size} bytes that its list says"
        async with self._answer(place, url, {"If-Match": f'"{item.etag}"'}, (404, 412)) as (response, where):
            if response.status in (404, 412):
                raise SourceUnavailable(
                    f"{place}: object {shown(item.key)} was changed or removed while it was fetched", url=str(place)
                )
            more = ArtifactError(f"{place}: object {shown(item.key)} has more than {should}", url=str(place))
            body = await self._http.body(response, where, item.size, more=more)
        if len(body) != item.size:
            raise ArtifactError(
                f"{place}: object {shown(item.key)} has {len(body)} bytes and not {should}", url=str(place)
            )
        return body

    async def small(self, place: Place, key: str, limit: int) -> bytes | None:
        """An object of at most ``limit`` bytes that need not be there; inside of a ``conversation``.

        Raises: SourceError, SourceUnavailable.
        """
        url = URL(f"{place.base}/{encoded(key, '/')}", encoded=True)
        async with self._answer(place, url, {}, (404,)) as (response, where):
            if response.status == 200:
                return await self._http.content(response, where, limit)
            code, _ = refusal_of(await self._http.content(response, where, _MAX_REFUSAL))
            if code == "NoSuchBucket":
                raise refusal(response, where, _HINTS, code)
            return None

    async def _page(self, place: Place, prefix: str, token: str) -> Page:
        parameters = {"list-type": "2", "max-keys": _PAGE, "encoding-type": "url", "prefix": prefix}
        parameters["continuation-token"] = token
        query = query_of({name: value for name, value in parameters.items() if value})
        async with self._answer(place, URL(f"{place.base}?{query}", encoded=True), {}, ()) as (response, where):
            data = await self._http.content(response, where, MAX_PAGE)
        return await asyncio.to_thread(read_page, data, str(place))

    @asynccontextmanager
    async def _answer(
        self, place: Place, url: URL, headers: dict[str, str], also: tuple[int, ...]
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, URL]]:
        """The answer to a signed request: 200, or one of the statuses ``also``."""
        authorization = ""
        more: dict[str, str] = {}
        if place.keys.access:
            authorization, more = signed("GET", url, place.signed_region, place.keys, datetime.now(UTC))
        request = Request(
            url, place.base, place.connection, authorization=authorization, headers={**headers, **more}, plain=False
        )
        async with self._http.open(request) as (response, where):
            if where.origin() != url.origin():  # a signature is for one host, so nothing comes of another's answer
                raise SourceError(
                    f"{place} leads to {redacted(where.origin())}",
                    url=str(place),
                    hint="set spec.endpoint and spec.region to those of the bucket",
                )
            if response.status != 200 and response.status not in also:
                await self._refuse(place, response, where)
            yield response, where

    async def _refuse(self, place: Place, response: aiohttp.ClientResponse, where: URL) -> NoReturn:
        code, region = refusal_of(await self._http.content(response, where, _MAX_REFUSAL))
        region = region or region_in(response.headers.get("x-amz-bucket-region", ""))
        if region and region != place.signed_region and response.status in (301, 307, 400, 403):
            raise SourceError(
                f"{place}: access refused ({response.status}, {code}): the bucket is not in region "
                f"{place.signed_region}",
                url=str(place),
                status=response.status,
                hint=f"set spec.region: {region}",
            )
        raise refusal(response, where, _HINTS, code)


def shown(key: str) -> str:
    """A key for a message: whoever may write to a bucket has chosen it."""
    return repr(shorten(key, _LONGEST_SHOWN))
