"""The parts that ``gitsync plan``, ``gitsync diff`` and ``gitsync log`` need, put together for one look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.agent.agent import access_rules, connect, git_source
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY, HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.api.sources import HelmRepository
from gitsync.apply.live import LiveReader
from gitsync.cel.expressions import Expressions
from gitsync.charts import Charts
from gitsync.cluster import Cluster, Informer
from gitsync.errors import SettingsError, SourceNotReady
from gitsync.git import Mirror
from gitsync.manifests import Desired, ManifestReader
from gitsync.preview.difference import CommitRenderer, Contents, Scope, difference
from gitsync.preview.plan import Preview, Previewer
from gitsync.release.clusters import AgentIdentity, TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.render import Renderer
from gitsync.release.values.references import References
from gitsync.sandbox.catalog import Catalog
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.gitrepository import GitCharts
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from gitsync.sources.helmrepository import locate_in, missing, repository_spec
from gitsync.sync.apply import Syncer, SyncOptions
from gitsync.sync.build import CommitSource
from gitsync.sync.history import JournalEntry
from gitsync.sync.owner import Owner
from gitsync.sync.store import SyncStore

if TYPE_CHECKING:
    from gitsync.settings import Settings


async def preview(settings: Settings) -> Preview:
    """What the head of the repository would do to the cluster. Changes nothing.

    Raises: SettingsError, GitRefused, GitUnavailable, ApiError, ClusterUnavailable.
    """
    if not settings.repo:
        raise SettingsError("there is no repository to plan from", setting="repo", hint="add --repo URL")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(_connected(settings))
        sources = ChartRepositories(settings.state_dir / "charts")
        stack.push_async_callback(sources.close)
        charts = sources.charts
        git_charts, desired = await stack.enter_async_context(open_commit(settings, charts))
        releases = await stack.enter_async_context(cluster.watch(HELM_GROUP, HELM_RELEASE, namespace=cluster.namespace))
        repositories = await stack.enter_async_context(
            cluster.watch(SOURCE_GROUP, HELM_REPOSITORY, namespace=cluster.namespace)
        )
        expressions = await stack.enter_async_context(Expressions())
        holder = f"gitsync/{settings.name}"
        references = References(cluster, _nobody)
        stack.push_async_callback(references.close)
        identity = AgentIdentity(holder, settings.concurrency)
        made = TargetClusters(cluster, identity, references, access_rules(settings))
        clusters = await stack.enter_async_context(made)
        index = ReleaseIndex(cluster.namespace)
        for key, manifest in releases.items():
            index.update(key, manifest)
        watches = {(HELM_GROUP, HELM_RELEASE): releases, (SOURCE_GROUP, HELM_REPOSITORY): repositories}
        owner = Owner(settings.name, git_source(settings).url, settings.path)
        syncer = Syncer(
            cluster,
            index,
            owner,
            SyncStore(cluster, settings.namespace, settings.name),
            LiveReader(cluster, watches),
            SyncOptions(settings.prune, settings.allow_mass_prune, settings.default_namespace),
        )
        finder = _ChartFinder(cluster, sources, git_charts, desired, repositories)
        renderer = Renderer(charts)
        previewer = Previewer(cluster, index, syncer, owner, finder.locate, renderer, expressions, clusters)
        return await previewer.preview(desired)


async def commit_difference(settings: Settings, old: str, new: str) -> Preview:
    """What differs between two commits, by their ids, once releases are rendered. Asks no cluster.

    Raises: GitRefused, GitUnavailable.
    """
    sources = ChartRepositories(settings.state_dir / "charts")
    catalog = await asyncio.to_thread(Catalog)
    scopes = {(kind.group, kind.kind): kind.namespaced for kind in catalog.kinds()}

    def scope(group: str, kind: str) -> bool | None:
        return scopes.get((group, kind))

    try:
        before, _ = await _contents(settings.model_copy(update={"commit": old}), sources, scope)
        after, desired = await _contents(settings.model_copy(update={"commit": new}), sources, scope)
        return difference(before, after, desired)
    finally:
        await sources.close()


async def _contents(settings: Settings, sources: ChartRepositories, scope: Scope) -> tuple[Contents, Desired]:
    async with open_commit(settings, sources.charts) as (git_charts, desired):
        finder = _ChartFinder(None, sources, git_charts, desired)
        made = CommitRenderer(finder.locate, Renderer(sources.charts), scope, settings.default_namespace)
        return await made.contents(desired), desired


@asynccontextmanager
async def open_commit(settings: Settings, charts: Charts) -> AsyncIterator[tuple[GitCharts, Desired]]:
    """What the commit that the settings name wants, and the charts in it. Raises: GitRefused, GitUnavailable."""
    mirror = Mirror(git_source(settings), settings.state_dir / "git", lambda: git_source(settings).access)
    try:
        git_charts = GitCharts(mirror, charts, settings.name)
        source = CommitSource(mirror, ManifestReader(settings.default_namespace), git_charts, settings.path)
        yield git_charts, await source.read(await mirror.fetch(await mirror.head()))
    finally:
        await mirror.close()


def _nobody(*_: object) -> None:
    """Who is told of changes during the one look."""


async def journal(settings: Settings) -> tuple[JournalEntry, ...]:
    """What past commits did, newest first. Raises: InventoryError, ApiError, ClusterUnavailable."""
    async with _connected(settings) as cluster:
        return await SyncStore(cluster, settings.namespace, settings.name).journal()


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Cluster]:
    async with await connect(settings) as cluster:
        yield cluster


class _ChartFinder:
    """Finds charts as a commit would have them: its own HelmRepositories first, then the cluster's, if there is one."""

    def __init__(
        self,
        cluster: Cluster | None,
        sources: ChartRepositories,
        git_charts: GitCharts,
        desired: Desired,
        repositories: Informer | None = None,
    ) -> None:
        self._cluster = cluster
        self._sources = sources
        self._git_charts = git_charts
        self._desired = desired
        self._repositories = repositories

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """See ChartSource."""
        if release.source.kind == GIT_REPOSITORY:
            return await self._git_charts.locate(release)
        if release.spec.chart is None or release.source.kind != HELM_REPOSITORY:
            raise SourceNotReady(f"charts from a {release.source.kind} are not supported yet")
        spec = await self._spec(self._repository(release.source))
        await self._sources.refresh(spec)
        return await locate_in(self._sources, spec, release.spec.chart.spec)

    async def _spec(self, repository: HelmRepository) -> RepositorySpec:
        if self._cluster is not None:
            return await repository_spec(self._cluster, repository)
        if repository.spec.secret_ref or repository.spec.cert_secret_ref:
            raise SourceNotReady(f"HelmRepository '{repository.key.namespace}/{repository.key.name}' needs a Secret")
        return RepositorySpec(url=repository.spec.url, timeout=repository.spec.timeout)

    def _repository(self, key: ObjectKey) -> HelmRepository:
        served = self._cluster.namespace if self._cluster is not None else ""
        repository = self._desired.helm_repositories.get(key) if served in ("", key.namespace) else None
        live = self._repositories.get(key) if self._repositories is not None else None
        if repository is None and live is None:
            raise missing(key, served)
        if repository is None and live is not None:
            repository = HelmRepository.parse(live)
        assert repository is not None
        return repository
