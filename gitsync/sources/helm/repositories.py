"""Chart repositories over HTTP: their indexes, and the charts that they name."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog

from gitsync.budget import Budget
from gitsync.charts import Chart, Charts
from gitsync.errors import ChartError, ChartRepositoryUnavailable
from gitsync.http import TIMEOUT_LIMIT, HttpClient, redacted
from gitsync.logins import Logins
from gitsync.oci import Registry
from gitsync.runtime.cache import Cache
from gitsync.runtime.singleflight import SingleFlight
from gitsync.s3 import Buckets
from gitsync.sources.bucket import BucketArtifacts
from gitsync.sources.git import GitArtifacts
from gitsync.sources.helm import cache
from gitsync.sources.helm import index as indexes
from gitsync.sources.helm.http import ChartDownloads, Known, Response
from gitsync.sources.helm.index import Index
from gitsync.sources.helm.registry import RegistryCharts
from gitsync.sources.helm.spec import IndexEntry, IndexInfo, RepositorySpec
from gitsync.sources.oci import CosignVerification, OciArtifacts
from gitsync.sources.remotebases import RemoteBases
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from gitsync.sources.unpacking import Unpacker
from gitsync.spool import Body, Spool
from gitsync.treememory import TreeMemory

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Flux's bound for a chart's archive (source-controller), in bytes.
MAX_CHART = 10 * 1024 * 1024
#: How many downloaded charts are remembered by their URL, since their index names no digest.
_MOST_PLACES = 4096
#: How many parsed entries of all indexes are kept, those that were asked for last: half a KiB each.
_MOST_VERSIONS = 50_000


class ChartRepositories:
    """Indexes are refreshed, charts looked up in them and fetched, each downloaded once and verified. Where there is no
    index, in registries, tags are in its place.

    One instance for the whole process, used from one event loop; ``close`` it. ``cache_dir`` may be empty or old.
    ``charts`` loads what was fetched, and renders it. ``timeout_limit`` is the longest that a repository's own
    timeout may be, in seconds, ``within`` a budget that trees are a part of. ``default_account``: see Logins.
    ``unpacker`` has archives of files unpacked. ``artifacts`` has the artifacts of registries, whatever they are,
    ``git`` those of Git repositories, ``buckets`` those of buckets, ``bases`` what kustomizations name. A server
    that does not answer holds up those alone who ask it on behalf of the same namespace.
    """

    def __init__(
        self,
        cache_dir: Path,
        timeout_limit: float = TIMEOUT_LIMIT,
        within: Budget | None = None,
        default_account: str = "",
    ) -> None:
        self._spool = Spool(cache_dir)
        self.charts = Charts(self._spool)
        self._store = Store(cache_dir)
        self._http = HttpClient(timeout_limit, self._spool)
        self._downloads = ChartDownloads(self._http)
        self._turns = Turns()
        #: The logins of clouds and GitHub Apps.
        self.logins = Logins(self._http, default_account=default_account)
        registry = Registry(self._http)
        self._registries = RegistryCharts(registry, self._store, self._turns, MAX_CHART)
        #: The trees of all sources but the agent's own repository.
        self.trees = TreeMemory(within=within)
        self.unpacker = Unpacker(self.charts.workers, self._store)
        self.artifacts = OciArtifacts(registry, self._store, self._turns, self.charts, self.unpacker, self.trees)
        self.buckets = BucketArtifacts(Buckets(self._http), self._store, self._turns, self.trees)
        self.git = GitArtifacts(cache_dir / "git", self._store, self._turns, timeout_limit, self.trees)
        #: The bases and files that kustomizations name by URL.
        self.bases = RemoteBases(self.git, self._http, self._turns)
        self._indexes: dict[str, Index] = {}
        self._entries: Cache[tuple[IndexEntry, ...]] = Cache(_MOST_VERSIONS)
        self._digests: Cache[str] = Cache(_MOST_PLACES)
        self._refreshing: SingleFlight[IndexInfo] = SingleFlight()
        self._loading: SingleFlight[Chart] = SingleFlight()
        self._fetching: SingleFlight[Body] = SingleFlight()

    async def close(self) -> None:
        """Ends what is under way and frees everything. Charts handed out must not be used afterwards."""
        await self._turns.close()
        await self._registries.close()
        await self.artifacts.close()
        await self.buckets.close()
        await self.bases.close()
        await self.git.close()
        flights: tuple[SingleFlight[Any], ...] = (self._refreshing, self._loading, self._fetching)
        for flight in flights:
            await flight.close()
        await self.logins.close()
        await self._http.close()
        await self.charts.close()

    async def refresh(self, spec: RepositorySpec) -> IndexInfo:
        """Reads the repository's index, or asks the server only whether it has changed, where we have it; of a
        registry, looks up the tags that were asked for. Concurrent calls for one repository share one request. When
        this fails, what was read before stays in use. Raises: ChartRepositoryUnavailable, ChartError."""
        if spec.is_registry:
            changed, charts = await self._registries.refresh(spec)
            return IndexInfo("", spec.shown, changed, charts)
        return await self._shared(spec, self._refreshing, spec.id, functools.partial(self._refresh, spec))

    async def look(self, spec: RepositorySpec) -> None:
        """Checks that the server has an index, without reading it; or that the registry answers.

        Raises: ChartRepositoryUnavailable, ChartNotFound, ChartError.
        """
        if spec.is_registry:
            await self._registries.look(spec)
        else:
            await self._downloads.look(spec, indexes.index_url(spec.url))

    async def resolve(
        self, spec: RepositorySpec, chart: str, version: str, verification: CosignVerification | None = None
    ) -> IndexEntry:
        """The entry that a version or range ("" is ``*``) means, in the index as it was last read; with
        ``verification``, of those that are signed as it demands, which charts of registries alone can be.

        Raises: ChartNotFound, ChartError, and what ``refresh`` raises when the index was never read.
        """
        if spec.is_registry:
            return await self._registries.resolve(spec, chart, version, verification)
        if verification is not None:
            raise ChartError(
                "signatures are checked of charts in registries alone, and what was not checked is not used",
                chart=chart,
                version=version,
                hint="use a HelmRepository of type oci, or remove spec.chart.spec.verify",
            )
        index = await self._index(spec)
        return index.choose(await self._versions(spec, index, chart), chart, version)

    async def fetch(
        self, spec: RepositorySpec, chart: str, version: str, verification: CosignVerification | None = None
    ) -> Chart:
        """The chart that a version or range means, in the index as it was last read; downloaded once and verified.

        Works without the repository for what was fetched before.
        Raises: ChartNotFound, ChartError (digest differs, too large, cannot be loaded), ChartRepositoryUnavailable.
        """
        entry = await self.resolve(spec, chart, version, verification)
        place = _place(spec, chart, entry)
        digest = entry.digest or self._digests.get(place)
        loaded = self.charts.loaded_archive(digest) if digest else None
        if loaded is None:
            load = functools.partial(self._load, spec, chart, entry, place)
            # By its URL, not its digest: an index may claim any digest, and make this download wait for another server.
            loaded = await self._shared(spec, self._loading, place, load)
        _refuse_other_name(loaded.name, chart, entry)
        return loaded

    async def archive(self, spec: RepositorySpec, chart: str, version: str) -> Body:
        """As ``fetch``, but the archive itself, whether or not Helm could install it: another chart depends on it.

        Raises: as ``fetch``.
        """
        entry = await self.resolve(spec, chart, version)
        place = _place(spec, chart, entry)
        load = functools.partial(self._archive, spec, chart, entry, place)
        body = await self._shared(spec, self._fetching, place, load)
        head = await self.charts.workers.describe_archive(body, chart, spec.owner)
        _refuse_other_name(head.name, chart, entry)
        return body

    def forget(self, spec: RepositorySpec) -> None:
        """Drops the index of a repository that nothing refers to any more."""
        self._indexes.pop(spec.id, None)
        self._registries.forget(spec)

    async def _shared(
        self, spec: RepositorySpec, flight: SingleFlight[T], key: str, work: Callable[[], Awaitable[T]]
    ) -> T:
        return await self._turns.shared(spec.owner, spec.host, spec.shown, flight, key, work, spec.secrets)

    async def _index(self, spec: RepositorySpec) -> Index:
        known = await self._known_index(spec)
        if known is None:
            await self.refresh(spec)
            known = self._indexes[spec.id]
        return known

    async def _known_index(self, spec: RepositorySpec) -> Index | None:
        index = self._indexes.get(spec.id)
        if index is None:
            index = await asyncio.to_thread(cache.read_index, self._store, spec.id, spec.url)
            if index is not None:
                self._indexes[spec.id] = index
        return index

    async def _versions(self, spec: RepositorySpec, index: Index, chart: str) -> tuple[IndexEntry, ...]:
        key = "\0".join((spec.id, index.revision, chart))
        entries = self._entries.get(key)
        if entries is None:
            entries = await asyncio.to_thread(index.entries, chart)
            self._entries.put(key, entries, len(entries) + 1)
        return entries

    async def _refresh(self, spec: RepositorySpec) -> IndexInfo:
        known = await self._known_index(spec)
        validators = Known(known.etag, known.modified) if known else None
        url = indexes.index_url(spec.url)
        answer = await self._downloads.get(spec, url, limit=indexes.MAX_INDEX, known=validators, compressed=True)
        if answer.body is None and known is not None:
            return _info(known, changed=False)
        index = await self._read(spec, answer)
        self._indexes[spec.id] = index
        await asyncio.to_thread(cache.keep_index, self._store, spec.id, index)
        changed = known is None or known.revision != index.revision
        log.debug("chart index read", revision=index.revision, charts=index.count, changed=changed)
        return _info(index, changed=changed)

    async def _read(self, spec: RepositorySpec, answer: Response) -> Index:
        body = answer.body or Body.of(b"")  # the server answers 304 to a request that had no validators
        count, lines = await self.charts.workers.read_index(body, redacted(spec.url), spec.owner)
        kept = await self._spool.of(lines)
        return Index(spec.url, f"sha256:{body.sha256}", kept, count, answer.etag, answer.modified)

    async def _load(self, spec: RepositorySpec, name: str, entry: IndexEntry, place: str) -> Chart:
        archive = await self._archive(spec, name, entry, place)
        try:
            return await self.charts.from_archive(archive, spec.owner)
        except ChartError as error:
            if type(error) is not ChartError:
                raise
            what = f"chart {name} {entry.version} of {spec.shown}"
            raise ChartError(
                f"{what} cannot be installed: {error.message}", chart=name, version=entry.version, hint=error.hint
            ) from error

    async def _archive(self, spec: RepositorySpec, name: str, entry: IndexEntry, place: str) -> Body:
        """The archive, from the disk when it was there before."""
        digest = entry.digest or self._digests.get(place) or ""
        body = await asyncio.to_thread(self._store.archive, digest) if digest else None
        if body is None:
            body = await self._download(spec, name, entry)
            _verify(body.sha256, name, entry)
            await asyncio.to_thread(self._store.keep_archive, body)
            self._digests.put(place, body.sha256)
        return body

    async def _download(self, spec: RepositorySpec, name: str, entry: IndexEntry) -> Body:
        if spec.is_registry:
            return await self._registries.download(spec, name, entry)
        failure: Exception = ChartError(
            f"chart {name} {entry.version} has no URL in its repository's index", chart=name, version=entry.version
        )
        for url in (await self._index(spec)).archive_urls(entry):
            try:
                _refuse_oci(url)
                answer = await self._downloads.get(spec, url, limit=MAX_CHART)
            except (ChartError, ChartRepositoryUnavailable) as error:
                failure = error
            else:
                return answer.body or Body.of(b"")
        if isinstance(failure, ChartError):
            failure.chart, failure.version = name, entry.version
        raise failure


def _info(index: Index, *, changed: bool) -> IndexInfo:
    return IndexInfo(index.revision, index.public_url, changed, index.count)


def _refuse_oci(url: str) -> None:
    """Refuses an ``oci://`` URL of a chart in an index, unlike that of a whole HelmRepository of type oci."""
    if url.lower().startswith("oci://"):
        raise ChartError(
            "charts in a registry that an index names are not supported yet",
            hint="use a HelmRepository of type oci, or an OCIRepository",
        )


def _verify(digest: str, name: str, entry: IndexEntry) -> None:
    if entry.digest and digest != entry.digest:
        raise ChartError(
            f"chart {name} {entry.version} is not what its index says: sha256 {digest}, not {entry.digest}",
            chart=name,
            version=entry.version,
            hint="the repository is inconsistent or was tampered with; publish the chart and its index again",
        )


def _place(spec: RepositorySpec, chart: str, entry: IndexEntry) -> str:
    """The name under which an archive is remembered whose digest the index does not have: made of its URL."""
    parts = (spec.id, chart, entry.version, entry.created, *entry.urls)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _refuse_other_name(found: str, name: str, entry: IndexEntry) -> None:
    if found != name:
        raise ChartError(
            f"the archive of chart {name} {entry.version} holds chart {found!r}", chart=name, version=entry.version
        )
