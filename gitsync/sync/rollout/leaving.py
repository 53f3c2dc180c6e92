"""Deletes objects that left Git: each after what depends on it, and not before what may take its place is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, compress

from gitsync.api.identity import ObjectKey
from gitsync.graph import Graph
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import telling
from gitsync.runtime.reached import Reached
from gitsync.runtime.together import finish_all, until_one_ends
from gitsync.sync.owner import Owner
from gitsync.sync.plan import is_right, needs_kept, prune_prerequisites
from gitsync.sync.reporting.timeline import Turn
from gitsync.sync.rollout.course import Course
from gitsync.sync.rollout.prune import RELEASE_TIMEOUT, Pruner
from gitsync.sync.storage.inventory import Entry

#: What an object waits for that left Git.
_TO_GO = "for what may take its place, and for what needs it to go"


@dataclass
class Leaving:
    """The entries that the plan of a ``course`` prunes. ``forgotten`` are entries of the inventory that need not be
    remembered any more."""

    course: Course
    owner: Owner
    wanted: SyncClaims
    pruner: Pruner
    forgotten: list[ObjectKey] = field(default_factory=list)
    _left: set[ObjectKey] = field(default_factory=set)

    def __post_init__(self) -> None:
        course = self.course
        self._index, self._plan, self._report, self._spec = course.index, course.plan, course.report, course.spec
        self._gone: Reached[ObjectKey] = Reached()

    def run(self, interrupt: Interrupt) -> Iterator[Awaitable[None]]:
        """For each entry, the work to be awaited; await all of it at once. No deletion is begun once a newer commit is
        there, which may want the object again: that raises Superseded."""
        return (self._prune(entry, needs, interrupt) for entry, needs in self._entries())

    async def forget_taken(self) -> None:
        """Forget objects that were left for others and that these have taken already: if they did so before the claim
        was entered that keeps an object for them, this sync was not told. Later takes are told."""
        left = sorted(self._left)
        taken = await finish_all(self.pruner.is_taken(key) for key in left)
        for key in compress(left, taken):
            self.forgotten.append(key)
            self.wanted.claims.drop(self.owner.claimant, "kept", key)

    def _entries(self) -> Iterable[tuple[Entry, frozenset[ObjectKey]]]:
        known = (Graph[ObjectKey]((), ()), {}) if self._spec.cluster else (self._index.graph, self._sources())
        # The sync of a Kustomization may work as a ServiceAccount that it has applied itself.
        needs = prune_prerequisites(self._plan.prune, *known, rights_last=not self._spec.is_root)
        return [(entry, needs[entry.key]) for entry in self._plan.prune]

    def _sources(self) -> dict[ObjectKey, ObjectKey]:
        return {release.key: release.source for release in self._index.releases()}

    async def _until_replaced(self, key: ObjectKey) -> None:
        """Return when what may take the place of an object that left Git is ready, or has failed: all that was
        applied in the same namespace. A HelmRelease, or a Kustomization that has it, waits no longer once another
        HelmRelease is there for the same Helm release."""
        settled = self.course.settled.all_of([key.namespace])
        if self._spec.works_on(key):
            await until_one_ends(settled, self._inherited(key))
        else:
            await settled

    async def _until_unneeded(self, key: ObjectKey) -> None:
        """Return when a right that left Git is not needed any more to remove something else; not later than after
        RELEASE_TIMEOUT seconds."""
        if self._spec.cluster or not is_right(key):
            return
        with suppress(TimeoutError), self._index.news() as news:
            async with asyncio.timeout(RELEASE_TIMEOUT), telling(lambda: self.wanted.needed_by_who_goes(key)):
                while why := self.wanted.needed_by_who_goes(key):
                    self._report.timeline.turn(key, Turn("wait", f"for {why}"))
                    await news.wait()
                    news.clear()

    async def _inherited(self, key: ObjectKey) -> None:
        """Return when there is another HelmRelease for the Helm release of ``key`` (or of a HelmRelease of the
        Kustomization ``key``) that comes out of a chart of the commit. Else there would be a deadlock: that chart's
        release waits for the new HelmRelease, which waits for ``key`` to be gone."""
        with self._index.news() as news:
            while all(heir in self._plan.desired.helm_releases for heir in self._heirs(key)):
                await news.wait()
                news.clear()

    def _heirs(self, key: ObjectKey) -> Iterator[ObjectKey]:
        releases = [key] if self._spec.is_release(key) else self._index.ancestry.of_sync(key.namespaced_name)
        return chain.from_iterable(map(self._index.owners.losers, releases))

    async def _prune(self, entry: Entry, needs: frozenset[ObjectKey], interrupt: Interrupt) -> None:
        """Delete an object that left Git, after what depends on it (``needs``), and not before what may take its place
        is ready."""
        try:
            self._report.timeline.turn(entry.key, Turn("wait", _TO_GO))
            await self._gone.all_of(needs)
            await self._until_replaced(entry.key)
            await self._until_unneeded(entry.key)
            interrupt.check()
            self._report.timeline.turn(entry.key, Turn("apply", "is deleted"))
            left = (key for key in sorted(needs & self._left) if needs_kept(entry.key, key))
            needed_by = next((key for key in left if not self.pruner.is_left_for(key, entry.key)), None)
            outcome = await self.pruner.prune(entry, self._report, needed_by)
            if outcome == "left":
                self._left.add(entry.key)
            if outcome == "done":
                self.forgotten.append(entry.key)
                self.wanted.claims.drop(self.owner.claimant, "kept", entry.key)
        finally:
            self._report.timeline.turn(entry.key, None)
            self._gone.add(entry.key)
