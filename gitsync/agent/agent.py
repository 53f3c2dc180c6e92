"""The agent's life: connect, serve releases, sync the repository, stop gracefully."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

import gitsync
from gitsync import logs
from gitsync.agent.config import ConfigFile
from gitsync.agent.crds import ensure_crds
from gitsync.agent.flux_detection import warn_about_flux
from gitsync.agent.parts import (
    claim_inventory,
    connect,
    make_releases,
    make_syncer,
    open_chart_repositories,
    open_commits,
)
from gitsync.errors import GitsyncError, SettingsError
from gitsync.git import redacted_url
from gitsync.release.controller import Releases
from gitsync.runtime.schedule import Schedule
from gitsync.settings import Settings
from gitsync.sources.artifacts import Artifacts
from gitsync.sync.outcome import Hopeless, Outcomes
from gitsync.sync.reconciler import SyncReconciler
from gitsync.web import Probes

log = structlog.get_logger(__name__)

#: Seconds for the sync under way to end when the agent is told to stop. It can be cut short anywhere, and mostly waits
#: for releases, which have a grace of their own.
SYNC_GRACE = 1.0


async def run(settings: Settings, config: ConfigFile | None = None) -> int:
    """Run the agent until it is told to stop, or once; anew when ``config`` changes. Returns the exit code. The port of
    probes stays the one that it began with.

    Raises: SettingsError, GitRefused, ApiError and ClusterUnavailable at the start; nothing of the kind later on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    probes = Probes()
    try:
        async with probes.serving(settings.probe_port):
            return await _run(settings, config, stop, probes)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _run(settings: Settings, config: ConfigFile | None, stop: asyncio.Event, probes: Probes) -> int:
    working: Settings | None = None
    while True:
        try:
            async with AsyncExitStack() as stack:
                agent = await Agent.start(settings, stack)
                working = settings
                probes.unready = ""
                stack.callback(setattr, probes, "unready", "stopping, or starting with other settings")
                if settings.once:
                    return await agent.once(stop)
                changed = await agent.serve(stop, config.changed(settings) if config else None)
        except GitsyncError as error:
            if working is None or working == settings:
                raise
            log.error("the new configuration does not work, going back to the one before", error=error)
            settings = working
            continue
        if changed is None:
            return 0
        settings = changed
        logs.configure(settings.log_format, settings.log_level)


class Agent:
    """All parts, started."""

    def __init__(self, schedule: Schedule, releases: Releases, repository: SyncReconciler | None) -> None:
        self._schedule = schedule
        self._releases = releases
        self._repository = repository

    @classmethod
    async def start(cls, settings: Settings, stack: AsyncExitStack, hopeless: Hopeless | None = None) -> Agent:
        """Connect and begin to serve; ``stack`` ends it all in order. ``hopeless`` ends a sync's wait for releases."""
        if settings.once and not settings.repo:
            raise SettingsError("--once needs a repository to sync", setting="repo", hint="add --repo URL")
        cluster = await connect(settings)
        stack.push_async_callback(cluster.close)
        repositories = await stack.enter_async_context(open_chart_repositories(settings))
        commits = None
        if settings.repo:
            commits = await stack.enter_async_context(open_commits(settings))
        await ensure_crds(cluster)
        await warn_about_flux(cluster)
        schedule = Schedule()
        schedule.start()
        stack.callback(schedule.stop)
        artifacts = Artifacts()
        releases = make_releases(settings, cluster, repositories, artifacts, schedule)
        synced = artifacts.add(settings.name, commits.mirror.source.url) if commits is not None else None
        if synced is not None:
            await claim_inventory(settings, cluster, releases.claims)
        watches = await stack.enter_async_context(releases.serving())
        repository = None
        if commits is not None and synced is not None:
            syncer = make_syncer(settings, cluster, releases.wanted, synced, watches, hopeless)
            repository = SyncReconciler(commits, syncer, synced, settings.interval)
            stack.push_async_callback(repository.stop, SYNC_GRACE)
        source = commits.mirror.source if commits is not None else None
        log.info(
            "gitsync started",
            version=gitsync.__version__,
            **({"repository": redacted_url(source.url), "ref": source.wanted} if source else {}),
            **({"path": settings.path} if settings.path else {}),
            **({"namespace": settings.watch_namespace} if settings.watch_namespace else {}),
            releases=len(releases.index),
        )
        return cls(schedule, releases, repository)

    async def serve(
        self, stop: asyncio.Event, reconfigured: Coroutine[None, None, Settings] | None = None
    ) -> Settings | None:
        """Work until ``stop`` (returns None), or until other settings are to be worked with (returns those)."""
        stopped = asyncio.create_task(stop.wait(), name="stop")
        tasks: list[asyncio.Task[Any]] = [stopped]
        changed = asyncio.create_task(reconfigured, name="configuration") if reconfigured else None
        if changed is not None:
            tasks.append(changed)
        if self._repository is not None:
            tasks.append(asyncio.create_task(self._repository.run(self._schedule), name="repository"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        if changed in done and not stop.is_set() and changed is not None:
            return changed.result()
        log.info("gitsync stopping")
        return None

    @property
    def error(self) -> GitsyncError | None:
        """What the repository, or the last sync of it, has ended with; None when that went well."""
        return self._repository.error if self._repository is not None else None

    async def once(self, stop: asyncio.Event) -> int:
        """Sync the head once and wait until everything in it has settled."""
        assert self._repository is not None
        await self._repository.poll()
        done = asyncio.create_task(self._repository.first_done.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({done, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (done, stopped):
            task.cancel()
        if stop.is_set():
            return 130
        result = self._repository.result
        if self._repository.error is not None or result is None or result.result != "succeeded":
            return 1
        outcomes = Outcomes(self._releases.index)
        ours = await self._repository.releases()
        unready = [key for key in ours if outcomes.of(key).phase not in ("ready", "suspended")]
        for key in unready:
            log.error("not ready", release=key, why=outcomes.of(key).message)
        return 1 if unready or result.waiting else 0
