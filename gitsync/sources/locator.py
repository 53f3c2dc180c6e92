"""The one place that finds a release's chart, for the agent, ``plan``, ``diff``, ``verify`` and ``validate`` alike."""

from __future__ import annotations

from functools import partial

from gitsync.api.chart import ChartSpec
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY, HELM_REPOSITORY
from gitsync.errors import SourceNotReady
from gitsync.sources.artifacts import Artifacts
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from gitsync.sources.helmchart import TreeCharts
from gitsync.sources.repositories import RepositoryLookup
from gitsync.sources.valuesfiles import with_values_files


class ChartLocator:
    """See ChartSource. ``repositories`` and ``artifacts`` say what the sources are, ``fetched`` has what they hold."""

    def __init__(self, repositories: RepositoryLookup, artifacts: Artifacts, fetched: ChartRepositories) -> None:
        self._repositories = repositories
        self._artifacts = artifacts
        self._fetched = fetched
        self._trees = TreeCharts(repositories, fetched)

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """See ChartSource."""
        source = release.source
        if release.spec.chart is not None and source.kind == GIT_REPOSITORY:
            return await self._trees.locate(release, self._artifacts.artifact_of(release))
        if release.spec.chart is not None and source.kind == HELM_REPOSITORY:
            spec = await self._repositories.spec_of(source)
            return await locate_in(self._fetched, spec, release.spec.chart.spec)
        raise SourceNotReady(
            f"charts from a {source.kind} are not supported yet", hint="use a HelmRepository, or the synced repository"
        )

    def needs(self, release: HelmRelease, repository: ObjectKey, url: str) -> bool:
        """Whether a HelmRepository, which has this URL, is the source of a release or of what its chart depends on."""
        return release.source == repository or self._trees.needs(release.key, url)


async def locate_in(repositories: ChartRepositories, spec: RepositorySpec, wanted: ChartSpec) -> ChartArtifact:
    """A chart of a repository, in its index as it was last read.

    Raises: ChartNotFound, ChartError, ChartRepositoryUnavailable.
    """
    chart = wanted.chart
    entry = await repositories.resolve(spec, chart, wanted.version)
    digest = f"sha256:{entry.digest}" if entry.digest else f"{spec.url}#{chart}@{entry.version}"
    artifact = ChartArtifact(chart, entry.version, digest, partial(repositories.fetch, spec, chart, entry.version))
    return with_values_files(repositories.charts, artifact, wanted)
