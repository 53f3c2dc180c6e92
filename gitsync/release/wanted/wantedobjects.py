"""Who wants an object of a release: asked before one is deleted, and before one is taken from somebody.

What releases have is known from their inventories (``status.inventory``), what they will have that are on their way is
asked of ``tocome``: so an object that one release of a commit drops and another of the same commit gains survives also
when the first is quicker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gitsync.api.conditions import ready_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.inventory import inventory_keys
from gitsync.api.kinds import is_kustomization
from gitsync.api.names import LEFTOVERS_ANNOTATION, RBAC_GROUP
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import WantedBy
from gitsync.apply.ownership import belongs_to
from gitsync.apply.ownership import release_of as release_named
from gitsync.errors import FieldErrors, GitsyncError, ObjectTaken, RetryableError
from gitsync.release.action.inventory import CRD
from gitsync.release.dependencies.holds import Hold
from gitsync.release.dependencies.index import MAX_NESTING, ReleaseIndex
from gitsync.release.dependencies.states import is_current, state_of
from gitsync.release.desired import ref_of
from gitsync.release.leftovers import leftovers_of
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.wanted.claims import ObjectClaims, Why, kustomization_of
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.release.wanted.tocome import Find, ObjectsOf, Question, ToCome, release_of
from gitsync.runtime.progress import telling

#: Seconds since the start that a deletion waits for the first commit, which may want what is to go; and that in words.
FIRST_COMMIT_TIMEOUT = 120.0
_FIRST_COMMIT = "the first commit since the start to be read"
#: Seconds that a deletion waits for a sync to have applied the HelmReleases of its commit.
COMMIT_TIMEOUT = 60.0
#: How often it is looked anew at who is on his way when somebody is no longer, or now, about to be removed.
_LOOKS = 5
#: Why nobody can tell yet what a release wants that a commit changes.
_TO_BE_CHANGED = "which the commit has yet to change"
_GOES_ON = "whether that goes on wanting it"
#: Who may want anything before it is known which commit is wanted.
_UNKNOWN_SYNC = Claimant("sync", "of this agent", "it has read no commit since it was started")


@dataclass
class WantedObjects:
    """Answers for all releases. ``objects_of`` renders one, ``find`` reads an object; ``wake`` is called with a
    HelmRelease that waited for an object which somebody has let go."""

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
        #: The releases whose leftovers are to be looked at again.
        self._ask_again: set[ObjectKey] = set()
        #: By release, the objects that others have taken of what it is deployed as.
        self._taken_from: dict[Claimant, set[ObjectKey]] = {}
        #: By release, the objects that others have left to it since it was last looked at whose they are.
        self._left_to: dict[Claimant, set[ObjectKey]] = {}
        self.to_come = ToCome(self.index, self.claims, self.objects_of, self.find)
        self.to_come.values.on_settled = self._ask_for_leftovers
        self._patience_ends = time.monotonic() + FIRST_COMMIT_TIMEOUT

    def of(self, release: HelmRelease, commit: CommitInfo | None = None) -> ReleaseClaims:
        """What the actions on one release need of this. ``commit`` is the one that they act on; the one behind the
        release's state at each moment when None."""
        return ReleaseClaims(self, release, commit)

    def is_managed(self, release: str) -> bool:
        """Whether a release, by ``namespace/name``, is some HelmRelease's."""
        return any(str(ref_of(found)) == release for found in self.index.releases())

    def to_be_changed(self, release: ObjectKey) -> str:
        """Why a release may be another one in a moment, or be removed; "" when nothing of the kind is on its way."""
        if self.index.is_leaving(release):
            return f"{release} is about to be removed"
        return self.yet_to_take_up(release)

    def yet_to_take_up(self, release: ObjectKey) -> str:
        """What the sync that has a release in Git has yet to take up, in words; "" when that is nothing."""
        above = self.index.sync_above(release)
        revision = self.index.others.untried(kustomization_of(above)) if above else ""
        commit = self.claims.commits.get(Claimant("sync", above), "")
        if not revision or (commit and revision.endswith(commit)):
            return ""
        return f"sync {above!r}, which has it in Git, has yet to take up {revision}"

    def leftovers_may_go(self, key: ObjectKey) -> bool:
        """Whether something has happened since this was last asked that may end what a release's leftovers wait for."""
        found = key in self._ask_again
        self._ask_again.discard(key)
        return found

    def _ask_for_leftovers(self) -> None:
        """All that a commit wants is known now; or who takes values from it has had time to hear of it."""
        for key in self.index:
            if (manifest := self.index.manifest(key)) is not None and leftovers_of(manifest):
                self._ask_again.add(key)
                self.wake(key)

    def for_sync(self, sync: Claimant, cluster: str = "") -> SyncClaims:
        """What a sync needs of this, whose objects are in a cluster."""
        return SyncClaims(self, sync, cluster)

    async def others(
        self, asker: Claimant, keys: Collection[ObjectKey], *, cluster: str = "", commits: Collection[str] | None = ()
    ) -> dict[ObjectKey, Claimant]:
        """Of these objects, those that somebody else wants than ``asker``, and who. ``commits`` are those that the
        asker is acting on: a release that one of them changed may want anything while it cannot be rendered (None:
        any release may).

        Waits for the first commit since the start, and for a sync that is applying HelmReleases at this moment. Raises:
        RetryableError when that does not end.
        """
        await self.first_commit()
        await self._commits_applied()
        question, found = Question(asker, cluster, commits, tuple(keys)), dict[ObjectKey, Claimant]()
        for key in keys:
            if (hold := await self._first(key, question)) is not None:
                found[key] = hold.claimant._replace(doubt="")  # it has the object already
                self._ask_itself(hold)
        rest = [key for key in keys if key not in found]
        if rest:
            found |= await self.to_come.wishes(rest, question)
        found |= await self.to_come.unread([key for key in rest if key not in found], question)
        inside = [(key, await self.to_come.inside(key, question)) for key in rest if key not in found]
        return found | {key: claimant for key, claimant in inside if claimant is not None}

    async def first_commit(self) -> None:
        """Return when it has been read: until then nobody knows what Git wants, nor by which commits; not for ever, for
        the repository may be away."""
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
        """``release`` is about to have these objects, and to run these hooks.

        Raises: ObjectTaken when a sync or another release has one and goes on wanting it.
        """
        me, cluster = Claimant.of_release(release.key), cluster_of(release)
        wanted, run = frozenset(keys), frozenset(hooks)
        if not cluster:
            drops = filter(is_kustomization, self.claims.keys(me, "deployed") - wanted)
            self.claims.set_leaving_syncs(me, (Claimant("sync", key.namespaced_name) for key in drops))
        hold = await self.first_hold(wanted | run, but=me, cluster=cluster)
        if hold is not None:
            self.claims.set_leaving_syncs(me, ())
            self.index.set_hold(release.key, hold._replace(asked=state_of(release.manifest)))
            raise self._taken(hold)
        self.index.set_hold(release.key, None)
        self._forget_taken(me)
        self.note_taken(me, wanted, cluster)
        self.claims.set(me, "underway", wanted, cluster=cluster)
        self.claims.set(me, "hooks", run, cluster=cluster)

    async def objects_taken(self, release: HelmRelease) -> bool:
        """Whether others have taken objects of what is deployed as ``release`` since that last applied them."""
        me = Claimant.of_release(release.key)
        if self._left_to.get(me):
            await self.first_commit()
            if self.index.is_leaving(release.key):
                return False
            ref = ObservedStatus(release.manifest).last_ref
            for key in sorted(self._left_to.get(me, ())):
                live = await self.find(release.key, key)
                if ref is not None and (live is None or not belongs_to(live, ref.name, ref.namespace)):
                    self._taken_from.setdefault(me, set()).add(key)
                self._left_to.get(me, set()).discard(key)
        return bool(self._taken_from.get(me))

    def _ask_itself(self, hold: Hold) -> None:
        """Somebody leaves an object to the release that is deployed with it: whether that is still so the object itself
        says. It may have been taken meanwhile, also when nobody remembers, or rolled back by hand."""
        owner = hold.claimant.by_name
        if hold.owner is None or hold.key.kind == CRD or hold.key not in self.claims.keys(owner, "deployed"):
            return
        left = self._left_to.setdefault(owner, set())
        if hold.key not in left:
            left.add(hold.key)
            self.wake(hold.owner)

    def note_taken(self, me: Claimant, keys: Iterable[ObjectKey], cluster: str) -> None:
        """``me`` is about to have these: releases that are deployed with some of them do not as they were."""
        for key in keys:
            if key.kind == CRD:  # many charts have the same one in their crds/
                continue
            for other in self.claims.holders(key, cluster=cluster) - {me}:
                self._taken_from.setdefault(other, set()).add(key)

    def _forget_taken(self, release: Claimant) -> None:
        self._taken_from.pop(release, None)
        self._left_to.pop(release, None)

    async def first_hold(
        self, keys: Iterable[ObjectKey], *, but: Claimant, cluster: str = "", releases_only: bool = False
    ) -> Hold | None:
        """The first of these objects that somebody has and goes on wanting for good. Whoever claims them at once after
        this has said that there is none is the only one who does."""
        found = sorted(keys)
        asked: dict[ObjectKey, list[Claimant]] = {}
        claimants = partial(self.claims.claimants, cluster=cluster, but=but, for_good=True)
        # Somebody else may claim one while others are asked about: then it is asked about again.
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
        """Who has an object and goes on wanting it, as far as anybody can tell; ``but`` may have it. ``for_good``: as
        more than a hook that it is about to run."""
        return await self._first(key, Question(but, cluster), releases_only=releases_only, for_good=for_good)

    async def _first(
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
            # Whoever has let go while this was found out has told those who waited by then.
            if claimant in self.claims.claimants(key, cluster=cluster, but=asker, for_good=for_good):
                found = found or hold
                if not hold.claimant.unowned:  # who owns it says more than who has it in crds/
                    return hold
        return found

    def _goes(self, claimant: Claimant, leaving: frozenset[Claimant]) -> bool:
        """Whether a sync is about to be removed, or a release that is to go with one, or with a chart of it."""
        if claimant.kind == "sync" or not leaving:
            return claimant in leaving
        return Claimant("sync", self.index.sync_above(release_of(claimant))) in leaving

    def _is_leaving(self, release: ObjectKey) -> bool:
        """Whether a release is about to be removed, alone or with the sync that it is of."""
        if self.claims.is_leaving(Claimant.of_release(release)):
            return True
        above = self.index.sync_above(release)
        return bool(above) and Claimant("sync", above) in self.to_come.leaving_syncs()

    async def _hold(self, hold: Hold, *, for_good: bool) -> Hold | None:
        """Nothing when who has the object wants it no longer, or (``for_good``) as nobody's only."""
        owner = hold.owner
        if owner is None:
            held = await self._held_by_sync(hold)
            return None if held is not None and for_good and held.claimant.unowned else held
        manifest = self.index.manifest(owner)
        if manifest is None:
            return None
        hold = hold._replace(at=state_of(manifest))
        if self.index.is_coming(owner):
            return hold._replace(claimant=hold.claimant._replace(doubt=_TO_BE_CHANGED))
        try:
            wanted = await self._to_be(owner)
            if self.index.is_done(owner) and wanted is self.index.get(owner):
                unowned = await self._is_unowned(owner, manifest, hold.key)
                claimant: Claimant | None = hold.claimant._replace(unowned=unowned)
            else:
                objects = await self.to_come.rendered(wanted) if wanted is not None else None
                claimant = objects.claimant(owner, hold.key) if objects is not None else None
        except GitsyncError as error:
            if for_good and await self._is_unowned(owner, manifest, hold.key):
                return None
            return hold._replace(claimant=hold.claimant._replace(doubt=error.message))
        return None if claimant is None or (for_good and claimant.unowned) else hold._replace(claimant=claimant)

    async def _held_by_sync(self, hold: Hold) -> Hold | None:
        """Nothing when the sync that has the object is about to be removed, or on its way to a commit that does not
        have it: it may have to wait until then, be it for who wants the object."""
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
        """A HelmRelease as it is wanted: as it is, but for one out of a chart that is to be another one, or is to go.
        None when it will not be there. Raises: what keeps a chart from being rendered."""
        now, above = self.index.get(key), self.index.parent(key)
        if depth == MAX_NESTING or (above is None and not release_named(self.index.manifest(key) or {})):
            return now
        if above is not None and (found := await self._as_in(above, key, now, depth)) is not None:
            return found
        for other in self.to_come.releases(Claimant.of_release(above or key), ""):
            with suppress(GitsyncError):  # one that cannot be rendered may be anybody's, and must not hold this up
                if (found := await self._inner(other, key)) is not None:
                    return found
        return None if above is not None else now  # the release that it was of had another name, and may be gone

    async def _as_in(self, above: ObjectKey, key: ObjectKey, now: HelmRelease | None, depth: int) -> HelmRelease | None:
        """A HelmRelease, which is ``now`` so, as the one in whose chart it is is to have it; None when it will not."""
        if self.index.is_leaving(above) or (release := await self._to_be(above, depth + 1)) is None:
            return None
        if self.index.is_done(above) and release is self.index.get(above):
            return now
        return await self._inner(release, key)

    async def _inner(self, release: HelmRelease, key: ObjectKey) -> HelmRelease | None:
        """A HelmRelease as the chart of another one has it."""
        return next((item for item in (await self.to_come.rendered(release)).releases if item.key == key), None)

    async def _is_unowned(self, owner: ObjectKey, manifest: Manifest, key: ObjectKey) -> bool:
        """Whether a definition that a deployed release has is in its chart's ``crds/``, and not marked as its own."""
        if key.kind != CRD:
            return False
        live, ref = await self.find(owner, key), ObservedStatus(manifest).last_ref
        return live is None or ref is None or not belongs_to(live, ref.name, ref.namespace)

    def _taken(self, hold: Hold) -> ObjectTaken:
        coming = bool(hold.claimant.doubt) if hold.owner is None else self.index.is_coming(hold.owner)
        remedy = "the chart or from Git" if hold.owner is None else "one of the two charts"
        hint = f"waiting for {hold.claimant} to let go of it" if coming else f"remove it from {remedy}"
        return ObjectTaken(told(hold), key=hold.key, owner=hold.owner, hint=hint, passing=coming)

    def _on_release_change(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        claimant = Claimant.of_release(key)
        if after is None or "deletionTimestamp" in after["metadata"]:
            self.claims.forget(claimant)
            self._forget_taken(claimant)
            return
        if is_current(after):
            self.claims.set(claimant, "hooks", ())
        if is_current(after) or ready_of(after).get("status") == "False":  # what failed drops nothing
            self.claims.set_leaving_syncs(claimant, ())
        if before is None or _inventory(before) != _inventory(after):
            keys = inventory_keys(after)
            self.claims.set(claimant, "deployed", keys, cluster=self._cluster_of(key))
            if is_current(after):
                self.claims.set(claimant, "underway", ())
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


class SyncClaims:
    """What a sync needs to know: who else wants its objects, all of one cluster, and those of its releases.
    ``commits`` are those that have removed from Git what is asked about."""

    def __init__(self, wanted: WantedObjects, sync: Claimant, cluster: str) -> None:
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
            self._wanted.note_taken(self._sync, wanted - self.claims.keys(self._sync, why), self.cluster)
        self.claims.set(self._sync, why, wanted, cluster=self.cluster)

    def has(self, key: ObjectKey) -> bool:
        """Whether the sync's commit has an object."""
        return key in self.claims.keys(self._sync, "commit")

    async def hold(self, key: ObjectKey) -> Hold | None:
        """The release that has an object and goes on wanting it, as far as anybody can tell."""
        return await self._wanted.hold(key, but=self._sync, cluster=self.cluster, releases_only=True, for_good=True)

    async def take(self, key: ObjectKey) -> Hold | None:
        """Claim an object that the sync waited for: from here on it is Git's. Not so when a release has it and goes on
        wanting it, as what is returned says."""
        hold = await self._wanted.first_hold([key], but=self._sync, cluster=self.cluster, releases_only=True)
        if hold is not None:
            return hold
        held = self.claims.keys(self._sync, "let go")
        self.claim("commit", self.claims.keys(self._sync, "commit") | {key})
        self.claim("let go", held - {key})
        return None

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

    def others(self, commits: Collection[str]) -> WantedBy:
        """Says who wants some of the sync's objects."""
        return partial(self._wanted.others, self._sync, cluster=self.cluster, commits=commits)

    async def undecided(self, release: ObjectKey, commits: Collection[str]) -> Claimant | None:
        """Another release that may want objects of this one; None when it is known of every other what it wants."""
        me = Claimant.of_release(release)
        found: dict[ObjectKey, Claimant] = {}
        for cluster, keys in self.claims.held_by(me).items():
            found |= await self._wanted.others(me, keys, cluster=cluster, commits=commits)
        if (item := self._wanted.index.get(release)) is not None:
            left = [leftover.key for leftover in leftovers_of(item.manifest)]
            found |= await self._wanted.of(item).others_ever(left)
        return next((claimant for claimant in found.values() if claimant.doubt), None)


class ReleaseClaims:
    """What the actions on one release need: who else wants its objects, and a claim on those to come."""

    def __init__(self, wanted: WantedObjects, release: HelmRelease, commit: CommitInfo | None) -> None:
        self._wanted = wanted
        self._release = release
        self._commit = commit

    async def others(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """Of these objects, those that somebody else wants, and who."""
        await self._wanted.first_commit()
        release = self._release
        commit = self._commit or self._wanted.index.commit_of(release.key)
        me = Claimant.of_release(release.key)
        commits = set() if commit is None else {commit.id}
        if release.metadata.deletion_timestamp:  # by hand, it may be: then those that move what it has are news, too
            commits |= set(self._wanted.claims.commits.values())
        return await self._wanted.others(me, keys, cluster=cluster_of(release), commits=commits)

    async def others_ever(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """The same for leftovers: those of a commit that may be long past, so whatever cannot be read or rendered now
        may want them."""
        if not keys:
            return {}
        if not self._wanted.claims.first_commit.is_set():
            return dict.fromkeys(keys, _UNKNOWN_SYNC)
        me = Claimant.of_release(self._release.key)
        return await self._wanted.others(me, keys, cluster=cluster_of(self._release), commits=None)

    async def renamed(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """The same for objects of the release under a name, namespace or chart that it leaves: those that it has under
        the new one are wanted by itself."""
        own, release = await self._wanted.objects_of(self._release), self._release.key
        return {**await self.others(keys), **{key: me for key in keys if (me := own.claimant(release, key))}}

    async def claim(self, keys: Iterable[ObjectKey], hooks: Iterable[ObjectKey]) -> None:
        """See WantedObjects.claim."""
        await self._wanted.claim(self._release, keys, hooks)


def _inventory(manifest: Manifest) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = ((manifest.get("status") or {}).get("inventory") or {}).get("entries") or []
    return entries


def _noted(manifest: Manifest) -> str | None:
    note: str | None = (manifest["metadata"].get("annotations") or {}).get(LEFTOVERS_ANNOTATION)
    return note


def told(hold: Hold) -> str:
    """Who has an object, in words."""
    doubt = hold.claimant.doubt
    if hold.owner is None:
        who = f"{hold.key} is already managed by sync {hold.claimant.name!r}"
        return f"{who}, and nobody can tell yet {_GOES_ON}: {doubt}" if doubt else f"{who}, which applies it from Git"
    who = f"{hold.key} is already managed by {hold.claimant}"
    if doubt == _TO_BE_CHANGED:
        return f"{who}, {doubt}"
    return f"{who}, and nobody can tell {_GOES_ON}: {doubt}" if doubt else who
