"""The parts that ``gitsync plan``, ``gitsync diff`` and ``gitsync log`` need, put together for one look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.agent.agent import access_rules, connect, git_source
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.apply.live import LiveReader
from gitsync.cel.expressions import Expressions
from gitsync.cluster import Cluster
from gitsync.errors import SettingsError
from gitsync.git import Mirror
from gitsync.manifests import Desired, ManifestReader
from gitsync.preview.difference import CommitRenderer, Contents, Scope, difference
from gitsync.preview.plan import Preview, Previewer
from gitsync.release.clusters import TargetClusters
from gitsync.release.controller import SiteBuilder, renderer
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.values.references import References
from gitsync.sandbox.catalog import Catalog
from gitsync.sources.artifacts import Artifact, Artifacts
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.locator import ChartLocator
from gitsync.sources.repositories import CommitHelmRepositories
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
        desired = await stack.enter_async_context(open_commit(settings))
        releases = await stack.enter_async_context(cluster.watch(HELM_GROUP, HELM_RELEASE, namespace=cluster.namespace))
        repositories = await stack.enter_async_context(
            cluster.watch(SOURCE_GROUP, HELM_REPOSITORY, namespace=cluster.namespace)
        )
        expressions = await stack.enter_async_context(Expressions())
        holder = f"gitsync/{settings.name}"
        references = References(cluster, _nobody)
        stack.push_async_callback(references.close)
        build = SiteBuilder(charts, expressions, holder, settings.concurrency, _nobody)
        clusters = await stack.enter_async_context(TargetClusters(cluster, build, references, access_rules(settings)))
        index = ReleaseIndex(cluster.namespace)
        for key, manifest in releases.items():
            index.update(key, manifest)
        watches = {(HELM_GROUP, HELM_RELEASE): releases, (SOURCE_GROUP, HELM_REPOSITORY): repositories}
        url = git_source(settings).url
        owner = Owner(settings.name, url, settings.path)
        artifacts = Artifacts()
        synced = artifacts.add(settings.name, url)
        synced.carry_out(Artifact.of(desired), ())
        syncer = Syncer(
            cluster,
            index,
            owner,
            SyncStore(cluster, settings.namespace, settings.name),
            LiveReader(cluster, watches),
            synced,
            SyncOptions(settings.prune, settings.allow_mass_prune, settings.default_namespace),
        )
        found = CommitHelmRepositories(sources, desired.helm_repositories, cluster, repositories)
        locator = ChartLocator(found, artifacts, sources)
        records, render = clusters.own.records, clusters.own.actions.render
        previewer = Previewer(cluster, index, records, syncer, owner, locator.locate, render, expressions, clusters)
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
    async with open_commit(settings) as desired:
        artifacts = Artifacts.of_commit(settings.name, git_source(settings).url, Artifact.of(desired))
        locator = ChartLocator(CommitHelmRepositories(sources, desired.helm_repositories), artifacts, sources)
        made = CommitRenderer(locator.locate, renderer(None, sources.charts), scope, settings.default_namespace)
        return await made.contents(desired), desired


@asynccontextmanager
async def open_commit(settings: Settings) -> AsyncIterator[Desired]:
    """What the commit that the settings name wants; its tree can be read while entered.

    Raises: GitRefused, GitUnavailable.
    """
    mirror = Mirror(git_source(settings), settings.state_dir / "git", lambda: git_source(settings).access)
    try:
        source = CommitSource(mirror, ManifestReader(settings.default_namespace), settings.name, settings.path)
        yield await source.read(await mirror.fetch(await mirror.head()))
    finally:
        await mirror.close()


def _nobody(*_: object) -> None:
    """Takes the place of a listener: a preview looks once, and changes while it does so concern nobody."""


async def journal(settings: Settings) -> tuple[JournalEntry, ...]:
    """What past commits did, newest first. Raises: InventoryError, ApiError, ClusterUnavailable."""
    async with _connected(settings) as cluster:
        return await SyncStore(cluster, settings.namespace, settings.name).journal()


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Cluster]:
    async with await connect(settings) as cluster:
        yield cluster
