"""HelmReleases of the cluster, whoever applied them: watched, queued, reconciled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.api.duration import interval_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    HELM_GROUP,
    HELM_RELEASE,
    REQUESTED_AT_ANNOTATION,
)
from gitsync.cel.expressions import Expressions
from gitsync.graph import HeldByCycle
from gitsync.release.access import PLAIN, AccessRules
from gitsync.release.clusters import AgentIdentity, TargetCluster, TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.order import otherwise_held
from gitsync.release.dependencies.states import is_current
from gitsync.release.desired import desired_release
from gitsync.release.drift.correct import Drift
from gitsync.release.impliedcharts import ImpliedCharts
from gitsync.release.reconcile.reconciler import Reconciler
from gitsync.release.render import Renderer
from gitsync.release.revision import ReleaseRef
from gitsync.release.storage.record import Digests
from gitsync.release.values.references import References
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.revisionobjects import RevisionObjects, coming_action, revision_objects
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.runtime.workqueue import WorkQueue
from gitsync.sources.controller import Concerns, Sources

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent

#: Seconds in which changes of the dependency graph are gathered before releases in or behind cycles are woken.
GATHER = 0.05
#: Seconds in which a commit that changed the values of a release is given time to change the release itself.
AFTER_COMMIT = 2.0
#: Seconds between two looks at a release whose interval cannot be read.
DEFAULT_INTERVAL = 300.0


class Releases:
    """Serves every HelmRelease of a cluster, or of the one namespace that is to be served, while entered."""

    def __init__(
        self,
        cluster: Cluster,
        sources: Sources,
        events: EventRecorder,
        schedule: Schedule,
        *,
        holder: str,
        concurrency: int,
        rules: AccessRules = PLAIN,
        expressions: Expressions | None = None,
    ) -> None:
        self.index = ReleaseIndex(cluster.namespace)
        self._cluster = cluster
        self._sources = sources
        self._schedule = schedule
        self._expressions = expressions.of("") if expressions is not None else Expressions()
        self._references = References(cluster, self._on_values_change, sources.fetched.charts.workers)
        self._renderer = Renderer(sources.fetched.charts, cluster.input)
        #: The objects that releases and syncs want.
        self.claims = ObjectClaims()
        self.wanted = WantedObjects(self.index, self.claims, self._objects_of, self._find, self._wake)
        self._objects: dict[ObjectKey, tuple[tuple[Digests, ReleaseRef, str], RevisionObjects]] = {}
        self._drift = Drift(self._wake)
        identity = AgentIdentity(holder, concurrency)
        self._clusters = TargetClusters(cluster, identity, self._references, rules, self._drift.forget)
        self._implied = ImpliedCharts(cluster, self.index, rules)
        self._clusters.on_foreign_change(self._on_record_change)
        self._reconciler = Reconciler(
            cluster,
            self.index,
            self._clusters,
            charts=sources,
            references=self._references,
            events=events,
            expressions=self._expressions,
            renderer=self._renderer,
            drift=self._drift,
            wanted=self.wanted,
            wake=self._wake,
            implied=self._implied,
        )
        self.queue: WorkQueue[ObjectKey] = WorkQueue(self._reconciler.reconcile, "release")
        self._held: Mapping[ObjectKey, HeldByCycle[ObjectKey]] = {}
        self._gathering: asyncio.TimerHandle | None = None
        sources.subscribe(self._on_source_change)
        self.index.subscribe(self._on_release_change)
        self.index.on_other_change.append(self._on_other_change)
        self.index.on_moved.append(self._gather_graph_changes)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[dict[tuple[str, str], Informer]]:
        """Watch and reconcile. Yields the watches, by group and kind, for other parts that can use them."""
        async with (
            self._cluster.watch(HELM_GROUP, HELM_RELEASE, namespace=self._cluster.namespace) as releases,
            self._clusters,
            self._implied.serving(self._sources.helm_charts),
        ):
            releases.subscribe(self._on_release_event)
            await self._cluster.served()  # read once, before many releases ask for it at the same time
            for key, manifest in releases.items():
                self.index.update(key, manifest)
                self.index.set_news(key)  # anything may have changed while no agent was running
            try:
                yield {(HELM_GROUP, HELM_RELEASE): releases}
            finally:
                if self._gathering is not None:
                    self._gathering.cancel()
                await self.queue.stop(grace=5.0)
                await self._drift.close()
                await self._references.close()
                await self._expressions.close()

    async def _find(self, release: ObjectKey, key: ObjectKey) -> Manifest | None:
        """An object in the cluster of a release."""
        return await self._clusters.at(release).cluster.find(key)

    async def _objects_of(self, release: HelmRelease) -> RevisionObjects:
        """The objects of the revision that a release asks for, with those of its hooks. Raises: what keeps it from
        being rendered."""
        values = await self._references.values(release)
        chart = await self._sources.locate(release)
        desired = await asyncio.to_thread(desired_release, release, chart, values)
        target = self._clusters.at(release.key)
        known = self._objects.get(release.key)
        asked = (desired.digests, desired.ref, coming_action(target, desired))
        if known is not None and known[0] == asked:
            return known[1]
        keys = await revision_objects(self._renderer, target, release, desired)
        self._objects[release.key] = (asked, keys)
        return keys

    def _wake(self, key: ObjectKey) -> None:
        self.queue.wake(key)

    def _on_values_change(self, key: ObjectKey, why: str) -> None:
        self.index.set_news(key)
        if self.index.expects(key):  # the commit that changed the values changes the release too: one upgrade for both
            self.queue.wake_later(key, AFTER_COMMIT)
        else:
            self.queue.wake(key, interrupt=why)

    def _on_release_event(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self.index.forget(event.key)
        else:
            self.index.update(event.key, event.manifest)

    def _on_release_change(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        if before is None or after is None or _depends_on(before) != _depends_on(after):
            self._gather_graph_changes()
        if before is None or after is None or is_current(before) != is_current(after):
            self._reconciler.changed(key)
        self._reconciler.touched(key)
        if after is None:
            self._objects.pop(key, None)
            self._schedule.cancel(f"release {key}")
            self.queue.wake(key)
            self._implied.look(key)
            return
        if before is None or before["metadata"].get("generation") != after["metadata"].get("generation"):
            self._implied.look(key)
        if before is None or asks_for_more(before, after):
            self.queue.wake(key, interrupt=_why(before, after))
            self._schedule.every(f"release {key}", interval_of(after, DEFAULT_INTERVAL), self.queue.wake, key)

    def _on_other_change(self, key: ObjectKey) -> None:
        """A Kustomization may stand otherwise than before, or have other dependencies."""
        self._reconciler.changed(key)
        self._reconciler.touched(key)
        self._gather_graph_changes()

    def _gather_graph_changes(self) -> None:
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._graph_changed)

    def _graph_changed(self) -> None:
        """A cycle may have been closed or broken: wake the releases that are held otherwise than before."""
        self._gathering = None
        held = {key: found for key, found in self.index.held.items() if is_release(key)}
        for key in otherwise_held(self._held, held):
            self.queue.wake(key)
        self._held = held

    def _on_source_change(self, concerns: Concerns) -> None:
        for found in self.index.releases():
            if concerns(found):
                self.index.set_news(found.key)
                self.queue.wake(found.key)

    def _on_record_change(self, target: TargetCluster, namespace: str, release: str) -> None:
        """Somebody else has written a record (by the helm CLI, say): wake its HelmRelease."""
        for found in self.index.releases():
            named = (found.storage_namespace, found.release_name) == (namespace, release)
            if named and self._clusters.at(found.key) is target:
                self.queue.wake(found.key)


def asks_for_more(before: Manifest, after: Manifest) -> bool:
    """Whether a change of a HelmRelease asks for a pass; a change of its status alone does not."""
    old, new = before["metadata"], after["metadata"]
    # Being deleted counts once: else each status write of a failing uninstall would have it tried again at once.
    if any(old.get(name) != new.get(name) for name in ("generation", "deletionTimestamp")):
        return True
    old_notes, new_notes = old.get("annotations") or {}, new.get("annotations") or {}
    return any(old_notes.get(name) != new_notes.get(name) for name in (COMMIT_ANNOTATION, REQUESTED_AT_ANNOTATION))


def _why(before: Manifest | None, after: Manifest) -> str:
    """Why work under way for an older state should end, "" when it may go on."""
    if before is None:
        return ""
    old, new = before["metadata"], after["metadata"]
    if "deletionTimestamp" in new:
        return "it is being deleted"
    old_commit = (old.get("annotations") or {}).get(COMMIT_ANNOTATION)
    new_commit = (new.get("annotations") or {}).get(COMMIT_ANNOTATION, "")
    if new_commit and old_commit != new_commit:
        return f"commit {new_commit[:7]} changes it"
    return "its spec was changed" if old.get("generation") != new.get("generation") else ""


def _depends_on(manifest: Manifest) -> object:
    return (manifest.get("spec") or {}).get("dependsOn")
