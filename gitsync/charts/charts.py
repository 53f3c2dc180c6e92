"""The door of this room: repositories are refreshed, charts fetched, values rendered."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog

from gitsync.charts import source
from gitsync.charts.cache import Cache
from gitsync.charts.chart import Chart
from gitsync.charts.defaults import with_values_files
from gitsync.charts.kustomize import Kustomizer
from gitsync.charts.model import Capabilities, IndexEntry, IndexInfo, ReleaseContext, Rendered, RepositorySpec
from gitsync.charts.objects import parse_objects
from gitsync.charts.render import Renderer
from gitsync.errors import ChartError, ChartRepositoryUnavailable, RenderError
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.helm import index as indexes
from gitsync.sources.helm.cache import Store
from gitsync.sources.helm.http import HttpClient, Known
from gitsync.sources.helm.index import Index

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: Flux's bound for a chart's archive (source-controller), in bytes.
MAX_CHART = 10 * 1024 * 1024
#: Threads for the Helm SDK and for unpacking.
_THREADS = 3
#: Charts that stay loaded without being in use.
_LOADED_CHARTS = 48
#: Longest wait for a template, in seconds. Templates are programs, and may loop.
_RENDER_DEADLINE = 60.0
_PARSED_TEXT = 4 * 1024 * 1024
#: What a chart is known by: the digest of its archive or of its tree. An index may claim any digest, so the two are
#: kept apart.
_ARCHIVE = "archive:"
_TREE = "tree:"
_OTHER_VALUES = "values:"


class Charts:
    """Charts out of repositories and Git trees, each downloaded and loaded once, and their rendering.

    One instance for the whole process, used from one event loop; ``close`` it. ``cache_dir`` may be empty or old.
    ``kustomizer`` is there for what is to be changed after rendering.
    """

    def __init__(self, cache_dir: Path) -> None:
        self.kustomizer = Kustomizer()
        self._store = Store(cache_dir)
        self._http = HttpClient()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="helm")
        self._indexes: dict[str, Index] = {}
        self._loaded: Cache[Chart] = Cache(_LOADED_CHARTS)
        self._digests: Cache[str] = Cache(4096)
        self._refreshing: SingleFlight[IndexInfo] = SingleFlight()
        self._loading: SingleFlight[Chart] = SingleFlight()
        self._renderer = Renderer()
        self._parsed: Cache[tuple[Manifest, ...]] = Cache(_PARSED_TEXT)

    async def close(self) -> None:
        """Ends what is under way and frees everything. Charts handed out must not be used afterwards."""
        await self._refreshing.close()
        await self._loading.close()
        await self._http.close()
        # Nobody can stop a template that never ends, so its thread is not waited for.
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._renderer.close()
        for chart in self._loaded.clear():
            chart.close()

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
        place = hashlib.sha256(
            "\0".join((spec.id, chart, entry.version, entry.created, *entry.urls)).encode()
        ).hexdigest()
        digest = entry.digest or self._digests.get(place)
        loaded = self._loaded.get(_ARCHIVE + digest) if digest else None
        if loaded is None:
            load = functools.partial(self._load, spec, index, chart, entry, place)
            loaded = await self._loading.run(_ARCHIVE + (digest or place), load)
        _refuse_other_name(loaded, chart, entry)
        return loaded

    async def from_files(self, files: Mapping[str, bytes], digest: str) -> Chart:
        """A chart out of a Git tree: ``files`` are its regular files by path below the chart's folder, ``charts/``
        included; ``digest`` identifies the tree. ``.helmignore`` is honoured.

        Raises: ChartError.
        """
        loaded = self.cached(digest)
        if loaded is not None:
            return loaded

        async def load() -> Chart:
            loaded = await self._in_thread(source.chart_from_files, files, digest)
            self._loaded.put(_TREE + digest, loaded)
            return loaded

        return await self._loading.run(_TREE + digest, load)

    def cached(self, digest: str) -> Chart | None:
        """What ``from_files`` made of this tree, if it is still loaded: saves reading the tree."""
        return self._loaded.get(_TREE + digest)

    async def with_values_files(
        self,
        chart: Chart,
        paths: Sequence[str],
        digest: str,
        *,
        ignore_missing: bool = False,
        files: Mapping[str, bytes] | None = None,
    ) -> Chart:
        """The chart with the files at ``paths``, later ones winning, in place of its values.yaml.

        ``digest`` is what the result is known by; ``files`` are the files by path where they are not the chart's own.
        Raises: ValuesError for a file that is missing (unless ``ignore_missing``) or holds no mapping; ChartError.
        """
        loaded = self._loaded.get(_OTHER_VALUES + digest)
        if loaded is None:
            loaded = await self._in_thread(with_values_files, chart, paths, digest, ignore_missing, files)
            self._loaded.put(_OTHER_VALUES + digest, loaded)
        return loaded

    async def render(
        self,
        chart: Chart,
        values: Mapping[str, Any],
        context: ReleaseContext,
        *,
        capabilities: Capabilities | None = None,
        access: Mapping[str, Any] | None = None,
        validate: bool = True,
    ) -> Rendered:
        """What Helm would install. Costs no API request, but two for each call of ``lookup`` in the chart.

        ``capabilities`` is what the cluster offers; without them the SDK's defaults hold, as for ``helm template``.
        ``access`` (arguments of helm_python.Config) lets ``lookup`` see the cluster; without it, it finds nothing.
        ``validate=False`` skips values.schema.json. The result is shared: never change it.
        Raises: ValuesError, RenderError, ChartError (the chart is not for this version of Kubernetes),
        ClusterUnavailable.
        """
        try:
            async with asyncio.timeout(_RENDER_DEADLINE):
                return await self._in_thread(
                    self._renderer.render, chart, values, context, capabilities, access, validate
                )
        except TimeoutError:
            raise RenderError(
                f"chart {chart.name} was not rendered within {_RENDER_DEADLINE:g} s",
                chart=chart.name,
                version=chart.version,
                hint="a template may loop without end",
            ) from None

    async def crds(self, chart: Chart, values: Mapping[str, Any]) -> tuple[Manifest, ...]:
        """The CRDs of the chart and its enabled subcharts: needed before a template can ask whether they exist.

        Raises: ValuesError, ChartError.
        """
        if not chart.has_dependencies:
            return await self._in_thread(lambda: chart.crds)
        return await self._in_thread(self._renderer.crds, chart, values)

    async def parse_objects(self, manifest: str) -> tuple[Manifest, ...]:
        """The objects in the manifest of a release's record, in their order; shared, never change them.

        Raises: RenderError.
        """
        key = hashlib.sha256(manifest.encode("utf-8", "surrogatepass")).hexdigest()
        objects = self._parsed.get(key)
        if objects is None:
            objects = await self._in_thread(parse_objects, manifest)
            self._parsed.put(key, objects, len(manifest) + 1000)
        return objects

    def forget(self, spec: RepositorySpec) -> None:
        """Drops the index of a repository that nobody refers to any more."""
        self._indexes.pop(spec.id, None)

    async def _in_thread(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(call, *args, **kwargs))

    async def _index(self, spec: RepositorySpec) -> Index:
        known = await self._known_index(spec)
        if known is None:
            await self.refresh(spec)
            known = self._indexes[spec.id]
        return known

    async def _known_index(self, spec: RepositorySpec) -> Index | None:
        index = self._indexes.get(spec.id)
        if index is None:
            index = await self._in_thread(self._store.index, spec.id, spec.url)
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
        index = await self._in_thread(indexes.parse, answer.body, spec.url, answer.etag, answer.modified)
        self._indexes[spec.id] = index
        await self._in_thread(self._store.keep_index, spec.id, index)
        changed = known is None or known.revision != index.revision
        log.debug("chart index read", revision=index.revision, charts=len(index.charts), changed=changed)
        return _info(index, changed=changed)

    async def _load(self, spec: RepositorySpec, index: Index, name: str, entry: IndexEntry, place: str) -> Chart:
        digest = entry.digest or self._digests.get(place) or ""
        data = await self._in_thread(self._store.archive, digest) if digest else None
        if data is None:
            data = await self._download(spec, index, name, entry)
            digest = await self._in_thread(_verified, data, name, entry)
            await self._in_thread(self._store.keep_archive, digest, data)
            self._digests.put(place, digest)
        loaded = await self._in_thread(Chart, data, digest)
        self._loaded.put(_ARCHIVE + digest, loaded)
        return loaded

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


def _refuse_other_name(chart: Chart, name: str, entry: IndexEntry) -> None:
    if chart.name != name:
        raise ChartError(
            f"the archive of chart {name} {entry.version} holds chart {chart.name!r}", chart=name, version=entry.version
        )
