"""Who wants the objects of one release: what the actions on it ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.release.wanted.wantedobjects import WantedObjects

#: Stands for the sync of the settings, which may want anything before it has read its first commit.
_UNKNOWN_SYNC = Claimant("sync", "of this agent", "it has read no commit since it was started")


class ReleaseClaims:
    """Who else wants the objects of a release; and claiming objects for its next revision. ``commit`` is the one that
    is acted on; None for the commit behind the release's state when it asks."""

    def __init__(self, wanted: WantedObjects, release: HelmRelease, commit: CommitInfo | None = None) -> None:
        self._wanted = wanted
        self._release = release
        self._commit = commit

    async def others(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """Of these objects, those that somebody else wants, and who."""
        await self._wanted.first_commit()
        release = self._release
        commit = self._commit or self._wanted.index.ancestry.commit_of(release.key)
        me = Claimant.of_release(release.key)
        commits = set() if commit is None else {commit.id}
        # It may be deleted by hand: then any commit that is under way may have moved its objects.
        present = self._wanted.claims.commits.values() if release.metadata.deletion_timestamp else ()
        return await self._wanted.others(
            me, keys, cluster=cluster_of(release), commits=commits, present=frozenset(present)
        )

    async def others_ever(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """As ``others``, for leftovers. The commit that moved them may be long past, so that everything which cannot be
        read or rendered now may want them."""
        if not keys:
            return {}
        if not self._wanted.claims.first_commit.is_set():
            return dict.fromkeys(keys, _UNKNOWN_SYNC)
        me = Claimant.of_release(self._release.key)
        return await self._wanted.others(me, keys, cluster=cluster_of(self._release), commits=None)

    async def renamed(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """As ``others``, for uninstalling the release under a name, namespace or chart that it gives up: objects that
        it has under the new one are wanted by itself."""
        own, release = await self._wanted.objects_of(self._release), self._release.key
        return {**await self.others(keys), **{key: me for key in keys if (me := own.claimant(release, key))}}

    async def claim(self, keys: Iterable[ObjectKey], hooks: Iterable[ObjectKey]) -> None:
        """See WantedObjects.claim."""
        await self._wanted.claim(self._release, keys, hooks)
