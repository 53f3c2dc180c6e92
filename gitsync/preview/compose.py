"""Previews as commands ask for them: the parts that each needs, opened for one look and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.agent.parts import (
    connect,
    make_syncer,
    open_chart_repositories,
    open_commits,
    open_targets,
    sync_store,
)
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY, HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.api.sources import HelmRepository
from gitsync.cel.expressions import Expressions
from gitsync.charts import Charts
from gitsync.cluster import Cluster, Informer
from gitsync.errors import SettingsError, SourceNotReady
from gitsync.manifests import Desired
from gitsync.preview.difference import CommitRenderer, Contents, Scope, difference
from gitsync.preview.plan import Preview, Previewer
from gitsync.release.controller import renderer
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sandbox.catalog import Catalog
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.gitrepository import GitCharts
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from gitsync.sources.helmrepository import locate_in, missing, repository_spec
from gitsync.sync.history import JournalEntry

if TYPE_CHECKING:
    from gitsync.settings import Settings


async def preview(settings: Settings) -> Preview:
    """What the head of the repository would do to the cluster. Changes nothing.

    Raises: SettingsError, GitRefused, GitUnavailable, ApiError, ClusterUnavailable.
    """
    if not settings.repo:
        raise SettingsError("there is no repository to plan from", setting="repo", hint="add --repo URL")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(await connect(settings))
        sources = await stack.enter_async_context(open_chart_repositories(settings))
        git_charts, desired = await stack.enter_async_context(open_commit(settings, sources.charts))
        releases = await stack.enter_async_context(cluster.watch(HELM_GROUP, HELM_RELEASE, namespace=cluster.namespace))
        repositories = await stack.enter_async_context(
            cluster.watch(SOURCE_GROUP, HELM_REPOSITORY, namespace=cluster.namespace)
        )
        expressions = await stack.enter_async_context(Expressions())
        targets = await stack.enter_async_context(open_targets(settings, cluster, sources.charts, expressions))
        index = ReleaseIndex(cluster.namespace)
        for key, manifest in releases.items():
            index.update(key, manifest)
        watches = {(HELM_GROUP, HELM_RELEASE): releases, (SOURCE_GROUP, HELM_REPOSITORY): repositories}
        syncer = make_syncer(settings, cluster, index, watches)
        finder = _ChartFinder(cluster, sources, git_charts, desired, repositories)
        records, render = targets.own.records, targets.own.actions.render
        previewer = Previewer(
            cluster, index, records, syncer, syncer.owner, finder.locate, render, expressions, targets
        )
        return await previewer.preview(desired)


async def commit_difference(settings: Settings, old: str, new: str) -> Preview:
    """What differs between two commits, by their ids, once releases are rendered. Asks no cluster.

    Raises: GitRefused, GitUnavailable.
    """
    catalog = await asyncio.to_thread(Catalog)
    scopes = {(kind.group, kind.kind): kind.namespaced for kind in catalog.kinds()}

    def scope(group: str, kind: str) -> bool | None:
        return scopes.get((group, kind))

    async with open_chart_repositories(settings) as sources:
        before, _ = await _contents(settings.model_copy(update={"commit": old}), sources, scope)
        after, desired = await _contents(settings.model_copy(update={"commit": new}), sources, scope)
        return difference(before, after, desired)


async def _contents(settings: Settings, sources: ChartRepositories, scope: Scope) -> tuple[Contents, Desired]:
    async with open_commit(settings, sources.charts) as (git_charts, desired):
        finder = _ChartFinder(None, sources, git_charts, desired)
        made = CommitRenderer(finder.locate, renderer(None, sources.charts), scope, settings.default_namespace)
        return await made.contents(desired), desired


@asynccontextmanager
async def open_commit(settings: Settings, charts: Charts) -> AsyncIterator[tuple[GitCharts, Desired]]:
    """What the commit that the settings name wants, and the charts in it. Raises: GitRefused, GitUnavailable."""
    async with open_commits(settings, charts) as commits:
        yield commits.charts, await commits.read(await commits.mirror.fetch(await commits.mirror.head()))


async def journal(settings: Settings) -> tuple[JournalEntry, ...]:
    """What past commits did, newest first. Raises: InventoryError, ApiError, ClusterUnavailable."""
    async with await connect(settings) as cluster:
        return await sync_store(settings, cluster).journal()


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
