"""Objects of a commit that a release has: waiting until it lets go of them, as long as it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gitsync.apply.wait import version
from gitsync.errors import OwnedByAnother
from gitsync.release.dependencies.holds import Hold
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import state_of
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.sync.outcome import Outcomes, ReleasesSettling

#: Seconds between two looks at a release that has other values.
LOOK_AGAIN = 1.0


@dataclass(frozen=True)
class Holders:
    """The releases that have objects of a commit. ``releases`` are those of the commit."""

    index: ReleaseIndex
    wanted: SyncClaims
    releases: ReleasesSettling

    def error(self, hold: Hold) -> OwnedByAnother | None:
        """Why an object cannot be applied, when waiting does not help: the commit itself says that the release is to
        have it, or nobody can tell and nothing moves any more. None while the release may let go."""
        is_coming = hold.owner is not None and self.index.is_coming(hold.owner)  # by another sync, it may be
        if (is_coming or not self.releases.all_settled) and not Outcomes(self.index).stands(hold):
            return None
        if self.wanted.has_news(hold.owner):
            return None
        if hold.owner is None or not hold.claimant.doubt:
            return OwnedByAnother(hold.told, hint="remove it from the chart or from Git")
        outcome = Outcomes(self.index).of(hold.owner)
        state = f"{hold.claimant} is {outcome.phase}: {outcome.message}"
        return OwnedByAnother(hold.told, hint=f"{state}; put that right, or remove the object from Git")

    async def change(self, hold: Hold) -> None:
        """Return when a hold may have ended, or will not end any more."""
        seen = self._version(hold)
        with self._news() as news:
            while not self._may_have_ended(hold) and self._version(hold) == seen and self.error(hold) is None:
                # That somebody has taken notice of other values is not told, if nothing comes of it.
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN if self.wanted.has_news(hold.owner) else None):
                        await news.wait()
                news.clear()

    def _may_have_ended(self, hold: Hold) -> bool:
        manifest = self.index.manifest(hold.owner) if hold.owner is not None else None
        claimants = self.wanted.claims.claimants(hold.key, cluster=hold.cluster, for_good=True)
        return hold.claimant.by_name not in claimants or manifest is None or state_of(manifest) != hold.at

    def _version(self, hold: Hold) -> list[tuple[int, bool]]:
        """Changes with each change of the release or of one whose chart it is out of, and once when the sync has
        applied that."""
        lineage = self.index.ancestry.lineage(hold.owner) if hold.owner is not None else []
        found = [(self.index.manifest(key), self.index.expects(key)) for key in lineage]
        return [(version(manifest) if manifest is not None else 0, expected) for manifest, expected in found]

    @contextmanager
    def _news(self) -> Iterator[asyncio.Event]:
        news = asyncio.Event()

        def on_news(*_: object) -> None:
            news.set()

        unsubscribe = self.index.subscribe(on_news)
        self.wanted.claims.on_release.append(on_news)
        self.releases.on_settled.append(news.set)
        try:
            yield news
        finally:
            unsubscribe()
            self.wanted.claims.on_release.remove(on_news)
            self.releases.on_settled.remove(news.set)
