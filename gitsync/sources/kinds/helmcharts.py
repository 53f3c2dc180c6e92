"""HelmCharts of a cluster: the chart of each found and kept current, its status written.

A HelmChart that was made for a HelmRelease says how that one's chart is, and nothing more: the release finds its chart
by itself, and says in the log what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cachetools import LRUCache

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.impliedchart import implied_by
from gitsync.api.names import (
    CHART_BUILD_FAILED,
    CHART_PACKAGE_ERROR,
    CHART_PACKAGED,
    CHART_PULL_ERROR,
    CHART_PULLED,
    FETCH_FAILED,
    HELM_REPOSITORY,
    INVALID_CHART_REFERENCE,
    NOT_SUPPORTED,
    READY,
    SOURCE_GROUP,
    SOURCE_UNAVAILABLE,
    TRUE,
    VALUES_FILES_ERROR,
    VERIFICATION_ERROR,
)
from gitsync.api.sources import HelmChart
from gitsync.api.status import Artifact, HelmChartStatus
from gitsync.errors import (
    ArtifactPending,
    ChartError,
    ChartNotFound,
    FieldNotSupported,
    GitsyncError,
    NotVerified,
    RetryableError,
    SourceNotReady,
    ValuesError,
)
from gitsync.semver import compatible
from gitsync.sources.charts.chart import ChartArtifact, WantedChart
from gitsync.sources.charts.charttree import ChartTrees
from gitsync.sources.charts.commitcharts import Locate
from gitsync.sources.kinds.artifactsource import ArtifactSources
from gitsync.sources.kinds.reconciler import Outcome, Words
from gitsync.sources.resolve.commitsources import not_ready, use_of
from gitsync.sources.resolve.treeartifact import TreeArtifact

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder

_MOST_BUILT = 4096


@dataclass(frozen=True, slots=True)
class FoundChart:
    """A chart, and the revision of its source that it was last found in."""

    artifact: ChartArtifact
    revision: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class OfSource:
    """What HelmCharts want to know of their sources: the ``revision`` that one has, "" for none; the ``place`` that
    it is read from, a URL without credentials; and whether it ``is_coming``: it exists, and was not read yet."""

    revision: Callable[[ObjectKey], str]
    place: Callable[[ObjectKey], str]
    is_coming: Callable[[ObjectKey], bool]


class HelmCharts(ArtifactSources[HelmChart, WantedChart, FoundChart]):
    """See ArtifactSources. A look for news asks no server: it reads what the charts' sources had last."""

    status = HelmChartStatus
    words = Words("chart cannot be had", "chart can be had again", "chart found")
    unreachable = CHART_PULL_ERROR

    def __init__(
        self,
        cluster: Cluster,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
        locate: Locate,
        sources: OfSource,
        trees: ChartTrees,
    ) -> None:
        #: The HelmCharts whose chart something has used. Most are there for people and tools to look at.
        self._used: set[ObjectKey] = set()
        super().__init__(cluster, watch, events, lambda key: on_change(key) if key in self._used else None)
        self._locate = locate
        self._sources = sources
        self._trees = trees
        #: Digests of charts that Helm could load.
        self._built: LRUCache[str, bool] = LRUCache(_MOST_BUILT)
        #: Why HelmCharts cannot be read; None when they can.
        self.unread: GitsyncError | None = None

    async def artifact_of(self, key: ObjectKey) -> ChartArtifact:
        """See ChartLookup. No server is asked. Raises: SourceNotReady, ArtifactPending."""
        if self.unread is not None:
            raise not_ready(key, self.unread.message, self.unread.hint)
        self._used.add(key)
        return self.found(key)[1].artifact

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """See TreesOfKind. Raises: also ArtifactError, NoRoom."""
        wanted, chart = self.found(key)
        self._used.add(key)
        with use_of(key):
            return await self._trees.of(chart.artifact, key.namespace, self._sources.place(wanted.source))

    def revision_of(self, key: ObjectKey) -> str:
        """See TreesOfKind: the chart's version."""
        self._used.add(key)
        return self.found(key)[1].artifact.version

    def using(self, concerns: Callable[[ObjectKey, ObjectKey], bool]) -> Iterator[ObjectKey]:
        """The HelmCharts that a change of ``key`` concerns: that one itself, or those whose source it is."""
        for key, manifest in self._watch.items() if self.unread is None else ():
            reference = (manifest.get("spec") or {}).get("sourceRef") or {}
            kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
            if concerns(key, ObjectKey(SOURCE_GROUP, kind, key.namespace, name)):
                yield key

    def _parse(self, manifest: Manifest) -> HelmChart:
        return HelmChart.parse(manifest)

    def _plain(self, source: HelmChart) -> WantedChart:
        return WantedChart(source.key, source.source, source.spec.choice)

    async def _opened(self, source: HelmChart, plain: WantedChart) -> WantedChart:
        return plain

    def _without_secrets(self, spec: WantedChart) -> WantedChart:
        return spec

    async def _known(self, key: ObjectKey, source: HelmChart, spec: WantedChart) -> FoundChart | None:
        """The chart that its status names, if that is what is wanted and can still be fetched."""
        old, choice = source.status, spec.choice
        if old.artifact is None or old.observed_values_files != choice.all_values_files():
            return None
        if spec.source.kind == HELM_REPOSITORY:  # that very version, though a newer one may be there
            if choice.chart != old.observed_chart_name or not compatible(choice.version, old.artifact.revision):
                return None
            spec = replace(spec, choice=spec.choice.model_copy(update={"version": old.artifact.revision}))
        try:
            found = await self._locate(spec)
        except GitsyncError:
            return None
        if f"sha256:{found.content}" != old.artifact.digest:
            return None
        if any(it.type == READY and it.status == TRUE for it in old.conditions):
            self._built[found.digest] = True
        return FoundChart(found, old.observed_source_artifact_revision)

    async def _asked(self, key: ObjectKey, source: HelmChart, spec: WantedChart) -> FoundChart:
        if self._sources.is_coming(spec.source):
            raise ArtifactPending(f"{spec.source} is yet to be read")
        found = await self._locate(spec)
        if found.digest not in self._built:
            await found.load()
            self._built[found.digest] = True
        return FoundChart(found, self._sources.revision(spec.source))

    def _outcome(
        self, key: ObjectKey, source: HelmChart, found: tuple[WantedChart, FoundChart], changed: bool
    ) -> Outcome:
        wanted, chart = found[0], found[1].artifact
        files = list(chart.values_files)
        is_pulled = wanted.source.kind == HELM_REPOSITORY and not files
        merged = f" and merged values files [{' '.join(files)}]" if files else ""
        version = chart.version
        said = Artifact(
            path=f"helmchart/{key.namespaced_name}/{chart.name}-{version}.tgz",
            url=self._sources.place(wanted.source),
            revision=version,
            digest=f"sha256:{chart.content}",
        )
        return Outcome(
            f"{'pulled' if is_pulled else 'packaged'} '{chart.name}' chart with version '{version}'{merged}",
            said,
            {"chart": chart.name, "version": version, "source": str(wanted.source)},
            changed,
            True,
            {
                "observed_chart_name": chart.name,
                "observed_values_files": tuple(files),
                "observed_source_artifact_revision": _observed(source, said, found[1].revision),
            },
            f"verified signature of version {version}" if wanted.choice.verify is not None else "",
            CHART_PULLED if is_pulled else CHART_PACKAGED,
        )

    def _announce(self, key: ObjectKey, manifest: Manifest, outcome: Outcome) -> None:
        if implied_by(manifest) is None:
            super()._announce(key, manifest, outcome)

    def _tell_of(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        if implied_by(manifest) is None:
            super()._tell_of(key, manifest, reason, error)

    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        manifest = self._watch.get(key) or {}
        kind = ((manifest.get("spec") or {}).get("sourceRef") or {}).get("kind")
        match error:
            case FieldNotSupported():
                return NOT_SUPPORTED
            case SourceNotReady():
                return SOURCE_UNAVAILABLE
            case ChartError() if isinstance(error.__cause__, NotVerified):
                return VERIFICATION_ERROR
            case ChartNotFound():
                return INVALID_CHART_REFERENCE
            case ValuesError():
                return VALUES_FILES_ERROR
            case ChartError() if kind != HELM_REPOSITORY:
                return CHART_PACKAGE_ERROR
        return CHART_PULL_ERROR

    def _condition(self, error: GitsyncError) -> str:
        is_built = isinstance(error, ChartError) and not isinstance(error, ChartNotFound)
        return CHART_BUILD_FAILED if is_built else FETCH_FAILED

    def _passes(self, error: GitsyncError) -> bool:
        """True of what passes by itself. Other errors of a chart or its source are mended in the source, and its
        change has the HelmChart reconciled."""
        return isinstance(error, RetryableError)

    def _dropped(self, key: ObjectKey, found: tuple[WantedChart, FoundChart] | None) -> None:
        """There is nothing to forget."""


def _observed(source: HelmChart, artifact: Artifact, revision: str) -> str:
    """The revision of the source at which the chart became what it is. Later revisions with the same chart are not
    written to the status."""
    old = source.status
    same = old.artifact is not None and (old.artifact.revision, old.artifact.digest) == (
        artifact.revision,
        artifact.digest,
    )
    is_current = same and old.observed_generation == source.metadata.generation
    return old.observed_source_artifact_revision if is_current and old.observed_source_artifact_revision else revision
