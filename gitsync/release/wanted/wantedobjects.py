"""Who wants an object of a release: asked before one is deleted, and before one is taken from somebody.

What releases have is known from their inventories (``status.inventory``); what they will have, ``tocome`` finds out. So
an object that a commit moves from one release to another survives also when the first release is upgraded sooner.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from gitsync.api.conditions import ready_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import inventory_keys
from gitsync.api.kinds import is_kustomization
from gitsync.api.names import LEFTOVERS_ANNOTATION
from gitsync.apply.claimant import Claimant
from gitsync.errors import FieldErrors, ObjectTaken, RetryableError
from gitsync.release.dependencies.holds import Hold
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import is_current, state_of
from gitsync.release.desired import ref_of
from gitsync.release.leftovers import leftovers_of
from gitsync.release.wanted.claims import ObjectClaims, kustomization_of
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.release.wanted.holders import Holders
from gitsync.release.wanted.question import Question
from gitsync.release.wanted.renderings import ObjectsOf
from gitsync.release.wanted.takenobjects import TakenObjects
from gitsync.release.wanted.tocome import Find, ToCome
from gitsync.runtime.progress import telling

#: Seconds since the start for which deletions wait for the first commit, which may want the objects; and the words.
FIRST_COMMIT_TIMEOUT = 120.0
_FIRST_COMMIT = "the first commit since the start to be read"
#: Seconds that a deletion waits for a sync to have applied the HelmReleases of its commit.
COMMIT_TIMEOUT = 60.0


@dataclass
class WantedObjects:
    """Answers for all releases. ``objects_of`` renders a release, ``find`` reads an object; ``wake`` is called with a
    HelmRelease that has waited for an object when that is let go of."""

    index: ReleaseIndex
    claims: ObjectClaims
    objects_of: ObjectsOf
    find: Find
    wake: Callable[[ObjectKey], None]

    def __post_init__(self) -> None:
        self.index.is_leaving = self._is_leaving
        self.index.subscribe(self._on_release_change)
        self.index.on_commit_applied.append(self._ask_for_leftovers)
        self.claims.on_release.append(self._on_claim_dropped)
        #: The releases whose leftovers are to be checked again.
        self._ask_again: set[ObjectKey] = set()
        self.to_come = ToCome(self.index, self.claims, self.objects_of, self.find)
        self.holders = Holders(self.index, self.claims, self.to_come)
        self.taken = TakenObjects(self.claims, self.find)
        self.to_come.values.on_settled = self._ask_for_leftovers
        self._patience_ends = time.monotonic() + FIRST_COMMIT_TIMEOUT

    def is_managed(self, release: str) -> bool:
        """Whether a release, by ``namespace/name``, is some HelmRelease's."""
        return any(str(ref_of(found)) == release for found in self.index.releases())

    def to_be_changed(self, release: ObjectKey) -> str:
        """Why a release may be changed in a moment, or removed; "" when nothing of the kind is on its way."""
        if self.index.is_leaving(release):
            return f"{release} is about to be removed"
        return self.yet_to_take_up(release)

    def yet_to_take_up(self, release: ObjectKey) -> str:
        """What the sync that has a release in Git has yet to take up, in words; "" when that is nothing."""
        above = self.index.ancestry.sync_above(release)
        revision = self.index.others.untried(kustomization_of(above)) if above else ""
        commit = self.claims.commits.get(Claimant("sync", above), "")
        if not revision or (commit and revision.endswith(commit)):
            return ""
        return f"sync {above!r}, which has it in Git, has yet to take up {revision}"

    def leftovers_may_go(self, key: ObjectKey) -> bool:
        """Whether, since the last call, something has happened that may decide what becomes of a release's
        leftovers."""
        found = key in self._ask_again
        self._ask_again.discard(key)
        return found

    def _ask_for_leftovers(self) -> None:
        """Have all leftovers checked again: all that a commit wants is known now, or all who take values from it have
        had time to hear of it."""
        for key in self.index:
            if (manifest := self.index.manifest(key)) is not None and leftovers_of(manifest):
                self._ask_again.add(key)
                self.wake(key)

    async def others(
        self,
        asker: Claimant,
        keys: Collection[ObjectKey],
        *,
        cluster: str = "",
        commits: Collection[str] | None = (),
        present: Collection[str] = (),
    ) -> dict[ObjectKey, Claimant]:
        """Of these objects, those that a claimant other than ``asker`` wants or may want, and which one.
        ``cluster``, ``commits`` and ``present`` are as in Question.

        Waits for the first commit since the start, and for syncs that are applying HelmReleases. Raises: RetryableError
        when that takes too long.
        """
        await self.first_commit()
        await self._commits_applied()
        question = Question(asker, cluster, commits, present, tuple(keys))
        asked: dict[ObjectKey, list[Claimant]] = {}
        found = await self._had(keys, question, asked)
        rest = [key for key in keys if key not in found]
        if rest:
            wishes = await self.to_come.wishes(rest, question)
            for key, claimant in wishes.items():
                if not claimant.doubt:
                    self.taken.note_left(claimant.by_name, key)
            found |= wishes
        found |= await self.to_come.unread([key for key in rest if key not in found], question)
        # Once more: one that was on its way may have arrived meanwhile.
        found |= await self._had([key for key in rest if key not in found], question, asked)
        inside = [(key, await self.to_come.inside(key, question)) for key in rest if key not in found]
        return found | {key: claimant for key, claimant in inside if claimant is not None}

    async def _had(
        self, keys: Iterable[ObjectKey], question: Question, asked: dict[ObjectKey, list[Claimant]]
    ) -> dict[ObjectKey, Claimant]:
        """Of these objects, those that a claimant has already and goes on wanting, and which one. ``asked`` has, by
        object, the claimants that have been looked at already."""
        found: dict[ObjectKey, Claimant] = {}
        for key in keys:
            claimants = self.claims.claimants(key, cluster=question.cluster, but=question.asker)
            if claimants == asked.get(key, []):
                continue
            asked[key] = claimants
            if (hold := await self.holders.first(key, question)) is not None:
                found[key] = hold.claimant._replace(doubt="")
                self._ask_itself(hold)
        return found

    async def first_commit(self) -> None:
        """Return when the sync of the settings has read its first commit since the start: before, it is not known what
        Git wants. Not later than FIRST_COMMIT_TIMEOUT seconds after the start, since the repository may be away."""
        if not (first := self.claims.first_commit).is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience_ends - time.monotonic()), telling(lambda: _FIRST_COMMIT):
                    await first.wait()

    async def _commits_applied(self) -> None:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await self.index.commits_applied()
        except TimeoutError:
            raise RetryableError(
                f"the HelmReleases of a commit have not been applied within {COMMIT_TIMEOUT:g}s, and may want objects "
                "that are to be deleted"
            ) from None

    async def claim(self, release: HelmRelease, keys: Iterable[ObjectKey], hooks: Iterable[ObjectKey]) -> None:
        """Claim these objects and hooks for the next revision of ``release``.

        Raises: ObjectTaken when a sync or another release has one and goes on wanting it.
        """
        me, cluster = Claimant.of_release(release.key), cluster_of(release)
        wanted, run = frozenset(keys), frozenset(hooks)
        if not cluster:
            drops = filter(is_kustomization, self.claims.keys(me, "deployed") - wanted)
            self.claims.set_leaving_syncs(me, (Claimant("sync", key.namespaced_name) for key in drops))
        hold = await self.holders.first_hold(wanted | run, but=me, cluster=cluster)
        if hold is not None:
            self.claims.set_leaving_syncs(me, ())
            self.index.set_hold(release.key, hold._replace(asked=state_of(release.manifest)))
            raise self._taken(hold)
        self.index.set_hold(release.key, None)
        self.taken.forget(me)
        self.taken.note_taken(me, wanted, cluster)
        self.claims.set(me, "underway", wanted, cluster=cluster)
        self.claims.set(me, "hooks", run, cluster=cluster)

    async def objects_taken(self, release: HelmRelease) -> bool:
        """Whether others have taken objects of the deployed revision of ``release`` since it was applied."""
        if self.taken.has_left(Claimant.of_release(release.key)):
            await self.first_commit()
            if self.index.is_leaving(release.key):
                return False
        return await self.taken.of(release)

    def _ask_itself(self, hold: Hold) -> None:
        """Another leaves an object to the release that is deployed with it: wake that release, so that it looks whose
        the object is."""
        owner = hold.claimant.by_name
        if hold.owner is None or hold.key not in self.claims.keys(owner, "deployed"):
            return
        if self.taken.note_left(owner, hold.key):
            self.wake(hold.owner)

    def _is_leaving(self, release: ObjectKey) -> bool:
        """Whether a release is about to be removed, by itself or with its sync."""
        if self.claims.is_leaving(Claimant.of_release(release)):
            return True
        above = self.index.ancestry.sync_above(release)
        return bool(above) and Claimant("sync", above) in self.to_come.leaving_syncs()

    def _taken(self, hold: Hold) -> ObjectTaken:
        coming = bool(hold.claimant.doubt) if hold.owner is None else self.index.is_coming(hold.owner)
        remedy = "the chart or from Git" if hold.owner is None else "one of the two charts"
        hint = f"waiting for {hold.claimant} to let go of it" if coming else f"remove it from {remedy}"
        return ObjectTaken(hold.told, key=hold.key, owner=hold.owner, hint=hint, passing=coming)

    def _on_release_change(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        claimant = Claimant.of_release(key)
        if after is None or "deletionTimestamp" in after["metadata"]:
            self.claims.forget(claimant)
            self.taken.forget(claimant)
            return
        if is_current(after):
            self.claims.set(claimant, "hooks", ())
        if is_current(after) or ready_of(after).get("status") == "False":  # no upgrade is under way that drops any
            self.claims.set_leaving_syncs(claimant, ())
        if before is None or _inventory(before) != _inventory(after):
            keys = inventory_keys(after)
            self.claims.set(claimant, "deployed", keys, cluster=self._cluster_of(key))
            if is_current(after):
                self.claims.set(claimant, "underway", ())
            if self.taken.has_left(claimant):
                self.wake(key)
        if before is None or _noted(before) != _noted(after):
            left = (leftover.key for leftover in leftovers_of(after))
            self.claims.set(claimant, "kept", left, cluster=self._cluster_of(key))

    def _cluster_of(self, key: ObjectKey) -> str:
        try:
            release = self.index.get(key)
        except FieldErrors:
            return ""
        return cluster_of(release) if release is not None else ""

    def _on_claim_dropped(self, key: ObjectKey, cluster: str) -> None:
        for release, hold in list(self.index.holds.items()):
            if (hold.key, hold.cluster) == (key, cluster):
                self.index.set_hold(release, None)
                self.wake(release)


def _inventory(manifest: Manifest) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = ((manifest.get("status") or {}).get("inventory") or {}).get("entries") or []
    return entries


def _noted(manifest: Manifest) -> str | None:
    note: str | None = (manifest["metadata"].get("annotations") or {}).get(LEFTOVERS_ANNOTATION)
    return note
