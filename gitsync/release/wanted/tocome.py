"""What releases and syncs will want that are on their way: to another revision of the release, or of the sync's source.

Syncs are built by ``syncs``; releases, and those in their charts, are rendered when somebody asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import NamedTuple

from cachetools import LRUCache, TTLCache

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import HELM_GROUP, HELM_RELEASE
from gitsync.apply.claimant import Claimant
from gitsync.errors import FieldErrors, GitsyncError
from gitsync.release.action.inventory import CRD
from gitsync.release.dependencies.ancestry import MAX_NESTING
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import commit_of
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.comingsync import ComingSync, Commits, Inner, Syncs, cluster_of, known, no_syncs
from gitsync.release.wanted.question import Question
from gitsync.release.wanted.reach import Anywhere, Bringer, Reach, RightsToCome, Worked
from gitsync.release.wanted.renderings import ObjectsOf, Renderings
from gitsync.release.wanted.revisionobjects import RevisionObjects
from gitsync.release.wanted.valueschanges import ValuesChanges

#: Reads an object in the cluster of a release: its HelmRelease's key comes first, then the object's.
Find = Callable[[ObjectKey, ObjectKey], Awaitable[Manifest | None]]
#: Objects of which it is remembered which commit gave them to which claimant.
_MOST_GIVEN = 10_000
#: Seconds for which a commit that was read counts as the one that last changed an object.
_MOMENT = 1.0


#: The key of no HelmRelease: for ``Find``, it stands for the agent's own cluster.
_IN_OWN_CLUSTER = ObjectKey(HELM_GROUP, HELM_RELEASE, "", "")
#: The asker when nobody is to be left out.
_NOBODY = Claimant("sync", "")


class _Coming(NamedTuple):
    """A release that is on its way by ``commits``, and what it will have, or the error when it cannot be rendered."""

    release: HelmRelease
    wanted: RevisionObjects | GitsyncError
    commits: Commits

    @property
    def claimant(self) -> Claimant:
        return Claimant.of_release(self.release.key)


@dataclass
class ToCome:
    """Answers for all releases and syncs.

    - ``objects_of`` renders a release; ``find`` reads an object.
    - ``syncs`` gives the syncs that are on their way, with what they will want, those in charts included.
    - ``kustomizations`` are all in the cluster; ``leaving`` those about to be removed, as syncs, and
      ``leaving_with_charts`` also those that are in the chart of a release about to be removed.
    - ``reach`` says which objects a claimant may write.

    In the method names, "goes" and "leaves" say that a release or sync is about to be removed.
    """

    index: ReleaseIndex
    claims: ObjectClaims
    objects_of: InitVar[ObjectsOf]
    find: Find
    syncs: Syncs = no_syncs
    kustomizations: Callable[[], Collection[Kustomization]] = tuple
    leaving: Callable[[], Collection[Claimant]] = tuple
    leaving_with_charts: Callable[[], Collection[Claimant]] = tuple
    reach: Reach = field(default_factory=Anywhere)
    #: By object and claimant, the commits by which the object moved to that claimant.
    _given: LRUCache[tuple[ObjectKey, Claimant], Commits] = field(default_factory=lambda: LRUCache(_MOST_GIVEN))
    #: By object and the commits of a question, the commit that last changed the object, as it was read a moment ago.
    _stamps: TTLCache[tuple[ObjectKey, Commits], Commits] = field(
        default_factory=lambda: TTLCache(_MOST_GIVEN, _MOMENT)
    )

    def __post_init__(self, objects_of: ObjectsOf) -> None:
        self.renderings = Renderings(objects_of, lambda: self.reach)
        self.values = ValuesChanges(partial(self.find, _IN_OWN_CLUSTER))

    async def wishes(self, keys: Collection[ObjectKey], question: Question) -> dict[ObjectKey, Claimant]:
        """Which of these objects a release or sync on its way will have, or may have, and which one that is."""
        found: dict[ObjectKey, Claimant] = {}
        syncs, releases = await self._coming(question)
        rights = self._rights(syncs, releases)
        for sync in syncs:
            wanted = {key: sync.claimant._replace(doubt="") for key in keys if key in sync.keys}
            if sync.claimant.doubt:
                left = [key for key in keys if key not in found and key != sync.kustomization.key]
                left = await self._doubted(left, question, sync.commits, sync.claimant, sync.kustomization)
                wanted = dict.fromkeys(left, sync.claimant) | wanted
            found |= await self._reached(sync.kustomization, sync.commits, wanted, question, rights)
        for coming in releases:
            own = coming.release.key
            left = [key for key in keys if key not in found and key != own]  # a HelmRelease is not its own object
            if isinstance(coming.wanted, RevisionObjects):
                wanted = {key: claimant for key in left if (claimant := coming.wanted.claimant(own, key))}
            else:
                left = await self._doubted(left, question, coming.commits, coming.claimant, coming.release)
                wanted = dict.fromkeys(left, coming.claimant._replace(doubt=coming.wanted.message))
            found |= await self._reached(coming.release, coming.commits, wanted, question, rights)
        return found

    def _rights(self, syncs: Iterable[ComingSync], releases: Iterable[_Coming]) -> RightsToCome:
        bringers = [Bringer(it.kustomization, it.keys, bool(it.claimant.doubt)) for it in syncs]
        bringers += [
            Bringer(it.release, it.wanted.owned, doubted=False)
            if isinstance(it.wanted, RevisionObjects)
            else Bringer(it.release, (), doubted=True)
            for it in releases
        ]
        return RightsToCome(self.reach, bringers)

    async def _doubted(
        self, keys: list[ObjectKey], question: Question, commits: Commits, claimant: Claimant, item: Worked
    ) -> list[ObjectKey]:
        """Of these objects, those that a release or Kustomization which cannot be rendered or built may want."""
        if await self._concerns(question, commits, item):
            return keys
        return self._near(keys, claimant, item) if question.concerns_near(commits) else []

    def _near(self, keys: Iterable[ObjectKey], claimant: Claimant, item: Worked | None) -> list[ObjectKey]:
        """Of these objects, those in a namespace that the claimant is in, installs into, or has objects in."""
        owner = claimant.by_name
        near = {owner.name.partition("/")[0], *(key.namespace for key in self.claims.held_by(owner).get("", ()))}
        if item is not None:
            near.add(item.spec.target_namespace or item.metadata.namespace)
        return [key for key in keys if key.namespace in near]

    async def _concerns(self, question: Question, commits: Commits, item: Worked) -> bool:
        """Whether a release or Kustomization which cannot be rendered or built may want any object: a commit of the
        question has changed it, or its source, or an object with its values."""
        if question.concerns(commits):
            return True
        asked = frozenset(question.commits or ())
        made_of = (item.source, *item.value_sources())
        return any([not asked.isdisjoint(await self._stamp_of(key, asked)) for key in made_of])

    async def _stamp_of(self, key: ObjectKey, asked: Commits) -> Commits:
        """The commit that last changed an object. For questions about the same commits it is remembered for a moment:
        many releases that cannot be rendered may have the same source, and each object to delete is a question."""
        found = self._stamps.get((key, asked))
        if found is None:
            live = await self.find(_IN_OWN_CLUSTER, key)
            commit = commit_of(live) if live is not None else None
            found = self._stamps[key, asked] = known(commit.id if commit is not None else None)
        return found

    async def unread(self, keys: Collection[ObjectKey], question: Question) -> dict[ObjectKey, Claimant]:
        """Which of these objects a sync may want whose commit, one of the question's, cannot be read in whole."""
        found: dict[ObjectKey, Claimant] = {}
        unread: list[tuple[Claimant, Collection[ObjectKey]]] = []
        for sync, (commit, why) in self.claims.unread.items():
            if sync == question.asker or question.cluster:
                continue
            if question.concerns(frozenset({commit})):
                unread.append((sync._replace(doubt=why), keys))
            elif question.concerns_near(frozenset({commit})):
                near = self._near(keys, sync, self.reach.kustomization(sync.name))
                unread.append((sync._replace(doubt=why), near))
        rights = self._rights(*await self._coming(question)) if unread and keys else None
        for sync, may_be in unread:
            for key in may_be:
                if key not in found and await self.is_reached(sync, key, question, rights):
                    found[key] = sync
        return found

    async def inside(self, key: ObjectKey, question: Question) -> Claimant | None:
        """A claimant that wants, or will want, an object which exists and would go with ``key``, a Namespace or a
        definition; None when there is none."""
        if key.kind == CRD:
            live = await self.find(release_of(question.asker), key)
            # A definition in another cluster cannot be read here: then any kind of its group counts.
            names = (live or {}).get("spec", {}).get("names", {})
            goes: Callable[[ObjectKey], bool] = partial(_is_of_kind, key.name.partition(".")[2], names.get("kind"))
        elif (key.group, key.kind) == ("", "Namespace"):
            goes = partial(_is_in, key.name)
        else:
            return None
        asker, cluster = question.asker, question.cluster
        return (
            await self._first_reached(self._inside_now(goes, question, leaving=False), question)
            or await self._inside_to_come(goes, question)
            # Once more: one that was on its way may have arrived meanwhile.
            or await self._first_reached(self._inside_now(goes, question, leaving=False), question)
            or await self._first_that_keeps(self.claims.kept_inside(goes, cluster=cluster, but=asker), question)
            or _about_to_go(self._inside_now(goes, question, leaving=True))
        )

    def _inside_now(self, goes: Callable[[ObjectKey], bool], question: Question, *, leaving: bool) -> list[Claimant]:
        """The claimants that have something inside: those that are about to be removed (``leaving``), or the others."""
        inside = list(self.claims.inside(goes, cluster=question.cluster, but=question.asker))
        out = set(filter(self._leaves, {item.by_name for item in inside}))
        return [item for item in inside if (item.by_name in out) == leaving]

    def _leaves(self, claimant: Claimant) -> bool:
        if claimant.kind == "HelmRelease":
            return self._goes_along(release_of(claimant))
        return claimant in self.leaving_syncs() or claimant in self.leaving_with_charts()

    def leaving_syncs(self) -> frozenset[Claimant]:
        """The syncs that are about to be removed, and those that are removed with them."""
        return self.claims.leaving_syncs | frozenset(self.leaving())

    async def going(self, cluster: str) -> frozenset[Claimant]:
        """``leaving_syncs``, and those in the charts of releases that are about to be removed, unless another is to
        have them in this cluster."""
        leaving = self.leaving_syncs()
        with_charts = frozenset(self.leaving_with_charts()) - leaving
        if not with_charts:
            return leaving
        coming, _ = await self._unfolded(Question(_NOBODY, cluster))
        return leaving | (with_charts - {sync.claimant.by_name for sync in coming})

    def going_by_account(self, but: Claimant) -> Iterator[tuple[ObjectKey, ObjectKey]]:
        """The releases and Kustomizations that are being removed, or are about to be, each with the ServiceAccount as
        which that is done; without ``but``."""
        leaving = {*self.leaving_with_charts()} - {but}
        known = self.kustomizations()
        items: list[Worked] = [it for it in known if Claimant("sync", it.key.namespaced_name) in leaving]
        items += [it for it in self.index.releases() if self._goes_along(it.key)]
        for item in items:
            if item.spec.kube_config is None and (account := self.reach.account(item)):
                yield item.key, ObjectKey("", "ServiceAccount", item.key.namespace, account)

    def releases(self, but: Claimant, cluster: str) -> list[HelmRelease]:
        """The releases of a cluster that are on their way: not yet what they are to be, and not about to be removed."""
        out = {but, *self.claims.leaving}
        return [
            release
            for release in self.index.releases()
            if Claimant.of_release(release.key) not in out
            and cluster_of(release) == cluster
            and not self._goes_along(release.key)
            and not self.index.is_done(release.key)
        ]

    def goes(self, release: ObjectKey) -> bool:
        """Whether a release is about to be removed, or being so: by itself, or because its HelmRelease is in the chart
        of one that is."""
        return any(map(self._is_going, self.index.ancestry.lineage(release)))

    def _goes_along(self, release: ObjectKey) -> bool:
        """As ``goes``; also because the Kustomization that has it is about to be removed, or a release whose chart has
        that Kustomization."""
        return (
            self.goes(release)
            or Claimant("sync", self.index.ancestry.sync_above(release)) in self.leaving_with_charts()
        )

    def _is_going(self, release: ObjectKey) -> bool:
        manifest = self.index.manifest(release)
        return self.index.is_leaving(release) or (manifest is not None and "deletionTimestamp" in manifest["metadata"])

    async def is_reached(
        self, claimant: Claimant, key: ObjectKey, question: Question, rights: RightsToCome | None = None
    ) -> bool:
        """Whether a claimant may write an object, or may be about to get the right to (``rights``)."""
        item: Worked | None = None
        if claimant.kind == "sync":
            item, commits = self.reach.kustomization(claimant.name), known(self.claims.commits.get(claimant.by_name))
        else:
            with suppress(FieldErrors):
                item = self.index.get(release_of(claimant))
            commits = self._commits_of(item) if item is not None else Commits()
        return item is None or bool(await self._reached(item, commits, {key: claimant}, question, rights))

    async def _reached(
        self,
        item: Worked,
        commits: Commits,
        wanted: dict[ObjectKey, Claimant],
        question: Question,
        rights: RightsToCome | None = None,
    ) -> dict[ObjectKey, Claimant]:
        """Those of these objects that a release or Kustomization may write, or has been given by a commit of the
        question: its rights may come with that very commit, and then it counts also at later commits. If its wishes are
        not known, it counts only when some RBAC object is on its way (``rights``); else a tenant whose build fails
        would hold everybody's objects. In another cluster, all count: there the kubeConfig decides."""
        if question.cluster:
            return wanted
        found: dict[ObjectKey, Claimant] = {}
        for key, claimant in wanted.items():
            given = key, claimant.by_name
            if question.is_of(commits) and (not claimant.doubt or rights is None or await rights.to(key)):
                self._given[given] = commits
            if question.is_of(self._given.get(given, Commits())) or await self.reach.covers(item, key):
                found[key] = claimant
        return found

    async def _coming(self, question: Question) -> tuple[list[ComingSync], list[_Coming]]:
        """The syncs and releases with objects in the question's cluster that are on their way, without the asker."""
        syncs, releases = await self._unfolded(question)
        syncs, unsure = await self._with_values_to_come(syncs, {item.release.key for item in releases})
        asker, cluster = question.asker.by_name, question.cluster
        releases += [item for item in unsure if item.claimant != asker and cluster_of(item.release) == cluster]
        return [sync for sync in syncs if sync.claimant.by_name != asker and sync.cluster == cluster], releases

    async def of_sync(self, sync: Claimant, cluster: str) -> list[ComingSync]:
        """The sync itself, if it is on its way, or is to come again (perhaps in a chart), with what it will want."""
        syncs, _ = await self._unfolded(Question(sync, cluster))
        return [item for item in syncs if item.claimant.by_name == sync and item.cluster == cluster]

    async def _unfolded(self, question: Question) -> tuple[list[ComingSync], list[_Coming]]:
        """All syncs and releases on their way, also nested ones: a chart may have Kustomizations, and these
        HelmReleases with charts again."""
        inner: dict[ObjectKey, Inner] = {}
        for _ in range(MAX_NESTING):
            syncs = await self.syncs(inner.values())
            releases, found = await self._releases(question, syncs)
            if found.keys() <= inner.keys():
                break
            inner |= found
        return syncs, releases

    async def _with_values_to_come(
        self, syncs: list[ComingSync], moving: Collection[ObjectKey]
    ) -> tuple[list[ComingSync], list[_Coming]]:
        """The syncs, and further releases, whose variables or values a sync is about to change: what these will want is
        not known. ``moving`` are releases that are on their way anyway."""
        if self.values.are_settled(syncs):
            return syncs, []
        releases = [release for release in self.index.releases() if release.key not in moving]
        at_rest = self._at_rest({sync.kustomization.key for sync in syncs})
        changing = await self.values.changing([*syncs, *at_rest], releases)
        stirred = [sync for sync in at_rest if changing.of(sync.kustomization) is not None]
        return [changing.doubted(sync) for sync in (*syncs, *stirred)], [
            _Coming(release, GitsyncError(change.told), self._commits_of(release) | change.commits)
            for release in releases
            if (change := changing.of(release)) is not None
        ]

    def _at_rest(self, coming: Collection[ObjectKey]) -> list[ComingSync]:
        """The syncs that are not on their way, with the objects that they have."""
        found = []
        for item in self.kustomizations():
            if item.key not in coming:
                sync = Claimant("sync", item.key.namespaced_name)
                found.append(ComingSync(item, sync, Commits(), self.claims.keys(sync, "commit"), ()))
        return found

    async def _releases(
        self, question: Question, syncs: Iterable[ComingSync]
    ) -> tuple[list[_Coming], dict[ObjectKey, Inner]]:
        """The releases that are on their way, those of ``syncs`` and those in the charts of all these, without the
        asker; and the Kustomizations in these charts."""
        asker, cluster = question.asker, question.cluster
        inside: dict[ObjectKey, Inner] = {}
        found: list[_Coming] = []
        others = [*self.releases(asker, cluster), *self._upgraded(asker)]
        commits = {release.key: self._commits_of(release) for release in others}
        of_syncs = [(item, sync.commits) for sync in syncs for item in sync.releases if item.key not in commits]
        # As the commits have them, also where the cluster still has an earlier state.
        brought = [(it.item, known(it.commit)) for it in self.claims.brought() if isinstance(it.item, HelmRelease)]
        for release, of in (*of_syncs, *brought):
            if cluster_of(release) == cluster:
                others.append(release)
                commits[release.key] = of
        for _ in range(MAX_NESTING):
            # All at once, so that none waits for another's chart. A slow one must not keep others from ever deleting
            # anything, just as a broken one must not.
            answers = await self.renderings.all(others, commits, question)
            inner: list[HelmRelease] = []
            for other, wanted in zip(others, answers, strict=True):
                if not isinstance(wanted, RevisionObjects | GitsyncError):
                    raise wanted
                of = commits[other.key]
                if (coming := _Coming(other, wanted, of)).claimant != asker:
                    found.append(coming)
                if isinstance(wanted, RevisionObjects):
                    if not cluster:
                        inside |= {item.key: Inner(item, of) for item in wanted.kustomizations}
                    new = [item for item in wanted.releases if item.key not in commits and cluster_of(item) == cluster]
                    inner += [item for item in new if Claimant.of_release(item.key) != asker]
                    commits |= dict.fromkeys((item.key for item in new), of)
            others = inner
        return found, inside

    async def _first_reached(self, claimants: Iterable[Claimant], question: Question) -> Claimant | None:
        """The first claimant of something inside that may write it."""
        for claimant in list(claimants):
            if claimant.inside is not None and await self.is_reached(claimant, claimant.inside, question):
                return claimant
        return None

    async def _first_that_keeps(self, claimants: Iterable[Claimant], question: Question) -> Claimant | None:
        """The first claimant that keeps something inside which still exists."""
        for claimant in list(claimants):
            found = await self._first_reached([claimant], question)
            if found is not None and found.inside is not None and await self._is_there(found.inside, question):
                return found
        return None

    async def _is_there(self, key: ObjectKey, question: Question) -> bool:
        """Whether an object exists. For a sync's object in another cluster it is not known here: True."""
        elsewhere = bool(question.cluster) and question.asker.kind == "sync"
        return elsewhere or await self.find(release_of(question.asker), key) is not None

    async def _inside_to_come(self, goes: Callable[[ObjectKey], bool], question: Question) -> Claimant | None:
        """A claimant that will want an object inside which exists already (one that does not is created later, in a new
        Namespace). Those that cannot be rendered do not count: an object that may be for them is kept by its sync."""
        syncs, releases = await self._coming(question)
        wishes: list[tuple[Worked, Commits, Claimant, Collection[ObjectKey]]] = [
            (sync.kustomization, sync.commits, sync.claimant, sync.keys) for sync in syncs
        ]
        for coming in releases:
            if isinstance(coming.wanted, RevisionObjects):
                wishes.append((coming.release, coming.commits, coming.claimant, coming.wanted.owned))
        for item, commits, claimant, keys in wishes:
            for key in sorted(filter(goes, keys)):
                if await self._is_there(key, question):
                    inside = claimant._replace(inside=key, doubt="")
                    if await self._reached(item, commits, {key: inside}, question):
                        return inside
        return None

    def _upgraded(self, asker: Claimant) -> list[HelmRelease]:
        """The asker, if it is a release that is being upgraded: HelmReleases in its new chart may want objects."""
        release = self.index.get(release_of(asker)) if asker.kind == "HelmRelease" else None
        goes = release is None or release.metadata.deletion_timestamp or self.index.is_leaving(release.key)
        return [] if goes or release is None or self.index.is_done(release.key) else [release]

    def _commits_of(self, release: Worked) -> Commits:
        commit = self.index.ancestry.commit_of(release.key)
        return known(commit.id if commit is not None else None)


def _about_to_go(inside: list[Claimant]) -> Claimant | None:
    keys = tuple(item.inside for item in inside if item.inside is not None)
    return inside[0]._replace(leaves=keys) if inside else None


def release_of(claimant: Claimant) -> ObjectKey:
    """The HelmRelease of a claimant. For a sync, the key of none that exists: for ``Find``, the agent's own cluster."""
    namespace, _, name = claimant.name.partition("/")
    return ObjectKey(HELM_GROUP, HELM_RELEASE, namespace, name if claimant.kind == "HelmRelease" else "")


def _is_of_kind(group: str, kind: str | None, key: ObjectKey) -> bool:
    return key.group == group and kind in (None, key.kind)


def _is_in(namespace: str, key: ObjectKey) -> bool:
    return key.namespace == namespace
