"""Finds the charts of HelmCharts: the interface, and HelmCharts as a commit would have them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import ObjectKey
from gitsync.api.sources import HelmChart
from gitsync.errors import SourceNotReady
from gitsync.sources.charts.chart import ChartArtifact, WantedChart
from gitsync.sources.charts.charttree import ChartTrees
from gitsync.sources.resolve.commitsources import ALL_READ, CommitSources, Unread, not_ready, use_of
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.unsupported import check_supported

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer

#: Finds a chart that is asked for.
Locate = Callable[[WantedChart], Awaitable[ChartArtifact]]


class ChartLookup(Protocol):
    """Knows the HelmCharts: those of a cluster as they were last read, or as a commit would have them."""

    async def artifact_of(self, key: ObjectKey) -> ChartArtifact:
        """The chart of a HelmChart.

        Raises: SourceNotReady when there is no such HelmChart, or no chart was found by its present spec.
        """


class CommitHelmCharts:
    """The HelmCharts as a commit would have them: its own first, then the cluster's, if there is a cluster.

    Of a cluster that is served in one namespace only, that namespace's count.
    """

    def __init__(
        self,
        locate: Locate,
        desired: Mapping[ObjectKey, HelmChart],
        cluster: Cluster | None = None,
        watch: Informer | None = None,
        trees: ChartTrees | None = None,
        unread: Unread = ALL_READ,
    ) -> None:
        self._locate = locate
        self._trees = trees
        self._sources = CommitSources(HelmChart.parse, desired, cluster, watch, unread)

    async def artifact_of(self, key: ObjectKey) -> ChartArtifact:
        """See ChartLookup. Raises: SourceNotReady."""
        with use_of(key):
            chart = self._sources.get(key)
            check_supported(chart)
            wanted = WantedChart.of(chart)
            assert wanted is not None  # every HelmChart names its chart in place
            try:
                return await self._locate(wanted)
            except SourceNotReady as error:
                raise not_ready(key, error.message, error.hint) from error

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """The files of the chart that a HelmChart stands for. Raises: SourceNotReady."""
        assert self._trees is not None
        with use_of(key):
            return await self._trees.of(await self.artifact_of(key), key.namespace)

    def source_of(self, key: ObjectKey) -> ObjectKey | None:
        """Where the chart of a HelmChart is from; None when there is none. Raises: FieldErrors."""
        chart = self._sources.find(key)
        return chart.source if chart is not None else None
