"""The agent's life: connect, serve releases, sync the repository, stop gracefully."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from itertools import chain
from typing import Any

import structlog

import gitsync
from gitsync import logs
from gitsync.agent.allocator import GarbageSearch, give_back, read_less_at_once, take_turns_sooner
from gitsync.agent.config import ConfigFile
from gitsync.agent.flux_detection import warn_about_flux
from gitsync.agent.onlooker import telling_onlookers
from gitsync.agent.ownkinds import ensure_crds
from gitsync.agent.parts import (
    access_rules,
    connect,
    default_keys,
    make_builder,
    make_releases,
    open_chart_repositories,
    open_commits,
    open_events,
    page_for_readers,
    sync_store,
)
from gitsync.agent.remaking import have_made_again
from gitsync.agent.rootsync import RootSync
from gitsync.agent.stopping import told_to_stop
from gitsync.agent.webhooks import serving_webhooks
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.apply.live import LiveReader
from gitsync.cel.expressions import Expressions
from gitsync.cluster import Cluster, Informer
from gitsync.defects import outlive, telling_of_loop
from gitsync.errors import GitsyncError, SettingsError
from gitsync.git import GitSource, redacted_url
from gitsync.release.controller import Releases
from gitsync.runtime.places import Places
from gitsync.runtime.schedule import Schedule
from gitsync.runtime.together import until_one_ends
from gitsync.settings import Settings
from gitsync.sources.controller import Sources
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifacts
from gitsync.sync.build import CommitSource
from gitsync.sync.factory import SyncerFactory
from gitsync.sync.kustomization.controller import Kustomizations
from gitsync.sync.kustomization.root import NO_ROOT
from gitsync.sync.kustomization.storage.journal import KustomizationJournal
from gitsync.sync.outcome import Hopeless, Outcome
from gitsync.sync.reconciler import SyncReconciler
from gitsync.sync.reporting.underway import UnderWay
from gitsync.sync.spec import SETTLE_TIMEOUT
from gitsync.web.metrics import Metrics
from gitsync.web.probes import Probes
from gitsync.web.receivers.gatekeeper import listening
from gitsync.web.receivers.handlers import Webhooks

log = structlog.get_logger(__name__)

#: By group and kind.
Watches = Mapping[tuple[str, str], Informer]

#: What ``run`` serves whatever the configuration says later on.
_PORTS = ("probe_port", "metrics_port", "webhook_port")
#: Seconds for the sync under way to end when the agent is told to stop. Short, since a sync can be cut short anywhere,
#: and mostly waits for releases, which have a grace period of their own.
SYNC_GRACE = 1.0


async def run(settings: Settings, config: ConfigFile | None = None, leave_after: float | None = None) -> int:
    """Run the agent until it is told to stop, or once (``--once``). When ``config`` changes, it starts again with the
    new settings, but keeps the ports of probes, metrics and webhooks. ``leave_after``: see ``told_to_stop``.
    Returns the exit code.

    Raises: SettingsError, GitRefused, ApiError and ClusterUnavailable at the start; nothing of the kind later on.
    """
    give_back()
    read_less_at_once()
    take_turns_sooner()
    stop, probes, metrics, webhooks = asyncio.Event(), Probes(), Metrics(), Webhooks()
    with telling_of_loop(), told_to_stop(stop, leave_after):
        async with (
            probes.serving(settings.probe_port),
            metrics.serving(settings.metrics_port),
            listening(webhooks, settings.webhook_port),
        ):
            return await _run(settings, config, stop, probes, metrics, webhooks)


async def _run(
    settings: Settings,
    config: ConfigFile | None,
    stop: asyncio.Event,
    probes: Probes,
    metrics: Metrics,
    webhooks: Webhooks,
) -> int:
    working: Settings | None = None
    begun = settings
    while True:
        try:
            async with AsyncExitStack() as stack:
                agent = await _started(settings, stack, stop)
                if agent is None:
                    return 130 if settings.once else 0
                await stack.enter_async_context(page_for_readers(settings, agent.cluster))
                await agent.answer(webhooks, stack)
                await stack.enter_async_context(GarbageSearch().in_parts())
                working = settings
                probes.unready = ""
                stack.callback(setattr, probes, "unready", "stopping, or starting with other settings")
                probes.stuck = agent.stuck
                metrics.objects = agent.objects
                stack.callback(setattr, metrics, "objects", tuple)
                if settings.once:
                    return await agent.once(stop)
                changed = await agent.serve(stop, partial(config.changed, settings) if config else None)
        except GitsyncError as error:
            if working is None or working == settings:
                raise
            log.error("the new configuration does not work, going back to the one before", error=error)
            settings = working
            continue
        if changed is None:
            return 0
        _say_kept(begun, changed)
        settings = changed
        logs.configure(settings.log_format, settings.log_level, verbose=settings.verbose)


async def _started(settings: Settings, stack: AsyncExitStack, stop: asyncio.Event) -> Agent | None:
    """The agent, or None when it was told to stop before it had begun."""
    try:
        async with asyncio.timeout(None) as patience:

            async def end() -> None:
                await stop.wait()
                patience.reschedule(0.0)

            ending = asyncio.create_task(end(), name="stop before the start")
            try:
                return await Agent.start(settings, stack)
            finally:
                ending.cancel()
    except TimeoutError:
        if not stop.is_set():
            raise
        return None


class Agent:
    """All parts, started."""

    def __init__(
        self,
        cluster: Cluster,
        schedule: Schedule,
        releases: Releases,
        kustomizations: Kustomizations,
        repository: SyncReconciler | None,
        places: Places,
        watches: Watches,
        hooks: Callable[[Webhooks], AbstractAsyncContextManager[Watches]],
    ) -> None:
        self.cluster = cluster
        self._schedule = schedule
        self._releases = releases
        self._kustomizations = kustomizations
        self._repository = repository
        self._places = places
        self._watches = watches
        self._hooks = hooks

    @classmethod
    async def start(cls, settings: Settings, stack: AsyncExitStack, hopeless: Hopeless | None = None) -> Agent:
        """Connect and begin to serve; leaving ``stack`` ends all parts in order. ``hopeless``, given in a sandbox, says
        for which releases a sync need not wait any longer."""
        if settings.once and not settings.repo:
            raise SettingsError("--once needs a repository to sync", setting="repo", hint="add --repo URL")
        cluster = await connect(settings)
        stack.push_async_callback(cluster.close)
        repositories, commits = await _open_inputs(settings, cluster, stack)
        kustomizer, places = repositories.charts.kustomizer, repositories.charts.workers.places
        await ensure_crds(cluster)
        await warn_about_flux(cluster)
        schedule = Schedule()
        schedule.start()
        stack.callback(schedule.stop)
        artifacts = Artifacts(is_shared=settings.cross_namespace_refs)
        expressions = await stack.enter_async_context(Expressions())
        events = await stack.enter_async_context(
            open_events(settings, cluster, expressions, is_sandbox=hopeless is not None)
        )
        sources = Sources(cluster, repositories, artifacts, events, schedule)
        releases = make_releases(settings, cluster, sources, events, schedule, expressions)
        root = RootSync(settings, commits, artifacts, hopeless) if commits is not None else None
        watches = await stack.enter_async_context(sources.serving())
        under_way = UnderWay(sync_store(settings, cluster))
        await stack.enter_async_context(under_way.writing())
        live, rules = LiveReader(cluster, watches), access_rules(settings)
        factory = SyncerFactory(cluster, releases.wanted, live, rules, under_way=under_way)
        if root is not None:
            await root.begin(factory, sources, stack)
        kustomizations = Kustomizations(
            factory,
            sources.trees,
            commits.directories.builder if commits is not None else make_builder(settings, repositories, kustomizer),
            events,
            schedule,
            root.root if root is not None else NO_ROOT,
            default_keys=default_keys(settings),
            hopeless=hopeless,
            journal=KustomizationJournal(sync_store(settings, cluster)),
            expressions=expressions,
        )
        if root is not None:
            root.attend(kustomizations, events)
        await stack.enter_async_context(kustomizations.watching())
        sources.subscribe_to_trees(kustomizations.source_changed)
        sources.on_settled = kustomizations.source_settled
        watches |= await stack.enter_async_context(releases.serving())
        watches |= await stack.enter_async_context(kustomizations.serving())
        have_made_again(watches.values(), releases.wanted.claims)
        repository = root.reconciler if root is not None else None
        if repository is not None:
            stack.push_async_callback(repository.stop, SYNC_GRACE)
            cluster.on_return.append(repository.cluster_is_back)
        cluster.on_return.extend((releases.queue.wake_failed, kustomizations.queue.wake_failed))
        syncing, seen = partial(_syncing, repository, kustomizations), watches[KUSTOMIZE_GROUP, KUSTOMIZATION]
        await stack.enter_async_context(telling_onlookers(releases.index, seen, syncing))
        _say_started(settings, commits.mirror.source if commits is not None else None, len(releases.index))
        synced = root.repository if root is not None else None
        hooks = partial(serving_webhooks, settings, cluster, events, schedule, synced, expressions=expressions)
        return cls(cluster, schedule, releases, kustomizations, repository, places, watches, hooks)

    async def serve(
        self, stop: asyncio.Event, reconfigured: Callable[[], Coroutine[Any, Any, Settings]] | None = None
    ) -> Settings | None:
        """Work until ``stop`` (returns None), or until other settings are to be worked with (returns those)."""
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait(), name="stop")]
        changed = None
        if reconfigured is not None:
            changed = asyncio.create_task(outlive("configuration", reconfigured), name="configuration")
            ends.append(changed)
        if self._repository is not None:
            ends.append(asyncio.create_task(self._repository.run(self._schedule), name="repository"))
        await until_one_ends(*ends)
        if changed is not None and not changed.cancelled() and not stop.is_set():
            return changed.result()
        log.info("gitsync stopping")
        return None

    async def answer(self, webhooks: Webhooks, stack: AsyncExitStack) -> None:
        """Have deliveries to ``webhooks`` do what they ask for, until ``stack`` ends. Raises: SettingsError."""
        self._watches = {**self._watches, **await stack.enter_async_context(self._hooks(webhooks))}
        stack.push_async_callback(webhooks.close)
        await webhooks.open()

    def stuck(self) -> str:
        """Why charts and directories cannot be rendered and built any more; "" while they can."""
        return self._places.stuck

    def objects(self) -> Iterator[tuple[ObjectKey, Manifest]]:
        """The HelmReleases, Kustomizations and sources that are served, as they are now."""
        return chain.from_iterable(watch.items() for watch in self._watches.values())

    @property
    def error(self) -> GitsyncError | None:
        """The error of the last poll of the repository, or of the last sync; None when both went well."""
        return self._repository.error if self._repository is not None else None

    async def once(self, stop: asyncio.Event) -> int:
        """Sync the head once and wait until everything in it has settled."""
        assert self._repository is not None
        await self._repository.poll()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT):  # over an outage of the API server, too
                await until_one_ends(self._repository.first_done.wait(), stop.wait())
        if stop.is_set():
            return 130
        result = self._repository.result
        if not self._repository.first_done.is_set() or result is None or result.result in ("held", "superseded"):
            return 1
        settling = asyncio.ensure_future(self._kustomizations.settling.settle())
        await until_one_ends(settling, stop.wait())
        if stop.is_set():
            return 130
        outcomes = settling.result()
        unready = [key for key, outcome in outcomes.items() if outcome.phase not in ("ready", "suspended")]
        for key in unready:
            what = "kustomization" if is_kustomization(key) else "release"
            log.error("not ready", **{what: key.namespaced_name}, why=outcomes[key].message)
        return 1 if unready or result.waiting or result.result != "succeeded" else 0

    async def outcomes(self) -> dict[ObjectKey, Outcome]:
        """How the Kustomizations and HelmReleases of the repository stand."""
        return await self._kustomizations.settling.outcomes()


def _say_kept(begun: Settings, changed: Settings) -> None:
    """Warn of changed settings that take effect at the start of the process only."""
    if kept := [name for name in _PORTS if getattr(begun, name) != getattr(changed, name)]:
        log.warning(
            "settings take effect at the next start only",
            settings=", ".join(kept),
            hint="restart the agent: a running one keeps the ports that it began with",
        )


def _say_started(settings: Settings, source: GitSource | None, releases: int) -> None:
    log.info(
        "gitsync started",
        version=gitsync.__version__,
        **({"repository": redacted_url(source.url), "ref": source.wanted} if source else {}),
        **({"path": settings.path} if settings.path else {}),
        **({"namespace": settings.watch_namespace} if settings.watch_namespace else {}),
        releases=releases,
    )


async def _open_inputs(
    settings: Settings, cluster: Cluster, stack: AsyncExitStack
) -> tuple[ChartRepositories, CommitSource | None]:
    """Chart repositories, with worker processes started for them, and the commits of the repository; None without a
    repository. Both are closed with ``stack``."""
    repositories = await stack.enter_async_context(open_chart_repositories(settings, cluster.input))
    await repositories.charts.workers.warm()
    if not settings.repo:
        return repositories, None
    kustomizer = repositories.charts.kustomizer
    return repositories, await stack.enter_async_context(open_commits(settings, repositories, kustomizer))


def _syncing(repository: SyncReconciler | None, kustomizations: Kustomizations) -> str | None:
    """What is being synced at this moment, in words; None when nothing is."""
    if not kustomizations.queue.is_busy and not (repository is not None and repository.is_syncing):
        return None
    commit = repository.wanted if repository is not None else None
    return f"syncing {commit.short}" if commit is not None else "syncing"
