"""Who wants the objects of one sync: what the sync asks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from gitsync.api.identity import ObjectKey
from gitsync.api.names import RBAC_GROUP
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import WantedBy
from gitsync.errors import FieldErrors
from gitsync.release.dependencies.holds import Hold
from gitsync.release.leftovers import leftovers_of
from gitsync.release.wanted.claims import Why
from gitsync.release.wanted.releaseclaims import ReleaseClaims
from gitsync.release.wanted.wantedobjects import WantedObjects

#: How often the syncs to come are looked at anew because others began, or ceased, to be about to be removed meanwhile.
_LOOKS = 5


class SyncClaims:
    """Who else wants the objects of a sync, which are all in one cluster, and those of its releases; and the sync's own
    claims. In its methods, ``commits`` are those that have removed from Git what is asked about."""

    def __init__(self, wanted: WantedObjects, sync: Claimant, cluster: str = "") -> None:
        self.claims = wanted.claims
        self.cluster = cluster
        self._wanted = wanted
        self._sync = sync

    def claimants(self, key: ObjectKey, *, but: Claimant | None = None, for_good: bool = False) -> list[Claimant]:
        """See ObjectClaims.claimants."""
        return self.claims.claimants(key, cluster=self.cluster, but=but, for_good=for_good)

    def claim(self, why: Why, keys: Iterable[ObjectKey]) -> None:
        """Replace the objects that the sync wants for the reason ``why``."""
        wanted = frozenset(keys)
        if why == "commit":
            self._wanted.taken.note_taken(self._sync, wanted - self.claims.keys(self._sync, why), self.cluster)
        self.claims.set(self._sync, why, wanted, cluster=self.cluster)

    def has(self, key: ObjectKey) -> bool:
        """Whether the sync's commit has an object."""
        return key in self.claims.keys(self._sync, "commit")

    async def hold(self, key: ObjectKey) -> Hold | None:
        """The hold of a release that has an object and goes on wanting it, or may; None when there is none."""
        holders = self._wanted.holders
        return await holders.hold(key, but=self._sync, cluster=self.cluster, releases_only=True, for_good=True)

    async def take(self, key: ObjectKey) -> Hold | None:
        """Claim an object that the sync has waited for, unless a release still has it and goes on wanting it: then its
        hold is returned, and nothing is claimed."""
        hold = await self._wanted.holders.first_hold([key], but=self._sync, cluster=self.cluster, releases_only=True)
        if hold is not None:
            return hold
        held = self.claims.keys(self._sync, "let go")
        self.claim("commit", self.claims.keys(self._sync, "commit") | {key})
        self.claim("let go", held - {key})
        return None

    def took(self, keys: Iterable[ObjectKey]) -> None:
        """The sync has applied these objects; others that have kept some for it need not any more."""
        self.claims.took(self._sync, keys, self.cluster)

    def has_news(self, release: ObjectKey | None) -> bool:
        """Whether a release takes values from an object that a sync is changing, or has just changed."""
        try:
            item = self._wanted.index.get(release) if release is not None else None
        except FieldErrors:
            return False
        return item is not None and self._wanted.to_come.values.has_news(item)

    def emptied(self, namespace: str) -> list[Claimant]:
        """The sync has created a Namespace again. Returns the other claimants that have lost objects with it."""
        return self.claims.emptied(namespace, by=self._sync, cluster=self.cluster)

    def about_to_write(self, key: ObjectKey, commit: str) -> None:
        """The sync is about to write an object, from which others may take values or variables."""
        if not self.cluster:
            self._wanted.to_come.values.note(key, self._sync, commit)

    async def to_be(self) -> dict[Claimant, frozenset[ObjectKey]]:
        """What other syncs will want, of those on their way for which it is known, and of those about to be removed
        (also with a release whose chart they are in): these will want nothing, unless another is to have them."""
        to_come, nothing = self._wanted.to_come, frozenset[ObjectKey]()
        for _ in range(_LOOKS):
            leaving = set(to_come.leaving_with_charts())
            coming = await to_come.syncs(())
            # One that has ceased to be about to be removed in between would be missing in both.
            if leaving == set(to_come.leaving_with_charts()):
                break
        in_doubt = {sync.claimant.by_name for sync in coming if sync.claimant.doubt}
        found = dict.fromkeys(leaving - in_doubt, nothing)
        for sync in coming:
            if not sync.claimant.doubt:
                found[sync.claimant] = sync.keys if sync.cluster == self.cluster else nothing
        return found | dict.fromkeys(to_come.leaving_syncs(), nothing)

    async def first_commit(self) -> None:
        """See WantedObjects.first_commit."""
        await self._wanted.first_commit()

    def needed_by_who_goes(self, right: ObjectKey) -> str:
        """What is waited for, in words, as long as another release or Kustomization has yet to be removed by means of
        ``right``: it works as that ServiceAccount, or ``right`` may give that account its rights. "" for nothing."""
        for key, account in self._wanted.to_come.going_by_account(self._sync):
            if account == right or right.group == RBAC_GROUP:
                return f"{key} to be gone, which is removed as {account}"
        return ""

    async def own_again(self, key: ObjectKey) -> bool:
        """Whether the sync, which is being removed, is to come back with an object, or may."""
        mine = await self._wanted.to_come.of_sync(self._sync, self.cluster)
        return any(key in sync.keys or sync.claimant.doubt for sync in mine)

    def others(self, commits: Collection[str], present: Collection[str] = ()) -> WantedBy:
        """A function that says who else wants some of the sync's objects. ``present``: see Question."""
        return partial(self._wanted.others, self._sync, cluster=self.cluster, commits=commits, present=present)

    async def undecided(
        self, release: ObjectKey, commits: Collection[str], present: Collection[str]
    ) -> Claimant | None:
        """Another release that may want objects of this one, because its wishes are not known; None when those of every
        other are."""
        me = Claimant.of_release(release)
        found: dict[ObjectKey, Claimant] = {}
        for cluster, keys in self.claims.held_by(me).items():
            found |= await self._wanted.others(me, keys, cluster=cluster, commits=commits, present=present)
        if (item := self._wanted.index.get(release)) is not None:
            left = [leftover.key for leftover in leftovers_of(item.manifest)]
            found |= await ReleaseClaims(self._wanted, item).others_ever(left)
        return next((claimant for claimant in found.values() if claimant.doubt), None)
