"""Previews as commands ask for them: the parts that each needs, opened for one look and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.agent.parts import (
    connect,
    git_source,
    known_wishes,
    make_syncer,
    open_chart_repositories,
    open_commits,
    open_targets,
    sync_store,
)
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.cel.expressions import Expressions
from gitsync.errors import SettingsError
from gitsync.manifests import Desired
from gitsync.preview.difference import CommitRenderer, Contents, Scope, difference
from gitsync.preview.plan import Preview, Previewer
from gitsync.preview.releases import Problem
from gitsync.preview.unserved import in_the_way
from gitsync.release.render import Renderer
from gitsync.sandbox.catalog import Catalog
from gitsync.sources.artifacts import Artifact, Artifacts
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.locator import ChartLocator
from gitsync.sources.repositories import CommitHelmRepositories
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
        desired = await stack.enter_async_context(open_commit(settings))
        releases = await stack.enter_async_context(cluster.watch(HELM_GROUP, HELM_RELEASE, namespace=cluster.namespace))
        repositories = await stack.enter_async_context(
            cluster.watch(SOURCE_GROUP, HELM_REPOSITORY, namespace=cluster.namespace)
        )
        expressions = await stack.enter_async_context(Expressions())
        wanted = known_wishes(cluster)
        for key, manifest in releases.items():
            wanted.index.update(key, manifest)
        targets = await stack.enter_async_context(open_targets(settings, cluster))
        watches = {(HELM_GROUP, HELM_RELEASE): releases, (SOURCE_GROUP, HELM_REPOSITORY): repositories}
        artifacts = Artifacts()
        synced = artifacts.add(settings.name, git_source(settings).url)
        synced.carry_out(Artifact.of(desired), ())
        syncer = make_syncer(settings, cluster, wanted, synced, watches)
        found = CommitHelmRepositories(sources, desired.helm_repositories, cluster, repositories)
        locator = ChartLocator(found, artifacts, sources)
        renderer = Renderer(sources.charts)
        previewer = Previewer(
            cluster, wanted.index, syncer, syncer.owner, locator.locate, renderer, expressions, targets
        )
        result = await previewer.preview(desired)
    also = [Problem(str(item.origin), item.message, item.hint) for item in in_the_way(desired)]
    return replace(result, problems=(*result.problems, *also))


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
    async with open_commit(settings) as desired:
        artifacts = Artifacts.of_commit(settings.name, git_source(settings).url, Artifact.of(desired))
        locator = ChartLocator(CommitHelmRepositories(sources, desired.helm_repositories), artifacts, sources)
        made = CommitRenderer(locator.locate, Renderer(sources.charts), scope, settings.default_namespace)
        return await made.contents(desired), desired


@asynccontextmanager
async def open_commit(settings: Settings) -> AsyncIterator[Desired]:
    """What the commit that the settings name wants; its tree can be read while entered.

    Raises: GitRefused, GitUnavailable.
    """
    async with open_commits(settings) as commits:
        yield await commits.read(await commits.mirror.fetch(await commits.mirror.head()))


async def journal(settings: Settings) -> tuple[JournalEntry, ...]:
    """What past commits did, newest first. Raises: InventoryError, ApiError, ClusterUnavailable."""
    async with await connect(settings) as cluster:
        return await sync_store(settings, cluster).journal()
