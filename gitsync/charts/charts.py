"""Charts loaded from archives and trees, each once, and values rendered with them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from gitsync.charts import source
from gitsync.charts.cache import Cache
from gitsync.charts.chart import Chart
from gitsync.charts.defaults import with_values_files
from gitsync.charts.kustomize import Kustomizer
from gitsync.charts.model import Capabilities, ReleaseContext, Rendered
from gitsync.charts.render import Renderer
from gitsync.errors import RenderError
from gitsync.runtime.singleflight import SingleFlight

P = ParamSpec("P")
R = TypeVar("R")

#: Threads for the Helm SDK and for unpacking.
_THREADS = 3
#: Charts that stay loaded without being in use.
_LOADED_CHARTS = 48
#: Longest wait for a template, in seconds. Templates are programs, and may loop.
_RENDER_DEADLINE = 60.0
#: What a chart is known by: the digest of its archive or of its tree. An index may claim any digest, so the two are
#: kept apart.
_ARCHIVE = "archive:"
_TREE = "tree:"
_OTHER_VALUES = "values:"


class Charts:
    """Charts out of archives and Git trees, each loaded once, and their rendering.

    One instance for the whole process, used from one event loop; ``close`` it. ``kustomizer`` is there for what is to
    be changed after rendering.
    """

    def __init__(self) -> None:
        self.kustomizer = Kustomizer()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="helm")
        self._loaded: Cache[Chart] = Cache(_LOADED_CHARTS)
        self._loading: SingleFlight[Chart] = SingleFlight()
        self._renderer = Renderer()

    async def close(self) -> None:
        """Ends what is under way and frees everything. Charts handed out must not be used afterwards."""
        await self._loading.close()
        # Nobody can stop a template that never ends, so its thread is not waited for.
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._renderer.close()
        for chart in self._loaded.clear():
            chart.close()

    def loaded_archive(self, digest: str) -> Chart | None:
        """What ``from_archive`` made of the archive with this sha256 (hex), if it is still loaded."""
        return self._loaded.get(_ARCHIVE + digest)

    async def from_archive(self, data: bytes, digest: str) -> Chart:
        """A chart out of its archive (.tgz) with this sha256 (hex). Raises: ChartError."""
        loaded = await self._in_thread(Chart, data, digest)
        self._loaded.put(_ARCHIVE + digest, loaded)
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

    async def _in_thread(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(call, *args, **kwargs))
