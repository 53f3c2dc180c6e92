"""The sources of a cluster: watched, queued and reconciled; those that use them are told of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gitsync.api.duration import interval_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import (
    ARTIFACT_GENERATOR,
    BUCKET,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    REQUESTED_AT_ANNOTATION,
    SOURCE_GROUP,
)
from gitsync.api.sources import DEFAULT_INTERVAL
from gitsync.errors import Forbidden
from gitsync.runtime.schedule import Schedule
from gitsync.runtime.workqueue import WorkQueue
from gitsync.sources.charts.chart import ChartArtifact
from gitsync.sources.charts.charttree import ChartTrees
from gitsync.sources.generator.generating import Making
from gitsync.sources.generator.generators import ArtifactGenerators
from gitsync.sources.git import Verification
from gitsync.sources.helm import ChartRepositories, redacted
from gitsync.sources.kinds.buckets import Buckets
from gitsync.sources.kinds.gitrepository import GitRepositories
from gitsync.sources.kinds.helmcharts import HelmCharts, OfSource
from gitsync.sources.kinds.helmrepository import HelmRepositories
from gitsync.sources.kinds.ocirepository import OCIRepositories
from gitsync.sources.locator import ChartLocator
from gitsync.sources.resolve.artifacts import Artifacts, SyncedRepository
from gitsync.sources.resolve.repositories import url_in
from gitsync.sources.trees import Trees
from gitsync.sources.watch.secretwatch import SecretWatches

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent
    from gitsync.runtime.interrupt import Interrupt
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)

#: Seconds for what is under way to end when the agent stops: nothing is lost with a fetch that is cut short.
GRACE = 1.0

#: Seconds between two looks for mirrors that nobody has used for long.
SWEEP_INTERVAL = 24 * 3600.0
_SWEEP = "unused git mirrors"
#: Seconds that a new commit has to apply its changes of HelmCharts, before these are looked at for its new charts.
AFTER_COMMIT = 2.0

#: Reconciles a source that is new, has changed, is gone or is due. Returns seconds until another try, None for when it
#: is due.
Reconcile = Callable[[ObjectKey, "Interrupt"], Awaitable[float | None]]
#: Whether a release has to look again because of what changed.
Concerns = Callable[[HelmRelease], bool]


class SourceController:
    """Has each object of one kind of source reconciled, while ``serving``: when it changes, and at its interval."""

    def __init__(
        self,
        kind: str,
        watch: Informer,
        reconcile: Reconcile,
        schedule: Schedule,
        secrets: SecretWatches,
        default_interval: float = DEFAULT_INTERVAL,
    ) -> None:
        self.kind = kind
        self._default_interval = default_interval
        self._secrets = secrets
        self.watch = watch
        self._schedule = schedule
        self._queue: WorkQueue[ObjectKey] = WorkQueue(reconcile, kind.lower())
        self._seen: dict[ObjectKey, object] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Watch and reconcile."""
        async with self.watch:
            self.watch.subscribe(self._on_event)
            for key, manifest in self.watch.items():
                self._look(key, manifest)
            try:
                yield
            finally:
                await self._queue.stop(GRACE)
                for key in self._seen:
                    self._schedule.cancel(_job(key))

    def wake(self, key: ObjectKey, interrupt: str = "") -> None:
        """Have one reconciled soon; for the reason ``interrupt`` what is under way ends first."""
        self._queue.wake(key, interrupt)

    def wake_later(self, key: ObjectKey, delay: float) -> None:
        """Have one reconciled after ``delay`` seconds, or before, when there is another reason by then."""
        self._queue.wake_within(key, delay)

    def _on_event(self, event: WatchEvent) -> None:
        if event.type != "DELETED":
            self._look(event.key, event.manifest)
            return
        self._seen.pop(event.key, None)
        self._secrets.follow(event.key, None)
        self._schedule.cancel(_job(event.key))
        self._queue.wake(event.key, interrupt="it was deleted")

    def _look(self, key: ObjectKey, manifest: Manifest) -> None:
        """Our own status writes change the object too, and are no reason to look again."""
        metadata, spec = manifest["metadata"], manifest.get("spec") or {}
        state = metadata.get("generation"), (metadata.get("annotations") or {}).get(REQUESTED_AT_ANNOTATION)
        if self._seen.get(key) == state:
            return
        self._seen[key] = state
        self._secrets.follow(key, manifest)
        if spec.get("suspend"):
            self._schedule.cancel(_job(key))
        else:
            self._schedule.every(_job(key), interval_of(manifest, self._default_interval), self._queue.wake, key)
        self._queue.wake(key, interrupt="it was changed")


class Sources:
    """All sources: those that are objects of a cluster, or of the one namespace of it that is to be served, and the
    ``artifacts`` of synced repositories. Objects are kept current while ``serving``. ``fetched`` has what chart
    repositories hold."""

    def __init__(
        self,
        cluster: Cluster,
        fetched: ChartRepositories,
        artifacts: Artifacts,
        events: EventRecorder,
        schedule: Schedule,
    ) -> None:
        self.artifacts = artifacts
        self.fetched = fetched
        self._schedule = schedule
        self._sweeping: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[Concerns], None]] = []
        self._tree_listeners: list[Callable[[Callable[[ObjectKey], bool]], None]] = []
        #: Called with each ExternalArtifact that is still the same at a new revision of its sources.
        self.on_settled: Callable[[ObjectKey], None] = lambda _: None
        kinds = (HELM_REPOSITORY, OCI_REPOSITORY, BUCKET, GIT_REPOSITORY)
        helm, oci, bucket, git = (cluster.watch(SOURCE_GROUP, kind, namespace=cluster.namespace) for kind in kinds)
        charts = cluster.watch(SOURCE_GROUP, HELM_CHART, namespace=cluster.namespace)
        self._repositories = HelmRepositories(cluster, fetched, helm, events, self._on_repository_change)
        self._oci = OCIRepositories(cluster, fetched.artifacts, fetched.logins, oci, events, self._on_change)
        self._buckets = Buckets(cluster, fetched.buckets, bucket, events, self._on_change)
        self._git = GitRepositories(cluster, fetched.git, fetched.logins, artifacts, git, events, self._on_change)
        self._locator = ChartLocator(self._repositories, artifacts, fetched, self._oci, self._git, self._buckets)
        #: Finds the trees that Kustomizations are built from.
        self.trees = Trees(artifacts, self._git, self._oci, self._buckets)
        generators = cluster.watch(SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR, namespace=cluster.namespace)
        self._generators = self._generators_of(cluster, generators, events)
        of_source = OfSource(self._revision_of, self._place_of, self._is_coming)
        located, unpacked = self._locator.located, ChartTrees(fetched.unpacker, fetched.trees)
        self._charts = HelmCharts(cluster, charts, events, self._on_chart_change, located, of_source, unpacked)
        self.trees.have(self._generators, self._charts)
        self._locator.helm_charts, self._locator.made = self._charts, self._generators.awaited
        self._secrets = SecretWatches(cluster, self._on_secret_change)
        served: tuple[tuple[Informer, Reconcile], ...] = (
            (helm, self._repositories.reconcile),
            (oci, self._oci.reconcile),
            (bucket, self._buckets.reconcile),
            (git, self._git.reconcile),
        )
        self._controllers = [
            SourceController(kind, watch, reconcile, schedule, self._secrets)
            for kind, (watch, reconcile) in zip(kinds, served, strict=True)
        ]
        self._git.wake = self._controllers[-1].wake
        self._packaging = SourceController(HELM_CHART, charts, self._charts.reconcile, schedule, self._secrets)
        made = self._generators.reconcile
        self._making = SourceController(ARTIFACT_GENERATOR, generators, made, schedule, self._secrets)
        self._generators.wake = self._making.wake
        artifacts.served = cluster.namespace
        artifacts.subscribe(self._on_artifact_change)

    def _generators_of(self, cluster: Cluster, watch: Informer, events: EventRecorder) -> ArtifactGenerators:
        return ArtifactGenerators(
            cluster,
            watch,
            events,
            self._on_change,
            lambda key: self.on_settled(key),
            Making(self.trees.input_of, self.fetched.unpacker, self.fetched.trees),
            self.trees.revision_of,
            self.trees.is_coming,
            is_shared=lambda: self.artifacts.is_shared,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[dict[tuple[str, str], Informer]]:
        """Watch and reconcile. Yields the watches, by group and kind, for whoever can use them too."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._secrets.serving())
            self._schedule.every(_SWEEP, SWEEP_INTERVAL, self._sweep)
            stack.callback(self._schedule.cancel, _SWEEP)
            if await self._may_read_charts(stack):
                self._controllers.append(self._packaging)
            controllers = (*self._controllers, self._making)
            for controller in controllers:  # only now, since a change of one source is passed on to all kinds
                await stack.enter_async_context(controller.watch)
            for controller in controllers:
                await stack.enter_async_context(controller.serving())
            watches = {(SOURCE_GROUP, controller.kind): controller.watch for controller in self._controllers}
            yield {**watches, (SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR): self._making.watch}

    async def _may_read_charts(self, stack: AsyncExitStack) -> bool:
        """Whether HelmCharts may be read: the rights of an older installation do not include them."""
        try:
            await stack.enter_async_context(self._packaging.watch)
        except Forbidden as error:
            log.warning("HelmCharts are not served", why=error.message, hint=error.hint)
            self._charts.unread = error
            return False
        return True

    @property
    def helm_charts(self) -> Informer | None:
        """The watch of HelmCharts, while ``serving``; None where they may not be read."""
        return self._packaging.watch if self._charts.unread is None else None

    async def demanded(self) -> Verification | None:
        """See GitRepositories.demanded."""
        return await self._git.demanded()

    def subscribe(self, listener: Callable[[Concerns], None]) -> None:
        """Have ``listener`` called whenever a source has changed, with a function that says whether a release uses that
        source."""
        self._listeners.append(listener)

    def subscribe_to_trees(self, listener: Callable[[Callable[[ObjectKey], bool]], None]) -> None:
        """Have ``listener`` called whenever sources have a new tree, with a function that says whether a source has."""
        self._tree_listeners.append(listener)

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """See ChartSource."""
        return await self._locator.locate(release)

    def _sweep(self) -> None:
        """Remove mirrors on disk that no GitRepository uses; once a day, when all have been looked at."""
        self._sweeping = asyncio.get_running_loop().create_task(self.fetched.git.mirrors.sweep(), name=_SWEEP)

    def _on_secret_change(self, source: ObjectKey, why: str) -> None:
        for controller in self._controllers:
            if controller.kind == source.kind:
                controller.wake(source, interrupt=why)

    def _on_repository_change(self, repository: ObjectKey) -> None:
        """A HelmRepository has a new index: there may be a new version for charts, or dependencies, from it."""
        url = self._repositories.url_of(repository)
        self._tell(lambda release: self._locator.needs(release.key, release.source, repository, url))
        self._wake_charts(lambda chart, source: self._locator.needs(chart, source, repository, url))

    def _on_change(self, repository: ObjectKey) -> None:
        """A source has a new artifact, or none any more: tell the releases and Kustomizations that use it."""
        self._tell(lambda release: release.source == repository)
        self._wake_charts(lambda _, source: source == repository)
        self._tell_of_trees(lambda source: source == repository)

    def _on_chart_change(self, chart: ObjectKey) -> None:
        """A HelmChart has a new chart, or none any more."""
        self._tell(lambda release: release.source == chart)
        self._tell_of_trees(lambda source: source == chart)

    def _on_artifact_change(self, repository: SyncedRepository) -> None:
        """A new commit of a synced repository is being applied: releases that take a chart from it, and that are not
        changed by it themselves, may have a new chart."""
        self._git.carried_out(repository)
        self._tell(lambda release: self.artifacts.wakes(repository, release))
        # Later: the commit may change the HelmChart, too, once that is applied.
        self._wake_charts(lambda _, source: self.artifacts.find(source) is repository, AFTER_COMMIT)
        self._tell_of_trees(lambda source: self.artifacts.find(source) is repository)

    def _wake_charts(self, concerns: Callable[[ObjectKey, ObjectKey], bool], delay: float = 0.0) -> None:
        for chart in list(self._charts.using(concerns)):
            if delay:
                self._packaging.wake_later(chart, delay)
            else:
                self._packaging.wake(chart)

    def _revision_of(self, source: ObjectKey) -> str:
        """The revision that the source of a HelmChart has now."""
        if source.kind != HELM_REPOSITORY:
            return self.trees.revision_of(source)
        return self._repositories.revision_of(source)

    def _place_of(self, source: ObjectKey) -> str:
        """The URL of a HelmChart's source, without credentials."""
        live = next((it.watch.get(source) for it in self._controllers if it.kind == source.kind), None)
        url = redacted(url_in(live)) if live is not None else ""
        return url or f"{source.kind.lower()}/{source.namespaced_name}"

    def _is_coming(self, source: ObjectKey) -> bool:
        """Whether the source of a HelmChart has yet to be read."""
        if source.kind != HELM_REPOSITORY:
            return self.trees.is_coming(source)
        return self._repositories.is_coming(source)

    def _tell_of_trees(self, concerns: Callable[[ObjectKey], bool]) -> None:
        for generator in list(self._generators.using(concerns)):
            self._making.wake(generator)
        for listener in self._tree_listeners:
            listener(concerns)

    def _tell(self, concerns: Concerns) -> None:
        for listener in self._listeners:
            listener(concerns)


def _job(key: ObjectKey) -> str:
    """The name of a source's interval in the schedule."""
    return f"source {key}"
