"""How all Kustomizations and HelmReleases stand that come from the sync of the settings, at any depth, and waiting
until none of them is on its way any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sources.resolve.treeartifact import TreeSource
from gitsync.sync.kustomization.present import PresentKustomizations
from gitsync.sync.kustomization.root import Root
from gitsync.sync.kustomization.storage.statusstore import brought_by
from gitsync.sync.kustomization.waiting.outcome import Facts, KustomizationOutcomes
from gitsync.sync.outcome import Hopeless, Outcome, Outcomes, ReleasesSettling
from gitsync.sync.spec import SETTLE_TIMEOUT

if TYPE_CHECKING:
    from gitsync.cluster import Informer


@dataclass
class RootSettling:
    """The outcomes of all that comes from the sync of the settings. ``hopeless`` says whether releases wait for
    something that nothing brings, ``has_spoken`` whether a Kustomization's status is about a revision, ``is_healed``
    whether all that one has failed for is ready by now. Set ``news`` whenever the outcome of an object may have
    changed."""

    watch: Informer
    present: PresentKustomizations
    index: ReleaseIndex
    trees: TreeSource
    root: Root
    hopeless: Hopeless
    has_spoken: Callable[[ObjectKey, str], bool]
    is_healed: Callable[[ObjectKey], bool]
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def settle(self) -> dict[ObjectKey, Outcome]:
        """Wait until none of them is on its way any more, at most SETTLE_TIMEOUT seconds. Returns how all stand
        then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT):
                await self._until_settled()
        return await self.outcomes()

    async def outcomes(self) -> dict[ObjectKey, Outcome]:
        """How all of these stand now."""
        return self._outcomes(await self._brought())

    def outcome(self, key: ObjectKey) -> Outcome:
        """How a Kustomization or a HelmRelease stands now."""
        return self._outcomes([key])[key]

    async def _until_settled(self) -> None:
        before: set[ObjectKey] = set()
        while True:
            self.news.clear()
            outcomes = self._outcomes(await self._brought())
            if any(outcome.phase == "moving" for key, outcome in outcomes.items() if is_kustomization(key)):
                await self.news.wait()
                continue
            releases = {key for key in outcomes if is_release(key)} - set(await self.root.objects())
            if releases == before:
                return
            await ReleasesSettling(self.index, releases).follow(SETTLE_TIMEOUT, self.hopeless)
            before = releases

    async def _brought(self) -> list[ObjectKey]:
        """The Kustomizations and HelmReleases of the root, and of all below it."""
        found: dict[ObjectKey, None] = {}
        waiting = [key for key in await self.root.objects() if is_kustomization(key) or is_release(key)]
        while waiting:
            key = waiting.pop()
            if key not in found:
                found[key] = None
                if is_kustomization(key) and not self._is_root(key):
                    waiting += brought_by(self.watch.get(key))
        return sorted(found)

    def _is_root(self, key: ObjectKey) -> bool:
        """Whether a Kustomization stands for the sync of the settings. Its status is not asked what it has brought,
        since it may still name what was just removed: the sync itself is."""
        kustomization = self.present.named(key.namespaced_name)
        return kustomization is not None and self.root.is_root(kustomization)

    def _outcomes(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Outcome]:
        releases = Outcomes(self.index)
        facts = Facts(
            self.present.all(),
            releases.of,
            self.trees.revision_of,
            self.trees.is_coming,
            self.has_spoken,
            self.index.held,
            self.index.expects,
            self.is_healed,
        )
        kustomizations = KustomizationOutcomes(facts)
        return {key: kustomizations.of(key) if is_kustomization(key) else releases.of(key) for key in keys}
