"""Who has an object, and whether it goes on wanting it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.apply.ownership import belongs_to
from gitsync.apply.ownership import release_of as release_named
from gitsync.errors import GitsyncError
from gitsync.release.action.inventory import CRD
from gitsync.release.dependencies.ancestry import MAX_NESTING
from gitsync.release.dependencies.holds import TO_BE_CHANGED, Hold
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import state_of
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.question import Question
from gitsync.release.wanted.tocome import ToCome, release_of


@dataclass
class Holders:
    """Answers from the claims, and asks ``to_come`` about claimants that are on their way to something else."""

    index: ReleaseIndex
    claims: ObjectClaims
    to_come: ToCome

    async def first_hold(
        self, keys: Iterable[ObjectKey], *, but: Claimant, cluster: str = "", releases_only: bool = False
    ) -> Hold | None:
        """The first of these objects that another claimant has and goes on wanting for good. If there is none, and the
        caller claims them without awaiting anything before, it is the only one to do so."""
        found = sorted(keys)
        asked: dict[ObjectKey, list[Claimant]] = {}
        claimants = partial(self.claims.claimants, cluster=cluster, but=but, for_good=True)
        # Another may claim one while this waits for an answer about the others: then ask about that one again.
        while news := [key for key in found if claimants(key) != asked.get(key, [])]:
            for key in news:
                asked[key] = claimants(key)
                hold = await self.hold(key, but=but, cluster=cluster, releases_only=releases_only, for_good=True)
                if hold is not None:
                    return hold
        return None

    async def hold(
        self, key: ObjectKey, *, but: Claimant, cluster: str = "", releases_only: bool = False, for_good: bool = False
    ) -> Hold | None:
        """The hold of a claimant other than ``but`` that has an object and goes on wanting it, or may; None when there
        is none. ``for_good``: not only as a hook that it is about to run."""
        return await self.first(key, Question(but, cluster), releases_only=releases_only, for_good=for_good)

    async def first(
        self, key: ObjectKey, question: Question, *, releases_only: bool = False, for_good: bool = False
    ) -> Hold | None:
        asker, cluster = question.asker, question.cluster
        found: Hold | None = None
        claimants = self.claims.claimants(key, cluster=cluster, but=asker, for_good=for_good)
        leaving = await self.to_come.going(cluster) if for_good and claimants else frozenset[Claimant]()
        for claimant in claimants:
            if self._goes(claimant, leaving) or (releases_only and claimant.kind == "sync"):
                continue
            hold = await self._hold(Hold(key, cluster, claimant), for_good=for_good)
            if hold is None or not await self.to_come.is_reached(claimant, key, question):
                continue
            # A claimant that has let go meanwhile has told the waiters of that moment, and this caller is none yet.
            if claimant in self.claims.claimants(key, cluster=cluster, but=asker, for_good=for_good):
                found = found or hold
                if not hold.claimant.unowned:  # a claimant that owns it is named rather than one that has it in crds/
                    return hold
        return found

    def _goes(self, claimant: Claimant, leaving: frozenset[Claimant]) -> bool:
        """Whether a sync is about to be removed, or a release together with one of ``leaving``."""
        if claimant.kind == "sync" or not leaving:
            return claimant in leaving
        return Claimant("sync", self.index.ancestry.sync_above(release_of(claimant))) in leaving

    async def _hold(self, hold: Hold, *, for_good: bool) -> Hold | None:
        """The hold as it is found to be; None when the claimant does not want the object any more, or (``for_good``)
        wants it without owning it."""
        owner = hold.owner
        if owner is None:
            held = await self._held_by_sync(hold)
            return None if held is not None and for_good and held.claimant.unowned else held
        manifest = self.index.manifest(owner)
        if manifest is None:
            return None
        hold = hold._replace(at=state_of(manifest))
        if self.index.is_coming(owner):
            return hold._replace(claimant=hold.claimant._replace(doubt=TO_BE_CHANGED))
        try:
            wanted = await self._to_be(owner)
            if self.index.is_done(owner) and wanted is self.index.get(owner):
                unowned = await self._is_unowned(owner, manifest, hold.key)
                claimant: Claimant | None = hold.claimant._replace(unowned=unowned)
            else:
                objects = await self.to_come.renderings.one(wanted) if wanted is not None else None
                claimant = objects.claimant(owner, hold.key) if objects is not None else None
        except GitsyncError as error:
            if for_good and await self._is_unowned(owner, manifest, hold.key):
                return None
            return hold._replace(claimant=hold.claimant._replace(doubt=error.message))
        return None if claimant is None or (for_good and claimant.unowned) else hold._replace(claimant=claimant)

    async def _held_by_sync(self, hold: Hold) -> Hold | None:
        """As ``_hold``, of a sync. None also when the sync is about to be removed, or on its way to a commit without
        the object: it may be waiting for the very claimant that asks here."""
        if hold.claimant in await self.to_come.going(hold.cluster):
            return None
        if self.claims.leaves_alone(hold.claimant, hold.key):
            hold = hold._replace(claimant=hold.claimant._replace(unowned=True))
        found = (sync for sync in await self.to_come.syncs(()) if sync.claimant.by_name == hold.claimant.by_name)
        coming = next(found, None)
        if coming is None or (coming.cluster == hold.cluster and hold.key in coming.keys):
            return hold
        return hold._replace(claimant=coming.claimant) if coming.claimant.doubt else None

    async def _to_be(self, key: ObjectKey, depth: int = 0) -> HelmRelease | None:
        """A HelmRelease as it is to be: as it is now, but for one that is from a chart of another release. That may be
        about to have another chart, or to be removed. None when it will not exist. Raises: what keeps a chart from
        being rendered."""
        now, above = self.index.get(key), self.index.ancestry.parent(key)
        if depth == MAX_NESTING or (above is None and not release_named(self.index.manifest(key) or {})):
            return now
        if above is not None and (found := await self._as_in(above, key, now, depth)) is not None:
            return found
        for other in self.to_come.releases(Claimant.of_release(above or key), ""):
            with suppress(GitsyncError):  # any tenant's release may fail to render, and must not hold this up
                if (found := await self._inner(other, key)) is not None:
                    return found
        return None if above is not None else now  # its parent may have had another name, and be gone

    async def _as_in(self, above: ObjectKey, key: ObjectKey, now: HelmRelease | None, depth: int) -> HelmRelease | None:
        """A HelmRelease, now in state ``now``, as the chart of the release ``above`` is to have it; None when that will
        not have it."""
        if self.index.is_leaving(above) or (release := await self._to_be(above, depth + 1)) is None:
            return None
        if self.index.is_done(above) and release is self.index.get(above):
            return now
        return await self._inner(release, key)

    async def _inner(self, release: HelmRelease, key: ObjectKey) -> HelmRelease | None:
        """The HelmRelease ``key`` as the chart of ``release`` has it; None when it does not."""
        return next((item for item in (await self.to_come.renderings.one(release)).releases if item.key == key), None)

    async def _is_unowned(self, owner: ObjectKey, manifest: Manifest, key: ObjectKey) -> bool:
        """Whether ``key`` is a definition that a deployed release only has in its chart's ``crds/``: it is not marked
        as the release's."""
        if key.kind != CRD:
            return False
        live, ref = await self.to_come.find(owner, key), ObservedStatus(manifest).last_ref
        return live is None or ref is None or not belongs_to(live, ref.name, ref.namespace)
