"""Chart repositories over HTTP: their indexes, and the charts that they name."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from pathlib import Path

import structlog

from gitsync.charts import Chart, Charts
from gitsync.charts.cache import Cache
from gitsync.charts.dependencies import head_of_archive
from gitsync.errors import ChartError, ChartRepositoryUnavailable
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.helm import index as indexes
from gitsync.sources.helm.cache import Store
from gitsync.sources.helm.http import HttpClient, Known
from gitsync.sources.helm.index import Index
from gitsync.sources.helm.model import IndexEntry, IndexInfo, RepositorySpec

log = structlog.get_logger(__name__)

#: Flux's bound for a chart's archive (source-controller), in bytes.
MAX_CHART = 10 * 1024 * 1024
#: Downloaded charts whose digest their index does not name, and which are therefore remembered by their place.
_MOST_PLACES = 4096


class ChartRepositories:
    """Indexes are refreshed, charts looked up in them and fetched, each downloaded once and verified.

    One instance for the whole process, used from one event loop; ``close`` it. ``cache_dir`` may be empty or old.
    ``charts`` loads what was fetched, and renders it.
    """

    def __init__(self, cache_dir: Path) -> None:
        self.charts = Charts()
        self._store = Store(cache_dir)
        self._http = HttpClient()
        self._indexes: dict[str, Index] = {}
        self._digests: Cache[str] = Cache(_MOST_PLACES)
        self._refreshing: SingleFlight[IndexInfo] = SingleFlight()
        self._loading: SingleFlight[Chart] = SingleFlight()

    async def close(self) -> None:
        """Ends what is under way and frees everything. Charts handed out must not be used afterwards."""
        await self._refreshing.close()
        await self._loading.close()
        await self._http.close()
        await self.charts.close()

    async def refresh(self, spec: RepositorySpec) -> IndexInfo:
        """Reads the repository's index, asking the server only whether it has changed where we have it already.

        Concurrent calls for one repository are one. What was read before stays in use when this fails.
        Raises: ChartRepositoryUnavailable, ChartError.
        """
        _refuse_oci(spec.url)
        return await self._refreshing.run(spec.id, functools.partial(self._refresh, spec))

    async def resolve(self, spec: RepositorySpec, chart: str, version: str) -> IndexEntry:
        """The entry that a version or range ("" is ``*``) means, in the index as it was last read.

        Raises: ChartNotFound, and what ``refresh`` raises when the index was never read.
        """
        return (await self._index(spec)).choose(chart, version)

    async def fetch(self, spec: RepositorySpec, chart: str, version: str) -> Chart:
        """The chart that a version or range means, in the index as it was last read; downloaded once and verified.

        Works without the repository for what was fetched before.
        Raises: ChartNotFound, ChartError (digest differs, too large, cannot be loaded), ChartRepositoryUnavailable.
        """
        _refuse_oci(spec.url)
        index = await self._index(spec)
        entry = index.choose(chart, version)
        place = _place(spec, chart, entry)
        digest = entry.digest or self._digests.get(place)
        loaded = self.charts.loaded_archive(digest) if digest else None
        if loaded is None:
            load = functools.partial(self._load, spec, index, chart, entry, place)
            loaded = await self._loading.run(digest or place, load)
        _refuse_other_name(loaded.name, chart, entry)
        return loaded

    async def archive(self, spec: RepositorySpec, chart: str, version: str) -> bytes:
        """The same as the archive that it is, whether or not it can be installed: what another chart depends on.

        Raises: as ``fetch``.
        """
        _refuse_oci(spec.url)
        index = await self._index(spec)
        entry = index.choose(chart, version)
        data, _ = await self._archive(spec, index, chart, entry, _place(spec, chart, entry))
        head = await asyncio.to_thread(head_of_archive, data, chart)
        _refuse_other_name(head.name, chart, entry)
        return data

    def forget(self, spec: RepositorySpec) -> None:
        """Drops the index of a repository that nobody refers to any more."""
        self._indexes.pop(spec.id, None)

    async def _index(self, spec: RepositorySpec) -> Index:
        known = await self._known_index(spec)
        if known is None:
            await self.refresh(spec)
            known = self._indexes[spec.id]
        return known

    async def _known_index(self, spec: RepositorySpec) -> Index | None:
        index = self._indexes.get(spec.id)
        if index is None:
            index = await asyncio.to_thread(self._store.index, spec.id, spec.url)
            if index is not None:
                self._indexes[spec.id] = index
        return index

    async def _refresh(self, spec: RepositorySpec) -> IndexInfo:
        known = await self._known_index(spec)
        validators = Known(known.etag, known.modified) if known else None
        url = indexes.index_url(spec.url)
        answer = await self._http.get(spec, url, limit=indexes.MAX_INDEX, known=validators, compressed=True)
        if answer.unchanged and known is not None:
            return _info(known, changed=False)
        index = await asyncio.to_thread(indexes.parse, answer.body, spec.url, answer.etag, answer.modified)
        self._indexes[spec.id] = index
        await asyncio.to_thread(self._store.keep_index, spec.id, index)
        changed = known is None or known.revision != index.revision
        log.debug("chart index read", revision=index.revision, charts=len(index.charts), changed=changed)
        return _info(index, changed=changed)

    async def _load(self, spec: RepositorySpec, index: Index, name: str, entry: IndexEntry, place: str) -> Chart:
        return await self.charts.from_archive(*await self._archive(spec, index, name, entry, place))

    async def _archive(
        self, spec: RepositorySpec, index: Index, name: str, entry: IndexEntry, place: str
    ) -> tuple[bytes, str]:
        """The archive, from the disk when it was there before, and its sha256 (hex)."""
        digest = entry.digest or self._digests.get(place) or ""
        data = await asyncio.to_thread(self._store.archive, digest) if digest else None
        if data is None:
            data = await self._download(spec, index, name, entry)
            digest = await asyncio.to_thread(_verified, data, name, entry)
            await asyncio.to_thread(self._store.keep_archive, digest, data)
            self._digests.put(place, digest)
        return data, digest

    async def _download(self, spec: RepositorySpec, index: Index, name: str, entry: IndexEntry) -> bytes:
        failure: Exception = ChartError(
            f"chart {name} {entry.version} has no URL in its repository's index", chart=name, version=entry.version
        )
        for url in index.archive_urls(entry):
            try:
                _refuse_oci(url)
                answer = await self._http.get(spec, url, limit=MAX_CHART)
            except (ChartError, ChartRepositoryUnavailable) as error:
                failure = error
            else:
                return bytes(answer.body)
        if isinstance(failure, ChartError):
            failure.chart, failure.version = name, entry.version
        raise failure


def _info(index: Index, *, changed: bool) -> IndexInfo:
    return IndexInfo(index.revision, index.public_url, changed, len(index.charts))


def _refuse_oci(url: str) -> None:
    if url.lower().startswith("oci://"):
        raise ChartError("OCI registries are not supported yet", hint="use an http(s) chart repository")


def _verified(data: bytes, name: str, entry: IndexEntry) -> str:
    digest = hashlib.sha256(data).hexdigest()
    if entry.digest and digest != entry.digest:
        raise ChartError(
            f"chart {name} {entry.version} is not what its index says: sha256 {digest}, not {entry.digest}",
            chart=name,
            version=entry.version,
            hint="the repository is inconsistent or was tampered with; publish the chart and its index again",
        )
    return digest


def _place(spec: RepositorySpec, chart: str, entry: IndexEntry) -> str:
    """Names an archive by where it is, for an index that does not name its digest."""
    parts = (spec.id, chart, entry.version, entry.created, *entry.urls)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _refuse_other_name(found: str, name: str, entry: IndexEntry) -> None:
    if found != name:
        raise ChartError(
            f"the archive of chart {name} {entry.version} holds chart {found!r}", chart=name, version=entry.version
        )
