"""Asking registries: the pulling half of the OCI distribution specification."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from gitsync.errors import ArtifactError, SourceError
from gitsync.http import Hints, HttpClient, Request, redacted, refusal
from gitsync.oci.challenge import Challenge, read_challenges
from gitsync.oci.decoding import decoded
from gitsync.oci.digest import digest_of, digest_of_body, is_digest
from gitsync.oci.manifest import ACCEPT, Descriptor, Manifest, read_index, read_manifest
from gitsync.oci.repository import Repository
from gitsync.oci.tokens import Tokens
from gitsync.spool import Body

#: The distribution specification's bound for a manifest, in bytes; a page of tags has the same.
MAX_MANIFEST = 4 * 1024 * 1024
#: Pages of tags that are read, and tags in all of them.
MAX_PAGES = 100
MAX_TAGS = 100_000
_PAGE = "1000"
#: What registries answer that know no lists of referrers.
_NO_REFERRERS = (400, 404, 405, 406)
_MAX_REFUSAL = 8 * 1024
_DIGEST_HEADER = "Docker-Content-Digest"
_CODE = re.compile(r"[A-Z_]{3,40}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?')
_HINTS = Hints(
    missing="check url and ref",
    refused="check secretRef: it needs credentials for this registry that may pull from this repository",
    tls="if the registry has a certificate of a private authority, give its ca.crt in certSecretRef",
)


class Registry:
    """Asks registries, each for one repository at a time; connections and tokens are shared."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._tokens = Tokens(http, _HINTS)

    async def ping(self, repository: Repository) -> None:
        """Whether the registry answers, and takes the login. Raises: SourceError (refused), SourceUnavailable."""
        url = repository.base.origin() / "v2" / ""
        async with self._http.deadline(url, repository.timeout, _HINTS), self._answer(repository, url, also=(404,)):
            pass

    async def tags(self, repository: Repository) -> list[str]:
        """All tags of a repository, in no order.

        Raises: SourceMissing, SourceError (refused, or pages without end), SourceUnavailable.
        """
        found: list[str] = []
        url = repository.base.joinpath("tags", "list").with_query(n=_PAGE)
        async with self._http.deadline(repository.base, repository.timeout, _HINTS):
            for _ in range(MAX_PAGES):
                async with self._answer(repository, url) as (response, where):
                    found += _tags(await self._http.content(response, where, MAX_MANIFEST))
                    following = _next(response, url)
                if following is None:
                    return found
                if len(found) > MAX_TAGS or following == url:
                    break
                url = following
        raise SourceError(
            f"{repository}: its list of tags has no end: {len(found)} were read, in pages",
            url=redacted(repository.base),
        )

    async def resolve(self, repository: Repository, tag: str) -> str:
        """The digest of the manifest that a tag names now. Raises: as ``manifest``."""
        _check_tag(repository, tag)
        url = repository.base.joinpath("manifests", tag)
        async with self._http.deadline(repository.base, repository.timeout, _HINTS):
            async with self._answer(repository, url, method="HEAD", also=(400, 405)) as (response, _):
                digest = response.headers.get(_DIGEST_HEADER, "")
                if response.status == 200 and is_digest(digest):
                    return digest
            return (await self._manifest(repository, tag)).digest

    async def manifest(self, repository: Repository, reference: str) -> Manifest:
        """The manifest that a tag or a digest names; what a digest names is verified.

        Raises: SourceMissing, ArtifactError, SourceError (refused), SourceUnavailable.
        """
        if not is_digest(reference):
            _check_tag(repository, reference)
        async with self._http.deadline(repository.base, repository.timeout, _HINTS):
            return await self._manifest(repository, reference)

    async def referrers(self, repository: Repository, digest: str) -> tuple[Descriptor, ...]:
        """The manifests that say that they are about one: by the registry's list of them, else, for one that has none,
        by the tag that the specification has for it. Nothing vouches for either. Raises: as ``manifest``."""
        async with self._http.deadline(repository.base, repository.timeout, _HINTS):
            url = repository.base.joinpath("referrers", digest)
            async with self._answer(repository, url, also=_NO_REFERRERS) as (response, where):
                if response.status == 200:
                    return read_index(await self._http.content(response, where, MAX_MANIFEST))
            url = repository.base.joinpath("manifests", digest.replace(":", "-", 1))
            async with self._answer(repository, url, also=(404,)) as (response, where):
                if response.status == 404:
                    return ()
                return read_index(await self._http.content(response, where, MAX_MANIFEST))

    async def blob(self, repository: Repository, blob: Descriptor, limit: int) -> Body:
        """A blob, verified, at most ``limit`` bytes.

        Raises: ArtifactError, SourceMissing, SourceError (refused), SourceUnavailable.
        """
        if blob.size > limit:
            raise ArtifactError(
                f"{repository}: the layer {blob.digest} is larger than {limit / 2**20:g} MiB", url=str(repository)
            )
        should = f"the {blob.size} bytes it should have"
        more = ArtifactError(f"{repository}: the layer {blob.digest} has more than {should}")
        url = repository.base.joinpath("blobs", blob.digest)
        async with (
            self._http.deadline(repository.base, repository.timeout, _HINTS),
            self._answer(repository, url) as (response, where),
        ):
            body = await self._http.body(response, where, blob.size, more=more)
        if len(body) != blob.size:
            raise ArtifactError(f"{repository}: the layer {blob.digest} has {len(body)} bytes and not {should}")
        found = await digest_of_body(body, blob.digest)
        if found != blob.digest:
            raise _tampered(repository, "layer", found, blob.digest)
        return body

    async def _manifest(self, repository: Repository, reference: str) -> Manifest:
        url = repository.base.joinpath("manifests", reference)
        async with self._answer(repository, url) as (response, where):
            content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
            claimed = response.headers.get(_DIGEST_HEADER, "")
            data = await self._http.content(response, where, MAX_MANIFEST)
        expected = reference if is_digest(reference) else claimed if is_digest(claimed) else ""
        found = digest_of(data, expected or "sha256:")
        if expected and found != expected:
            raise _tampered(repository, "manifest", found, expected)
        try:
            return read_manifest(data, found, content_type)
        except ArtifactError as error:
            raise ArtifactError(f"{repository} at {reference}: {error.message}", hint=error.hint) from None

    @asynccontextmanager
    async def _answer(
        self, repository: Repository, url: URL, method: str = "GET", also: Sequence[int] = ()
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, URL]]:
        """The answer 200, or one of ``also``, and who gave it. Where credentials are asked for it is asked again, once,
        with new ones: a token may have expired since."""
        authorization = self._tokens.known(repository)
        for again in (True, False):
            request = Request(
                url,
                repository.base,
                repository.connection,
                method,
                authorization,
                headers={"Accept": ACCEPT if "manifests" in url.parts else "*/*"},
                plain=repository.insecure,
            )
            async with self._http.open(request) as (response, where):
                if response.status == 200 or response.status in also:
                    yield response, where
                    return
                if response.status != 401 or not again or where.origin() != url.origin():
                    raise refusal(response, where, _HINTS, await _why(response))
                challenges: list[Challenge] = read_challenges(response.headers.getall("WWW-Authenticate", []))
            authorization = await self._tokens.answer(repository, challenges)


def _check_tag(repository: Repository, tag: str) -> None:
    if not _TAG.fullmatch(tag):
        raise SourceError(f"{repository}: {tag[:80]!r} is no tag", url=str(repository), hint="correct ref")


def _tags(data: bytes) -> list[str]:
    try:
        tags = decoded(data)["tags"]
        if isinstance(tags, list | None):
            return [tag for tag in tags or () if isinstance(tag, str) and _TAG.fullmatch(tag)]
    except (ValueError, KeyError, TypeError):
        pass
    raise SourceError("the registry's list of tags cannot be read")


def _next(response: aiohttp.ClientResponse, url: URL) -> URL | None:
    """The next page, which has to be at the same registry. Raises: SourceError."""
    found = _NEXT.search(response.headers.get("Link", ""))
    if found is None:
        return None
    following = url.join(URL(found[1], encoded=True))
    if following.origin() != url.origin():
        raise SourceError(f"{redacted(url)}: the list of tags goes on at another server", url=redacted(url))
    return following


async def _why(response: aiohttp.ClientResponse) -> str:
    """The registry's own word for what is wrong, as ``MANIFEST_UNKNOWN``. Its other words are not to be trusted."""
    try:
        errors = decoded(await response.content.read(_MAX_REFUSAL))["errors"]
        code = errors[0]["code"]
    except (ValueError, KeyError, TypeError, IndexError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _tampered(repository: Repository, what: str, found: str, expected: str) -> ArtifactError:
    return ArtifactError(
        f"{repository}: the {what} is not what its digest says: {found}, not {expected}",
        url=str(repository),
        hint="the registry is damaged or was tampered with; push the artifact again",
    )
