"""Kustomizations of the cluster, whoever applied them: watched, queued, reconciled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from gitsync.api.duration import interval_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.apply.claimant import Claimant
from gitsync.build import Builder
from gitsync.cel.expressions import Expressions
from gitsync.graph import HeldByCycle
from gitsync.release.controller import GATHER
from gitsync.release.dependencies.order import otherwise_held
from gitsync.release.dependencies.others import NoOthers
from gitsync.release.dependencies.states import is_current
from gitsync.release.wanted.claims import kustomization_of
from gitsync.release.wanted.comingsync import no_syncs
from gitsync.release.wanted.reach import AccountReach, Anywhere
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.runtime.workqueue import WorkQueue
from gitsync.sources.resolve.treeartifact import TreeSource
from gitsync.sync.factory import SyncerFactory
from gitsync.sync.kustomization.coming import ComingSyncs, Present, claimant_of
from gitsync.sync.kustomization.inputs.inputs import Inputs
from gitsync.sync.kustomization.present import PresentKustomizations
from gitsync.sync.kustomization.reconcile.conditions import StatusWriter
from gitsync.sync.kustomization.reconcile.patience import BETWEEN_WORDS
from gitsync.sync.kustomization.reconcile.reconciler import KustomizationReconciler
from gitsync.sync.kustomization.reconcile.surroundings import Surroundings
from gitsync.sync.kustomization.root import Root
from gitsync.sync.kustomization.seen import Seen, seen_of
from gitsync.sync.kustomization.settling import RootSettling
from gitsync.sync.kustomization.storage.journal import KustomizationJournal
from gitsync.sync.kustomization.storage.statusstore import claim_present
from gitsync.sync.kustomization.syncers import Syncers
from gitsync.sync.kustomization.waiting.dependencies import BOOTSTRAP, why_not_ready
from gitsync.sync.kustomization.waiting.judging import Judging
from gitsync.sync.kustomization.waiting.order import KustomizationOrder
from gitsync.sync.outcome import Hopeless
from gitsync.sync.rollout.lacking import Lacking
from gitsync.sync.standing import Standing

if TYPE_CHECKING:
    from gitsync.cluster import Informer, WatchEvent

#: Seconds between two looks at a Kustomization whose interval cannot be read.
DEFAULT_INTERVAL = 300.0
#: Seconds for what is under way to end when the agent stops: it can be cut short anywhere.
GRACE = 1.0


def _nobody_waits(key: ObjectKey, why: str) -> None:
    """``changed`` of the inputs of ``ComingSyncs``: these are read anew each time, so a change need wake nobody."""


class Kustomizations:
    """Serves every Kustomization of a cluster, or of the one namespace that is to be served, while entered."""

    def __init__(
        self,
        factory: SyncerFactory,
        trees: TreeSource,
        builder: Builder,
        events: EventRecorder,
        schedule: Schedule,
        root: Root,
        *,
        default_keys: ObjectKey | None = None,
        hopeless: Hopeless | None = None,
        journal: KustomizationJournal | None = None,
        expressions: Expressions | None = None,
    ) -> None:
        cluster, wanted, rules = factory.cluster, factory.wanted, factory.rules
        self._wanted = wanted
        self._schedule = schedule
        self._watch = cluster.watch(KUSTOMIZE_GROUP, KUSTOMIZATION, namespace=cluster.namespace)
        self._expressions = expressions.of("") if expressions is not None else Expressions()
        self._inputs = Inputs(cluster, self._on_input, default_keys)
        self._seen: dict[ObjectKey, Seen] = {}
        #: The Kustomizations in or behind a cycle when the graph was last looked at, and the timer for the next look.
        self._held: Mapping[ObjectKey, HeldByCycle[ObjectKey]] = {}
        self._gathering: asyncio.TimerHandle | None = None
        self.present = PresentKustomizations(self._watch)
        self._trees = trees
        self._root = root
        hopeless = hopeless or Lacking(cluster).hopeless
        self._status = StatusWriter(cluster, events, self._watch.get)
        self._status.on_spoke = self._on_spoke
        self.settling = RootSettling(
            self._watch,
            self.present,
            wanted.index,
            trees,
            root,
            hopeless,
            self._status.has_spoken,
            lambda key: self._reconciler.is_healed(key),
        )
        self._journal = journal
        self._syncers = Syncers(factory, self._watch.get, journal)
        self._reach = AccountReach(cluster, rules, self.present.named)
        self._coming_inputs = Inputs(cluster, _nobody_waits, default_keys)
        self._coming = ComingSyncs(cluster, trees, builder, self._coming_inputs, self._present())
        surroundings = Surroundings(
            self._find, self.held, root, rules, self._coming.is_leaving, self.present.typed, self._coming.unbuilt
        )
        self._reconciler = KustomizationReconciler(
            surroundings,
            trees,
            builder,
            self._syncers,
            self._inputs,
            self._status,
            Judging(self._expressions, self._find),
        )
        self.queue: WorkQueue[ObjectKey] = WorkQueue(self._reconciler.reconcile, "kustomization")

    def _present(self) -> Present:
        return Present(
            self.present.all,
            self._root.is_root,
            self._is_removed,
            self._goes_with_chart,
            self._wanted.claims.brought,
            self._wanted.index.ancestry.commit_behind,
            lambda key: self._reconciler.has_news(key),
            lambda key: claimant_of(key) in self._wanted.claims.commits,
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch them, and enter what they have and want, before anybody deletes an object."""
        async with self._watch:
            for key, manifest in self._watch.items():
                kustomization = self.present.typed(key, manifest)
                if kustomization is None or not self._root.is_root(kustomization):  # the root says so itself
                    claim_present(self._wanted.claims, manifest)
            self.present.is_watching = True
            to_come = self._wanted.to_come
            to_come.syncs, to_come.reach, to_come.leaving = self._coming, self._reach, self._coming.leaving
            to_come.leaving_with_charts = self._coming.leaving_with_charts
            to_come.kustomizations = lambda: self.present.all().values()
            index = self._wanted.index
            revision_of, is_root = self._trees.revision_of, self._root.is_root
            index.others = KustomizationOrder(
                self.present.all, self._watch.get, revision_of, self.settling.outcome, is_root
            )
            index.others_ordered()
            try:
                yield
            finally:
                self.present.is_watching = False
                to_come.syncs, to_come.reach, to_come.leaving = no_syncs, Anywhere(), tuple
                to_come.leaving_with_charts = to_come.kustomizations = tuple
                index.others = NoOthers()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[dict[tuple[str, str], Informer]]:
        """Reconcile, while ``watching``. Yields the watch, by group and kind, for whoever can use it too."""
        async with self._journal.writing() if self._journal is not None else nullcontext():
            self._watch.subscribe(self._on_event)
            unsubscribe = self._wanted.index.subscribe(self._on_release)
            self._wanted.claims.on_release.append(self._on_claim_dropped)
            self._wanted.claims.on_emptied.append(self._on_emptied)
            self._wanted.index.on_other_change.append(self._on_change)
            self._wanted.index.on_moved.append(self._gather)
            for key, manifest in self._watch.items():
                self._look(key, manifest)
            try:
                yield {(KUSTOMIZE_GROUP, KUSTOMIZATION): self._watch}
            finally:
                unsubscribe()
                self._wanted.claims.on_release.remove(self._on_claim_dropped)
                self._wanted.claims.on_emptied.remove(self._on_emptied)
                self._wanted.index.on_other_change.remove(self._on_change)
                self._wanted.index.on_moved.remove(self._gather)
                if self._gathering is not None:
                    self._gathering.cancel()
                await self.queue.stop(GRACE)
                await self._inputs.close()
                await self._coming_inputs.close()
                await self._syncers.close()
                await self._expressions.close()

    def _is_removed(self, key: ObjectKey) -> bool:
        return claimant_of(key) in self._wanted.claims.leaving_syncs

    def _goes_with_chart(self, manifest: Manifest) -> bool:
        above = self._wanted.index.ancestry.parent_of(manifest)
        return above is not None and self._wanted.to_come.goes(above)

    def held(self) -> Mapping[ObjectKey, HeldByCycle[ObjectKey]]:
        """Those in a cycle of dependencies, or behind one."""
        return self._wanted.index.held

    def stands_for_root(self) -> bool:
        """Whether a Kustomization stands for the sync of the settings."""
        return any(map(self._root.is_root, self.present.all().values()))

    def root_began(self, standing: Standing) -> None:
        """The sync of the settings is applying a commit."""
        for kustomization in self.present.all().values():
            if self._root.is_root(kustomization):
                self._status.began(kustomization, standing)

    def root_done(self) -> None:
        """The sync of the settings has come to an end, or has applied all."""
        present = self.present.all()
        for key, kustomization in present.items():
            if self._root.is_root(kustomization):
                self.queue.wake(key)
        if self.present.is_watching and BOOTSTRAP not in present:
            self._wake_waiting(BOOTSTRAP)

    def source_changed(self, concerns: Callable[[ObjectKey], bool]) -> None:
        """Wake the Kustomizations of sources that have a new revision, or another error; ``concerns`` says which these
        are."""
        self.settling.news.set()
        for key, kustomization in self.present.all().items():
            if concerns(kustomization.source):
                self.queue.wake(key, interrupt="its source has another revision")

    def source_settled(self, source: ObjectKey) -> None:
        """A source was asked for a new revision, and has none: wake those that wait for Kustomizations of that source,
        since they were held back for as long as that was not known."""
        self.settling.news.set()
        for key, kustomization in self.present.all().items():
            if kustomization.source == source:
                self._wake_waiting(key)

    def _on_claim_dropped(self, key: ObjectKey, cluster: str) -> None:
        """Some claimant has given up an object, or has taken it: wake the Kustomizations that are to have it, or that
        keep it for another."""
        for claimant in self._wanted.claims.to_have(key, cluster):
            self._reconciler.patience.look_soon(kustomization_of(claimant.name))
            self._on_interval(kustomization_of(claimant.name))

    def _on_emptied(self, sync: Claimant) -> None:
        """A Namespace was deleted, and with it objects of a Kustomization: have that compare everything."""
        self._on_interval(sync.object)

    def _on_change(self, key: ObjectKey) -> None:
        """A commit has now changed a Kustomization, or could not: it need be put off no more."""
        if self._reconciler.patience.is_to_change(key):
            self.queue.wake(key)

    def _find(self, key: ObjectKey) -> Manifest | None:
        return self._watch.get(key) if is_kustomization(key) else self._wanted.index.manifest(key)

    def _on_spoke(self, key: ObjectKey) -> None:
        """A Kustomization's status is now about the newest revision of its source, even if it is the same as before:
        those that wait for it may go by it."""
        self.settling.news.set()
        self._wanted.index.other_changed(key)

    def _on_event(self, event: WatchEvent) -> None:
        self.settling.news.set()
        if event.type != "DELETED":
            self._status.seen(event.key, event.manifest)
            self._look(event.key, event.manifest)
            return
        self._wanted.index.ancestry.set_remover(event.key, None)
        self._wanted.index.places.forget(event.key)
        self._seen.pop(event.key, None)
        self.present.forget(event.key)
        self._schedule.cancel(_job(event.key))
        self._graph_changed()
        self.queue.wake(event.key)
        self._wake_waiting(event.key)

    def _look(self, key: ObjectKey, manifest: Manifest) -> None:
        """Our own status writes change the object too: they are news to those that wait for it."""
        self._wake_judging(key)
        before, seen = self._seen.get(key), seen_of(manifest, self.present.typed(key, manifest))
        if before == seen:
            return
        self._seen[key] = seen
        if before is None or (before.asked, before.inside) != (seen.asked, seen.inside):
            self._graph_changed()
        self._wake_waiting(key)
        if before is not None and before.asked == seen.asked:
            return
        if before is not None:
            self._reconciler.full.add(key)
        if "deletionTimestamp" in manifest["metadata"]:
            self._wanted.claims.tell_of(claimant_of(key))
        self._schedule.every(_job(key), interval_of(manifest, DEFAULT_INTERVAL), self._on_interval, key)
        self.queue.wake(key, interrupt=seen.asked.since(before.asked) if before is not None else "")

    def _on_interval(self, key: ObjectKey) -> None:
        if self._watch.get(key) is None:
            return
        self._reconciler.full.add(key)
        self.queue.wake(key)

    def _on_input(self, key: ObjectKey, why: str) -> None:
        self._reconciler.full.add(key)  # another kubeconfig may be one of another cluster
        self.queue.wake(key, interrupt=why)

    def _on_release(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        self.settling.news.set()
        self._wake_judging(key)
        is_gone_or_new = before is None or after is None
        if is_gone_or_new or is_current(before or {}) != is_current(after or {}):
            self._wake_waiting(key)
        if is_gone_or_new or _depends_on(before) != _depends_on(after):
            self._gather()

    def _wake_judging(self, key: ObjectKey) -> None:
        """An object has changed in any way: wake the Kustomizations whose readyExprs are about it."""
        for judging, about in self._reconciler.judging.about.items():
            if key in about and judging in self._reconciler.waiting:
                self.queue.wake(judging)

    def _wake_waiting(self, key: ObjectKey) -> None:
        manifest = self._find(key)
        ready_now = manifest is not None and why_not_ready(manifest, self._trees.revision_of) is None
        for waiting, on in list(self._reconciler.waiting.items()):
            if key not in on:
                continue
            if ready_now and len(on) > 1 and self._waits_for_readiness(waiting):
                # Only the last of many dependencies that become ready ends the wait: no pass for each.
                self._reconciler.waiting[waiting] = on - {key}
                self.queue.wake_within(waiting, BETWEEN_WORDS)
            else:
                self.queue.wake(waiting)
        self._wake_unhealthy(key)
        if is_kustomization(key):
            self._wanted.index.other_changed(key)

    def _wake_unhealthy(self, key: ObjectKey) -> None:
        """An object has become ready: wake the Kustomizations that failed for it, if it was the last that they failed
        for."""
        for waiting, on in list(self._reconciler.unhealthy.items()):
            if key in on and self._reconciler.is_well(key):
                self._reconciler.unhealthy[waiting] = on - {key}
                if on == {key}:
                    self.queue.wake(waiting)

    def _waits_for_readiness(self, key: ObjectKey) -> bool:
        """Whether a Kustomization waits for others to be ready: not for them to be gone, nor for an expression."""
        manifest = self._watch.get(key)
        is_going = manifest is None or "deletionTimestamp" in manifest["metadata"]
        return not is_going and key not in self._reconciler.judging.about

    def _graph_changed(self) -> None:
        """Some object depends on others than before."""
        self._wanted.index.others_ordered()
        self._gather()

    def _gather(self) -> None:
        """A cycle may have been closed or broken; many changes are looked at together."""
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._wake_held)

    def _wake_held(self) -> None:
        self._gathering = None
        held = {key: found for key, found in self.held().items() if is_kustomization(key)}
        for key in otherwise_held(self._held, held):
            self.queue.wake(key)
        self._held = held


def _depends_on(manifest: Manifest | None) -> object:
    return ((manifest or {}).get("spec") or {}).get("dependsOn")


def _job(key: ObjectKey) -> str:
    """The name of a Kustomization's interval in the schedule."""
    return f"kustomization {key}"
