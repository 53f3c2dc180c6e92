"""Charts loaded from archives and trees, each once, and values rendered with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gitsync.charts.chart import Chart, Packed
from gitsync.charts.renderings import Rendering, Renderings
from gitsync.charts.workers import Workers
from gitsync.helm.rendered import Capabilities, ReleaseContext, Rendered
from gitsync.helm.values import values_yaml
from gitsync.kustomize import Kustomizer
from gitsync.runtime.cache import Cache
from gitsync.runtime.singleflight import SingleFlight
from gitsync.spool import Body, Spool

#: Charts that are kept without being in use: this many, and bytes of their archives.
_KEPT_CHARTS = 48
_KEPT_BYTES = 48 << 20
#: What a chart is known by: the digest of its archive or of its tree. An index may claim any digest, so the two are
#: kept apart.
_ARCHIVE = "archive:"
_TREE = "tree:"
_OTHER_VALUES = "values:"
_BUILD = "build:"


class Charts:
    """Charts out of archives and Git trees, each loaded once, and their rendering, in worker processes.

    One instance for the whole process, used from one event loop; ``close`` it. ``kustomizer`` is there for what is to
    be changed after rendering and for all else that is built, ``workers`` for what else is read of charts. What these
    are to read waits in ``spool``.
    """

    def __init__(self, spool: Spool | None = None) -> None:
        self.workers = Workers(spool)
        self.kustomizer = Kustomizer(places=self.workers.places)
        self._loaded: Cache[Chart] = Cache(_KEPT_BYTES)
        self._loading: SingleFlight[Chart] = SingleFlight()
        self._renderings = Renderings(self.workers.places.remembered)

    async def close(self) -> None:
        """Ends what is under way and forgets everything."""
        await self._loading.close()
        await self.workers.close()
        self._renderings.clear()
        self._loaded.clear()

    def loaded_archive(self, digest: str) -> Chart | None:
        """What ``from_archive`` made of the archive with this sha256 (hex), if it is still loaded."""
        return self._loaded.get(_ARCHIVE + digest)

    async def from_archive(self, archive: Body, owner: str = "") -> Chart:
        """A chart out of its archive (.tgz); ``owner`` is on whose behalf, here and below. Raises: ChartError."""
        return await self._load(_ARCHIVE, archive, archive.sha256, "the chart's archive", owner)

    def loaded_build(self, digest: str) -> Chart | None:
        """What ``from_build`` made for this digest, if it is still loaded."""
        return self._loaded.get(_BUILD + digest)

    async def from_build(self, archive: Body, digest: str, build: str, owner: str = "") -> Chart:
        """A chart out of its archive (.tgz), its version with this build metadata: the version ``1.2.0`` is
        ``1.2.0+build``. ``digest`` is what it is known by. Raises: ChartError.
        """
        return await self._load(_BUILD, archive, digest, "the chart's archive", owner, build=build)

    async def from_tree(
        self, pack: Callable[[], Awaitable[Body]], digest: str, owner: str = "", build: str = ""
    ) -> Chart:
        """A chart out of a tree that ``digest`` identifies, which ``pack`` makes an archive of; its version with this
        build metadata, "" for its own.

        Raises: ChartError; what ``pack`` raises.
        """
        loaded = self.cached(digest)
        if loaded is not None:
            return loaded

        async def load() -> Chart:
            return await self._load(_TREE, await pack(), digest, "the chart's folder", owner, build=build)

        return await self._loading.run(_TREE + digest, load)

    def cached(self, digest: str) -> Chart | None:
        """What ``from_tree`` made of this tree, if it is still loaded."""
        return self._loaded.get(_TREE + digest)

    async def with_values_files(
        self,
        chart: Chart,
        paths: Sequence[str],
        digest: str,
        *,
        ignore_missing: bool = False,
        files: Mapping[str, Body] | None = None,
        owner: str = "",
    ) -> Chart:
        """The chart with the files at ``paths``, later ones winning, in place of its values.yaml.

        ``digest`` is what the result is known by; ``files`` are the files by path where they are not the chart's own.
        Raises: ValuesError for a file that is missing (unless ``ignore_missing``) or holds no mapping; ChartError.
        """
        loaded = self._loaded.get(_OTHER_VALUES + digest)
        if loaded is None:
            values = await self.workers.read_values_files(chart, paths, ignore_missing, files, owner)
            loaded = await self.with_values(chart, values, digest, owner)
        return loaded

    async def with_values(self, chart: Chart, values: Mapping[str, Any], digest: str, owner: str = "") -> Chart:
        """The chart with these default values and no others of its own, known as ``digest``. Raises: ChartError."""
        text = await asyncio.to_thread(values_yaml, values)
        packed, name = chart.packed, f"chart {chart.name}"
        return await self._load(_OTHER_VALUES, packed.archive, digest, name, owner, text, packed.build)

    async def over_defaults(
        self, values: Mapping[str, Any], defaults: Mapping[str, Any], owner: str = ""
    ) -> dict[str, Any]:
        """``values`` over a chart's default values, as Helm coalesces them for rendering (CoalesceValues): what a null
        is set for is gone. Raises: ValuesError, ChartError.
        """
        both = await asyncio.to_thread(lambda: [json.dumps(item).encode() for item in (values, defaults)])
        return await self.workers.over_defaults(both[0], both[1], owner)

    async def render(
        self,
        chart: Chart,
        values: Mapping[str, Any],
        context: ReleaseContext,
        *,
        capabilities: Capabilities | None = None,
        access: Mapping[str, Any] | None = None,
        validate: bool = True,
        owner: str | None = None,
    ) -> Rendered:
        """What Helm would install. Costs no API request, but two for each call of ``lookup`` in the chart.

        ``capabilities`` is what the cluster offers; without them the SDK's defaults hold, as for ``helm template``.
        ``access`` (arguments of helm_python.Config) lets ``lookup`` see the cluster; without it, it finds nothing.
        ``validate=False`` skips values.schema.json. ``owner`` is on whose behalf it is done (None: the release's
        namespace). The result is shared: never change it.
        Raises: ValuesError, RenderError (also for what takes too much time or memory), ChartError (the chart is not for
        this version of Kubernetes), ClusterUnavailable, WorkerLost.
        """
        rendering = Rendering(chart, values, context, capabilities, access, validate)
        known = self._renderings.known(rendering)
        if known is not None:
            return known
        return self._renderings.result(
            rendering, await self.workers.render(rendering, context.namespace if owner is None else owner)
        )

    async def _load(
        self,
        kind: str,
        archive: Body,
        digest: str,
        name: str,
        owner: str,
        values: bytes | None = None,
        build: str = "",
    ) -> Chart:
        packed = await asyncio.to_thread(Packed.of, archive, values, build)
        chart = await self.workers.describe(packed, name, digest, owner)
        self._loaded.put(kind + digest, chart, max(packed.size, _KEPT_BYTES // _KEPT_CHARTS))
        return chart
