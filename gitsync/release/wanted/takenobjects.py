"""Objects of a deployed release that others have taken, or have left to it: it may have to apply them again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.apply.ownership import belongs_to
from gitsync.release.action.inventory import CRD
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.tocome import Find


@dataclass
class TakenObjects:
    """Remembers these objects by release, until the release claims the objects of its next revision. ``find`` reads an
    object."""

    claims: ObjectClaims
    find: Find
    _taken: dict[Claimant, set[ObjectKey]] = field(default_factory=dict)
    #: Objects left to a release that has yet to look whose they are.
    _left: dict[Claimant, set[ObjectKey]] = field(default_factory=dict)

    def note_taken(self, me: Claimant, keys: Iterable[ObjectKey], cluster: str) -> None:
        """``me`` is about to have these: they are taken from the releases that are deployed with some of them."""
        for key in keys:
            if key.kind == CRD:  # many charts have the same one in their crds/
                continue
            for other in self.claims.holders(key, cluster=cluster) - {me}:
                self._taken.setdefault(other, set()).add(key)

    def note_left(self, owner: Claimant, key: ObjectKey) -> bool:
        """Another leaves an object to a release. Returns whether that is news. If the release finds that its deployed
        revision is what it is to be, nothing would apply the object again; so this is remembered."""
        left = self._left.setdefault(owner, set()) if owner.kind == "HelmRelease" and key.kind != CRD else {key}
        is_news = key not in left
        left.add(key)
        return is_news

    def has_left(self, release: Claimant) -> bool:
        """Whether objects were left to a release that has yet to look whose they are."""
        return bool(self._left.get(release))

    async def of(self, release: HelmRelease) -> bool:
        """Whether some objects of a release are another's by now. For those that were left to it, the object in the
        cluster tells: it may have been taken before the agent's start, or rolled back by hand."""
        me, ref = Claimant.of_release(release.key), ObservedStatus(release.manifest).last_ref
        if ref is not None:
            for key in sorted(self._left.get(me, ())):
                live = await self.find(release.key, key)
                if live is None or not belongs_to(live, ref.name, ref.namespace):
                    self._taken.setdefault(me, set()).add(key)
                self._left.get(me, set()).discard(key)
        return bool(self._taken.get(me))

    def forget(self, release: Claimant) -> None:
        """Forget what was taken of a release that applies all of its objects again, or is gone."""
        self._taken.pop(release, None)
        self._left.pop(release, None)
