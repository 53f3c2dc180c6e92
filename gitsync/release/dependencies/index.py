"""Every HelmRelease of the cluster, typed, with what waits for what. State only; no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.apply.wait import version
from gitsync.errors import BlockedError, FieldErrors, KindUnknown
from gitsync.graph import Edge, Graph, HeldByCycle
from gitsync.manifests import DesiredObject
from gitsync.release.dependencies.ancestry import Ancestry
from gitsync.release.dependencies.answers import Answer, Answers, Need
from gitsync.release.dependencies.blocked import Blocked, blocked
from gitsync.release.dependencies.expected import ExpectedChanges
from gitsync.release.dependencies.holds import Hold
from gitsync.release.dependencies.order import Order, cycle_error
from gitsync.release.dependencies.others import NoOthers, Others
from gitsync.release.dependencies.places import EdgePlaces, KnownEdges, edges_of
from gitsync.release.dependencies.release_owners import ReleaseOwners
from gitsync.release.dependencies.states import is_current

Listener = Callable[[ObjectKey, Manifest | None, Manifest | None], None]


class ReleaseIndex:
    """All HelmReleases as the watch has them, with this agent's own writes that the watch has yet to show.
    ``namespace`` is the only one that is watched, "" for all.
    """

    def __init__(self, namespace: str = "") -> None:
        #: The only namespace that is watched, "" for all.
        self.namespace = namespace
        #: Which HelmReleases name the same Helm release.
        self.owners = ReleaseOwners()
        self._manifests: dict[ObjectKey, Manifest] = {}
        self._releases: dict[ObjectKey, HelmRelease | FieldErrors] = {}
        self._needs: dict[ObjectKey, tuple[Need, ...]] = {}
        #: Where HelmReleases come from: parents, syncs, commits.
        self.ancestry = Ancestry(self._manifests)
        # By key, the uid of an object that is gone: the answer to our own write may come after the watch has shown
        # that.
        self._gone: dict[ObjectKey, str] = {}
        #: What commits are about to apply.
        self._expected = ExpectedChanges(self._manifests.get)
        self._order: Order | None = None
        self._edges: KnownEdges[HelmRelease, Edge[ObjectKey]] = KnownEdges(edges_of)
        #: In which line of Git each dependency is written.
        self.places = EdgePlaces()
        #: The Kustomizations.
        self.others: Others = NoOthers()
        #: Called with a Kustomization that may stand otherwise than before, or is gone.
        self.on_other_change: list[Callable[[ObjectKey], None]] = []
        #: Called when a cycle may be written in other lines of Git than before.
        self.on_moved: list[Callable[[], None]] = []
        self._listeners: list[Listener] = []
        #: Called when a sync has applied a commit, and the changed releases are ready or have failed.
        self.on_commit_applied: list[Callable[[], None]] = []
        #: The results of readyExprs.
        self._answers = Answers()
        #: Whether a sync is about to remove a release.
        self.is_leaving: Callable[[ObjectKey], bool] = lambda key: False
        #: By release, the kind of one of its objects that was not served at its last pass.
        self.unserved: dict[ObjectKey, KindUnknown] = {}
        #: By release, what keeps it from an object that it wants.
        self.holds: dict[ObjectKey, Hold] = {}
        #: Releases on which the agent is acting: their statuses are about to change.
        self._at_work: set[ObjectKey] = set()
        #: By release, how often its source or values have changed since its last pass; absent when they have not.
        self._news: dict[ObjectKey, int] = {}

    def set_answer(self, key: ObjectKey, dependency: Manifest, expression: str, why_not: str) -> None:
        """Note the answer to one of ``key``'s readyExprs about ``dependency`` as it was then; it stands until the next.

        ``why_not`` says why it holds ``key`` back, "" when it does not.
        """
        need, manifest = (ObjectKey.of(dependency), expression), self._manifests.get(key)
        if manifest is None:
            return
        if self._answers.note(key, need, Answer(why_not, version(dependency)), self.needs(key)):
            self._tell(key, manifest, manifest)

    def set_unserved(self, key: ObjectKey, error: KindUnknown | None) -> None:
        """Note the kind that a release needs and that is not served; None when its last pass had another error, or
        none."""
        if error is None:
            self.unserved.pop(key, None)
        else:
            self.unserved[key] = error

    def set_hold(self, key: ObjectKey, hold: Hold | None) -> None:
        """Note what keeps a release from an object that it wants; None when nothing does any more."""
        before, manifest = self.holds.pop(key, None), self._manifests.get(key)
        if hold is not None:
            self.holds[key] = hold
        if manifest is not None and before != hold:
            self._tell(key, manifest, manifest)

    def set_at_work(self, key: ObjectKey, *, at_work: bool) -> None:
        """Note that an action on a release has begun, or has ended with nothing following at once: from then on its
        status counts. (Between a failure and its rollback, the status is Stalled for a moment, as in Flux.)"""
        manifest = self._manifests.get(key)
        if at_work and manifest is not None:
            self._at_work.add(key)
        elif key in self._at_work:
            self._at_work.discard(key)
            if manifest is not None:
                self._tell(key, manifest, manifest)

    def set_news(self, key: ObjectKey) -> None:
        """Note that the source of a release's chart, or an object with its values, has changed, which the release has
        yet to look at."""
        self._news[key] = self._news.get(key, 0) + 1

    @contextmanager
    def looking(self, key: ObjectKey) -> Iterator[None]:
        """Make a pass over a release in the body: afterwards it has looked at all that had changed before."""
        news = self._news.get(key)
        yield
        if news is not None and self._news.get(key) == news:
            del self._news[key]

    def is_done(self, key: ObjectKey) -> bool:
        """Whether a release has come to its wanted state, and has looked at all changes so far."""
        manifest = self._manifests.get(key)
        return manifest is not None and is_current(manifest) and key not in self._news

    @property
    def is_any_at_work(self) -> bool:
        """Whether the agent is acting on any release."""
        return bool(self._at_work)

    def at_work(self, key: ObjectKey) -> bool:
        """Whether the agent is acting on a release, or will go on at once."""
        return key in self._at_work

    def concerned_by(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """These releases, and all that wait for one of them, directly or through others: by dependsOn, or because one
        has an object that the other wants."""
        held_by: dict[ObjectKey, list[ObjectKey]] = {}
        for key, hold in self.holds.items():
            if hold.owner is not None:
                held_by.setdefault(hold.owner, []).append(key)
        for edge in self.graph.missing():
            held_by.setdefault(edge.dependency, []).append(edge.dependent)
        found: set[ObjectKey] = set()
        open_ends = list(keys)
        while open_ends:
            key = open_ends.pop()
            if key not in found:
                found.add(key)
                open_ends += held_by.get(key, ())
                open_ends += self.graph.dependents(key) if key in self.graph else ()
        return found

    def answered(self, key: ObjectKey, dependency: ObjectKey) -> bool:
        """Whether ``key`` is held back by its readyExprs about ``dependency`` in its present version."""
        manifest = self.dependency(dependency)
        present = version(manifest) if manifest is not None else 0
        answers = [self.answer(key, need) for need in self.needs(key) if need[0] == dependency]
        return any(found.why_not and found.version >= present > 0 for found in answers)

    def answer(self, key: ObjectKey, need: Need) -> Answer:
        """The last result of a release's readyExpr about a dependency."""
        return self._answers.of(key, need)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener(key, before, after)`` called for every change; ``before`` is None for a new object, ``after``
        for one that is gone. The function returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """An Event that is set, during the body, by each change of a release or Kustomization."""
        event = asyncio.Event()

        def changed(*_: object) -> None:
            event.set()

        unsubscribe = self.subscribe(changed)
        self.on_other_change.append(changed)
        try:
            yield event
        finally:
            unsubscribe()
            self.on_other_change.remove(changed)

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(list(self._manifests))

    def __len__(self) -> int:
        return len(self._manifests)

    def update(self, key: ObjectKey, manifest: Manifest) -> None:
        """Take in a state of an object, unless that or a newer one is known."""
        before = self._manifests.get(key)
        if before is not None and version(before) >= version(manifest):
            return
        uid = manifest["metadata"].get("uid")
        if before is None and uid and self._gone.get(key) == uid:
            return
        self._manifests[key] = manifest
        release = _parse(manifest)
        self._set_release(key, release)
        self.owners.update(key, release if isinstance(release, HelmRelease) else None)
        needs = _needs(release)
        if before is None or needs != self._needs[key]:
            self._order = None
        self._needs[key] = needs
        self._expected.look()
        self._tell(key, before, manifest)

    def forget(self, key: ObjectKey, uid: str = "") -> None:
        """The object is gone. With a ``uid``, only the one with that: there may be a new one of its name by now."""
        if uid and (known := self._manifests.get(key)) is not None and known["metadata"].get("uid") != uid:
            return
        before = self._manifests.pop(key, None)
        self._set_release(key, None)
        self._needs.pop(key, None)
        self.places.forget(key)
        self.owners.update(key, None)
        self.ancestry.set_remover(key, None)
        self._answers.forget(key)
        self.holds.pop(key, None)
        self.unserved.pop(key, None)
        self._at_work.discard(key)
        self._news.pop(key, None)
        self._order = None
        if before is not None:
            self._gone[key] = before["metadata"].get("uid", "")
            self._expected.look()
            self._tell(key, before, None)

    def _set_release(self, key: ObjectKey, release: HelmRelease | FieldErrors | None) -> None:
        before = self._releases.pop(key, None)
        if isinstance(before, HelmRelease):
            self.ancestry.remove(before)
        if release is not None:
            self._releases[key] = release
        if isinstance(release, HelmRelease):
            self.ancestry.add(release)

    def _tell(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        for listener in list(self._listeners):
            listener(key, before, after)

    @contextmanager
    def expecting(self, keys: Iterable[ObjectKey]) -> Iterator[Callable[[ObjectKey], None]]:
        """A sync applies these objects in the body: meanwhile, one that depends on an object which is not there yet
        waits for it, rather than failing because it does not exist. Yields a function to call for each object that was
        applied or refused.
        """
        expected = self._expected.begin(keys)

        def arrived(key: ObjectKey) -> None:
            self._expected.arrived(expected, key)
            if not is_release(key):
                self._tell_of_other(key)
                return
            manifest = self._manifests.get(key)  # None when it could not be applied: then its dependents hear that
            self._tell(key, manifest, manifest)

        try:
            yield arrived
        finally:
            self._expected.end(expected)
            for key in filter(is_release, expected - self._manifests.keys()):
                self._tell(key, None, None)
        for listener in self.on_commit_applied:
            listener()

    async def commits_applied(self) -> None:
        """Return when no sync is about to apply a HelmRelease: then the index is as the commits have it."""
        await self._expected.until_none()

    def expects(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release or Kustomization, or just has."""
        return key in self._expected

    def brought(self, applied: Manifest) -> None:
        """A Kustomization was applied; the watch may show it later."""
        key = ObjectKey.of(applied)
        self._expected.brought(key, _generation(applied), _generation(self.others.manifest(key)))

    def may_let_go(self, key: ObjectKey) -> bool:
        """Whether a release may give up objects soon: it, or one above it, is about to be removed or changed, or has
        yet to come to its wanted state."""
        lineage = self.ancestry.lineage(key)
        if key in self.owners.uninstalled or any(map(self.is_leaving, lineage)) or self.is_coming(key):
            return True
        return not all(is_current(self._manifests[above]) for above in lineage[1:])

    def is_coming(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release, or one above it."""
        return self._expected.is_any and any(map(self.expects, self.ancestry.lineage(key)))

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """The object as JSON, None when there is none."""
        return self._manifests.get(key)

    def get(self, key: ObjectKey) -> HelmRelease | None:
        """The object, typed; None when there is none.

        Raises: FieldErrors when it cannot be read (somebody's CRD lets more through than ours).
        """
        found = self._releases.get(key)
        if isinstance(found, FieldErrors):
            raise found
        return found

    def releases(self) -> list[HelmRelease]:
        """All that can be read, typed."""
        return [release for release in self._releases.values() if isinstance(release, HelmRelease)]

    @property
    def graph(self) -> Graph[ObjectKey]:
        """The ``dependsOn`` of all HelmReleases and Kustomizations."""
        return self._whole_order().graph

    @property
    def held(self) -> Mapping[ObjectKey, HeldByCycle[ObjectKey]]:
        """The objects in or behind a cycle."""
        return self._whole_order().held

    def cycle_of(self, key: ObjectKey) -> BlockedError | None:
        """The dependency cycle that a release is a member of; None when it is not, though it may be behind one."""
        held = self.held.get(key)
        return cycle_error(held.cycle) if held is not None and held.via is None else None

    def _whole_order(self) -> Order:
        """The graph; made anew when a dependsOn has changed, or an object came or went."""
        if self._order is None:
            readable = {key: it for key, it in self._releases.items() if isinstance(it, HelmRelease)}
            found = self._edges.of(readable)
            edges = {key: found.get(key, ()) for key in self._releases}
            self._order = Order.of_edges(edges, self.others, self.places.place)
        return self._order

    def others_ordered(self) -> None:
        """Kustomizations have other dependencies than before: the graph is made anew."""
        self._order = None

    def written(self, items: Iterable[DesiredObject]) -> None:
        """A commit has these objects, perhaps in other lines than the one before: messages about cycles name these."""
        moved = [item.key for item in items if self.places.note(item)]
        if self._order is not None and any(key in self._order.held for key in moved):
            self._order = None
            for listener in self.on_moved:
                listener()

    def other_changed(self, key: ObjectKey) -> None:
        """A Kustomization has changed, or is gone: those that wait for it look again."""
        manifest = self.others.manifest(key)
        self._expected.heard(key, None if manifest is None else _generation(manifest))
        self._tell_of_other(key)

    def _tell_of_other(self, key: ObjectKey) -> None:
        # Without the graph, which would be made anew for each of many new Kustomizations.
        for dependent in [release for release, needs in self._needs.items() if any(it[0] == key for it in needs)]:
            if (manifest := self._manifests.get(dependent)) is not None:
                self._tell(dependent, manifest, manifest)
        for listener in self.on_other_change:
            listener(key)

    def dependency(self, key: ObjectKey) -> Manifest | None:
        """A HelmRelease or Kustomization, as JSON; None when there is none."""
        return self._manifests.get(key) if is_release(key) else self.others.manifest(key)

    def blocked(self, key: ObjectKey) -> Blocked | None:
        """What holds ``key`` back; None when nothing does. See ``blocked.blocked``."""
        return blocked(self, key)

    def dependents_being_deleted(self, key: ObjectKey) -> frozenset[ObjectKey]:
        """The objects that depend on a release or Kustomization and are being deleted as well: they are removed first.
        Those in a cycle with it do not count, or none could ever be removed."""
        if key in self.held or key not in self.graph:
            return frozenset()
        dependents = {item: self.dependency(item) for item in self.graph.dependents(key)}
        return frozenset(item for item, found in dependents.items() if found and _is_deleted(found))

    def needs(self, key: ObjectKey) -> tuple[Need, ...]:
        """The dependencies of a release."""
        return self._needs.get(key, ())


def _is_deleted(manifest: Manifest) -> bool:
    return "deletionTimestamp" in manifest["metadata"]


def _parse(manifest: Manifest) -> HelmRelease | FieldErrors:
    try:
        return HelmRelease.parse(manifest)
    except FieldErrors as error:
        return error


def _generation(manifest: Manifest | None) -> int:
    """0 of what is not there."""
    return int(manifest["metadata"].get("generation", 0)) if manifest is not None else 0


def _needs(release: HelmRelease | FieldErrors) -> tuple[Need, ...]:
    if not isinstance(release, HelmRelease):
        return ()
    own = release.metadata.namespace
    return tuple((item.key(own), item.ready_expr) for item in release.spec.depends_on)
