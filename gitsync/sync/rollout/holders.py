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
        """The error when waiting for the release does not help: by the commit itself, the release is to have the
        object; or it may want it, and nothing is moving that could change that. None while it may let go."""
        is_coming = hold.owner is not None and self.index.is_coming(hold.owner)  # perhaps another sync is changing it
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
        """Return when a hold may have ended, or cannot end any more."""
        seen = self._version(hold)
        with self._news() as news:
            while not self._may_have_ended(hold) and self._version(hold) == seen and self.error(hold) is None:
                # Nothing is sent when a release has seen new values and they change nothing: so look again.
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN if self.wanted.has_news(hold.owner) else None):
                        await news.wait()
                news.clear()

    def _may_have_ended(self, hold: Hold) -> bool:
        manifest = self.index.manifest(hold.owner) if hold.owner is not None else None
        claimants = self.wanted.claims.claimants(hold.key, cluster=hold.cluster, for_good=True)
        return hold.claimant.by_name not in claimants or manifest is None or state_of(manifest) != hold.at

    def _version(self, hold: Hold) -> list[tuple[int, bool]]:
        """A value that changes with each change of the release, or of a release whose chart it is from; and once when
        this sync has applied that."""
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
