"""What a sync needs to know of who wants its objects."""

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

#: How often it is looked anew at who is on his way when somebody is no longer, or now, about to be removed.
_LOOKS = 5


class SyncClaims:
    """What a sync needs to know: who else wants its objects, all of one cluster, and those of its releases.
    ``commits`` are those that have removed from Git what is asked about."""

    def __init__(self, wanted: WantedObjects, sync: Claimant, cluster: str = "") -> None:
        self.claims = wanted.claims
        self.cluster = cluster
        self._wanted = wanted
        self._sync = sync

    def claimants(self, key: ObjectKey, *, but: Claimant | None = None, for_good: bool = False) -> list[Claimant]:
        """Who claims an object; see ObjectClaims.claimants."""
        return self.claims.claimants(key, cluster=self.cluster, but=but, for_good=for_good)

    def claim(self, why: Why, keys: Iterable[ObjectKey]) -> None:
        """From here on the sync wants exactly these, as far as ``why`` goes."""
        wanted = frozenset(keys)
        if why == "commit":
            self._wanted.taken.note_taken(self._sync, wanted - self.claims.keys(self._sync, why), self.cluster)
        self.claims.set(self._sync, why, wanted, cluster=self.cluster)

    def has(self, key: ObjectKey) -> bool:
        """Whether the sync's commit has an object."""
        return key in self.claims.keys(self._sync, "commit")

    async def hold(self, key: ObjectKey) -> Hold | None:
        """The release that has an object and goes on wanting it, as far as anybody can tell."""
        holders = self._wanted.holders
        return await holders.hold(key, but=self._sync, cluster=self.cluster, releases_only=True, for_good=True)

    async def take(self, key: ObjectKey) -> Hold | None:
        """Claim an object that the sync waited for: from here on it is Git's. Not so when a release has it and goes on
        wanting it, as what is returned says."""
        hold = await self._wanted.holders.first_hold([key], but=self._sync, cluster=self.cluster, releases_only=True)
        if hold is not None:
            return hold
        held = self.claims.keys(self._sync, "let go")
        self.claim("commit", self.claims.keys(self._sync, "commit") | {key})
        self.claim("let go", held - {key})
        return None

    def took(self, keys: Iterable[ObjectKey]) -> None:
        """The sync has applied objects, which others may have kept for it."""
        self.claims.took(self._sync, keys, self.cluster)

    def has_news(self, release: ObjectKey | None) -> bool:
        """Whether a release has values from what a sync is changing, or has just changed."""
        try:
            item = self._wanted.index.get(release) if release is not None else None
        except FieldErrors:
            return False
        return item is not None and self._wanted.to_come.values.has_news(item)

    def emptied(self, namespace: str) -> list[Claimant]:
        """The sync has made a Namespace anew, and others, these, have lost what they had in it."""
        return self.claims.emptied(namespace, by=self._sync, cluster=self.cluster)

    def about_to_write(self, key: ObjectKey, commit: str) -> None:
        """The sync is about to write an object, which others may have values or variables from."""
        if not self.cluster:
            self._wanted.to_come.values.note(key, self._sync, commit)

    async def to_be(self) -> dict[Claimant, frozenset[ObjectKey]]:
        """What other syncs will want that are on their way, as far as somebody can tell; those that are about to be
        removed, nothing, be it with a release in whose chart they are, unless somebody else is to have them."""
        to_come, nothing = self._wanted.to_come, frozenset[ObjectKey]()
        for _ in range(_LOOKS):
            leaving = set(to_come.leaving_with_charts())
            coming = await to_come.syncs(())
            # One that was to be removed, and stays for now, would be neither among these nor among those.
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
        """Who else has yet to be removed, as an account that ``right`` is, or may be of; "" when nobody has."""
        for key, account in self._wanted.to_come.going_by_account(self._sync):
            if account == right or right.group == RBAC_GROUP:
                return f"{key} to be gone, which is removed as {account}"
        return ""

    async def own_again(self, key: ObjectKey) -> bool:
        """Whether the sync, which is being removed, is to come back with an object, as far as anybody can tell."""
        mine = await self._wanted.to_come.of_sync(self._sync, self.cluster)
        return any(key in sync.keys or sync.claimant.doubt for sync in mine)

    def others(self, commits: Collection[str], present: Collection[str] = ()) -> WantedBy:
        """Says who wants some of the sync's objects. ``present``: see Question."""
        return partial(self._wanted.others, self._sync, cluster=self.cluster, commits=commits, present=present)

    async def undecided(
        self, release: ObjectKey, commits: Collection[str], present: Collection[str]
    ) -> Claimant | None:
        """Another release that may want objects of this one; None when it is known of every other what it wants."""
        me = Claimant.of_release(release)
        found: dict[ObjectKey, Claimant] = {}
        for cluster, keys in self.claims.held_by(me).items():
            found |= await self._wanted.others(me, keys, cluster=cluster, commits=commits, present=present)
        if (item := self._wanted.index.get(release)) is not None:
            left = [leftover.key for leftover in leftovers_of(item.manifest)]
            found |= await ReleaseClaims(self._wanted, item).others_ever(left)
        return next((claimant for claimant in found.values() if claimant.doubt), None)
