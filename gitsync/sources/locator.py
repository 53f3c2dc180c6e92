"""The one place that finds a release's chart, for the agent, ``plan``, ``diff``, ``verify`` and ``validate`` alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import (
    BUCKET,
    EXTERNAL_ARTIFACT,
    GIT_REPOSITORY,
    OCI_REPOSITORY,
    sync_of,
)
from gitsync.api.parts.chart import ChartChoice
from gitsync.charts import Chart
from gitsync.errors import ChartError, NoSuchSource, NotVerified
from gitsync.sources.charts.chart import ChartArtifact, WantedChart
from gitsync.sources.charts.commitcharts import ChartLookup, CommitHelmCharts
from gitsync.sources.charts.helmchart import TreeCharts
from gitsync.sources.charts.valuesfiles import with_values_files
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from gitsync.sources.helm.http import chart_errors
from gitsync.sources.oci import ArtifactSpec, CosignVerification, OciArtifact
from gitsync.sources.resolve.artifacts import Artifact, Artifacts
from gitsync.sources.resolve.bucketartifact import BucketLookup, CommitBuckets
from gitsync.sources.resolve.commitsources import missing
from gitsync.sources.resolve.gitartifact import CommitGitRepositories, GitLookup
from gitsync.sources.resolve.ociartifact import ArtifactLookup, CommitOCIRepositories
from gitsync.sources.resolve.repositories import RepositoryLookup
from gitsync.sources.resolve.treeartifact import TreeArtifact


class ChartLocator:
    """See ChartSource. ``repositories``, ``oci_repositories``, ``git_repositories``, ``buckets``, ``helm_charts``
    and ``artifacts`` know the sources, ``fetched`` fetches and keeps what these have."""

    def __init__(
        self,
        repositories: RepositoryLookup,
        artifacts: Artifacts,
        fetched: ChartRepositories,
        oci_repositories: ArtifactLookup | None = None,
        git_repositories: GitLookup | None = None,
        buckets: BucketLookup | None = None,
    ) -> None:
        self._repositories = repositories
        self.git_repositories: GitLookup = git_repositories or CommitGitRepositories(
            fetched.git, fetched.logins, {}, artifacts
        )
        self._oci_repositories = oci_repositories or CommitOCIRepositories(fetched.artifacts, fetched.logins, {})
        self.buckets: BucketLookup = buckets or CommitBuckets(fetched.buckets, {})
        #: HelmCharts find their charts through this locator, so they are set after it was made.
        self.helm_charts: ChartLookup = CommitHelmCharts(self.located, {})
        #: ExternalArtifacts, which are made of other sources; set afterwards, too.
        self.made: Callable[[ObjectKey], Awaitable[TreeArtifact]] = _nothing_is_made
        self._artifacts = artifacts
        self._fetched = fetched
        self._trees = TreeCharts(repositories, fetched)

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """See ChartSource."""
        source, wanted = release.source, WantedChart.of(release)
        if wanted is not None:
            return await self.located(wanted)
        if source.kind == OCI_REPOSITORY:
            return await locate_artifact(self._fetched, *await self._oci_repositories.artifact_of(source))
        if source.kind == EXTERNAL_ARTIFACT:
            return await self._trees.whole(release.key, source, await self.made(source))
        return await self.helm_charts.artifact_of(source)

    async def located(self, wanted: WantedChart) -> ChartArtifact:
        """The chart that a HelmRelease names in place, or a HelmChart. Raises: as ``locate``."""
        source, choice = wanted.source, wanted.choice
        if source.kind == GIT_REPOSITORY:
            return await self._trees.locate(wanted, await self._tree_of(wanted))
        if source.kind == BUCKET:
            return await self._trees.locate(wanted, await self.buckets.artifact_of(source))
        spec = await self._repositories.spec_of(source)
        try:
            signed = await self._repositories.verification_of(source, choice.verify)
        except NotVerified as error:
            raise ChartError(error.message, chart=choice.chart, hint=error.hint) from error
        return await locate_in(self._fetched, spec, choice, signed)

    def is_synced(self, source: ObjectKey) -> bool:
        """Whether a source is a GitRepository that names the synced repository."""
        return source.kind == GIT_REPOSITORY and self._artifacts.meant_by(source) is not None

    async def _tree_of(self, wanted: WantedChart) -> Artifact:
        """The tree of the synced repository, or of another GitRepository that exists."""
        source, release = wanted.source, wanted.release
        sync = sync_of(release.metadata.labels) if release is not None else ""
        if self._artifacts.declared(source) is not None and self._artifacts.find(source, sync) is None:
            return await self.git_repositories.artifact_of(source)
        try:
            artifact = self._artifacts.carried_out(source) if release is None else self._artifacts.artifact_of(release)
        except NoSuchSource:
            return await self.git_repositories.artifact_of(source)  # which knows of those that cannot be read
        return await self.git_repositories.filtered(source, artifact)

    def needs(self, asking: ObjectKey, source: ObjectKey, repository: ObjectKey, url: str) -> bool:
        """Whether a HelmRepository, which has this URL, is the ``source`` of who asks for a chart, or of what that one
        depends on."""
        return source == repository or self._trees.needs(asking, url)


async def _nothing_is_made(source: ObjectKey) -> TreeArtifact:
    raise missing(source, "")


async def locate_artifact(repositories: ChartRepositories, spec: ArtifactSpec, artifact: OciArtifact) -> ChartArtifact:
    """The chart that an artifact of a registry is.

    Raises: ChartError, ChartRepositoryUnavailable when its layer has to be fetched again.
    """
    with chart_errors():
        name, version = await repositories.artifacts.describe(spec, artifact)
    return ChartArtifact(name, version, artifact.content, partial(_load, repositories, spec, artifact))


async def _load(repositories: ChartRepositories, spec: ArtifactSpec, artifact: OciArtifact) -> Chart:
    with chart_errors():
        return await repositories.artifacts.chart(spec, artifact)


async def locate_in(
    repositories: ChartRepositories,
    spec: RepositorySpec,
    wanted: ChartChoice,
    signed: CosignVerification | None = None,
) -> ChartArtifact:
    """A chart of a repository, by its index as it was last read; ``signed`` is the verification that it must pass.

    Raises: ChartNotFound, ChartError, ChartRepositoryUnavailable.
    """
    chart = wanted.chart
    entry = await repositories.resolve(spec, chart, wanted.version, signed)
    digest = f"sha256:{entry.digest}" if entry.digest else f"{spec.url}#{chart}@{entry.version}"
    load = partial(repositories.fetch, spec, chart, entry.version, signed)
    artifact = ChartArtifact(chart, entry.version, digest, load)
    return with_values_files(repositories.charts, artifact, wanted, spec.owner)
