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
    """What the watch of HelmReleases says, plus this agent's own writes that it has yet to say. ``namespace`` is the
    only one that is watched, "" for all.
    """

    def __init__(self, namespace: str = "") -> None:
        #: The only namespace that is watched, "" for all.
        self.namespace = namespace
        #: Which of them are about the same Helm release.
        self.owners = ReleaseOwners()
        self._manifests: dict[ObjectKey, Manifest] = {}
        self._releases: dict[ObjectKey, HelmRelease | FieldErrors] = {}
        self._needs: dict[ObjectKey, tuple[Need, ...]] = {}
        #: Where they come from.
        self.ancestry = Ancestry(self._manifests)
        # By key, the uid that is gone: an answer to our own write may come in after the watch has said so.
        self._gone: dict[ObjectKey, str] = {}
        #: What commits are about to apply.
        self._expected = ExpectedChanges(self._manifests.get)
        self._order: Order | None = None
        self._edges: KnownEdges[HelmRelease, Edge[ObjectKey]] = KnownEdges(edges_of)
        #: Where Git has what one waits for.
        self.places = EdgePlaces()
        #: The Kustomizations.
        self.others: Others = NoOthers()
        #: Called with a Kustomization that may stand otherwise than before.
        self.on_other_change: list[Callable[[ObjectKey], None]] = []
        #: Called when a cycle is written in other lines than before.
        self.on_moved: list[Callable[[], None]] = []
        self._listeners: list[Listener] = []
        #: Called when a sync has applied a commit, and what that changed is ready or has failed.
        self.on_commit_applied: list[Callable[[], None]] = []
        #: What their readyExprs say.
        self._answers = Answers()
        #: Whether a sync is about to remove a release.
        self.is_leaving: Callable[[ObjectKey], bool] = lambda key: False
        #: By release, the kind of an object of it that the API server did not serve when it was last looked at.
        self.unserved: dict[ObjectKey, KindUnknown] = {}
        #: By release, what keeps it from an object that it wants.
        self.holds: dict[ObjectKey, Hold] = {}
        #: Releases on which the agent acts, or goes on acting at once: their statuses do not have the last word.
        self._at_work: set[ObjectKey] = set()
        #: By release whose chart's source has something else that it has yet to look at, how often that has changed.
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
        """Note which kind a release needs and does not find; None when it was something else that went wrong."""
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
        """Note that an action on a release has begun, or that nothing more follows at once: what it has come to
        counts from then on. A failure is Stalled, as in Flux, before the rollback that follows it has begun."""
        manifest = self._manifests.get(key)
        if at_work and manifest is not None:
            self._at_work.add(key)
        elif key in self._at_work:
            self._at_work.discard(key)
            if manifest is not None:
                self._tell(key, manifest, manifest)

    def set_news(self, key: ObjectKey) -> None:
        """Note that the source of a release's chart, or what its values are from, has something else, which the release
        has yet to look at."""
        self._news[key] = self._news.get(key, 0) + 1

    @contextmanager
    def looking(self, key: ObjectKey) -> Iterator[None]:
        """A pass of a release: afterwards it has looked at what was news before."""
        news = self._news.get(key)
        yield
        if news is not None and self._news.get(key) == news:
            del self._news[key]

    def is_done(self, key: ObjectKey) -> bool:
        """Whether a release is what it is to be, as far as it has been told."""
        manifest = self._manifests.get(key)
        return manifest is not None and is_current(manifest) and key not in self._news

    @property
    def is_any_at_work(self) -> bool:
        """Whether the agent acts on some release."""
        return bool(self._at_work)

    def at_work(self, key: ObjectKey) -> bool:
        """Whether the agent acts on a release, or goes on acting on it at once."""
        return key in self._at_work

    def concerned_by(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """These releases, and all that wait for one of them, be it through others: by dependsOn, or since it has an
        object that they want."""
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
        """Whether ``key`` is held back by its readyExprs about ``dependency``, and that as it is now."""
        manifest = self.dependency(dependency)
        present = version(manifest) if manifest is not None else 0
        answers = [self.answer(key, need) for need in self.needs(key) if need[0] == dependency]
        return any(found.why_not and found.version >= present > 0 for found in answers)

    def answer(self, key: ObjectKey, need: Need) -> Answer:
        """What a readyExpr of a release says of a dependency."""
        return self._answers.of(key, need)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener(key, before, after)`` called for every change, None standing for "not there". Ends with the
        function returned."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """Inside, set by each change of a release, and of a Kustomization."""
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
        """Take a state of an object in, unless it or a newer one is known."""
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
        """The object is gone. With a ``uid`` only that one: another of its name may be there by now."""
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
        """A sync is about to apply these: while they are on their way, who depends on one that is not there yet waits
        for it, and is not told that it does not exist. Yields what is to be called for each that has been dealt with.
        """
        expected = self._expected.begin(keys)

        def arrived(key: ObjectKey) -> None:
            self._expected.arrived(expected, key)
            if not is_release(key):
                self._tell_of_other(key)
                return
            manifest = self._manifests.get(key)  # None: it could not be applied, and who depends on it is told that
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
        """Return when no sync is about to apply a HelmRelease: what is known here is what the commits say."""
        await self._expected.until_none()

    def expects(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release or Kustomization, or just has."""
        return key in self._expected

    def brought(self, applied: Manifest) -> None:
        """A Kustomization was applied; that it is there, or is another one, may be heard of later."""
        key = ObjectKey.of(applied)
        self._expected.brought(key, _generation(applied), _generation(self.others.manifest(key)))

    def may_let_go(self, key: ObjectKey) -> bool:
        """Whether a release is about to be removed or changed, or the one whose chart it is out of is, or has yet to
        become what it is to be."""
        lineage = self.ancestry.lineage(key)
        if key in self.owners.uninstalled or any(map(self.is_leaving, lineage)) or self.is_coming(key):
            return True
        return not all(is_current(self._manifests[above]) for above in lineage[1:])

    def is_coming(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release, or one whose chart it is out of."""
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
        """Every one that can be read, typed."""
        return [release for release in self._releases.values() if isinstance(release, HelmRelease)]

    @property
    def graph(self) -> Graph[ObjectKey]:
        """What ``dependsOn`` names, of all HelmReleases and Kustomizations."""
        return self._whole_order().graph

    @property
    def held(self) -> Mapping[ObjectKey, HeldByCycle[ObjectKey]]:
        """Those in or behind a cycle."""
        return self._whole_order().held

    def cycle_of(self, key: ObjectKey) -> BlockedError | None:
        """The dependency cycle that a release is a member of; None when it is not, though it may be behind one."""
        held = self.held.get(key)
        return cycle_error(held.cycle) if held is not None and held.via is None else None

    def _whole_order(self) -> Order:
        """Made anew when a dependsOn changed, or somebody came or went."""
        if self._order is None:
            readable = {key: it for key, it in self._releases.items() if isinstance(it, HelmRelease)}
            found = self._edges.of(readable)
            edges = {key: found.get(key, ()) for key in self._releases}
            self._order = Order.of_edges(edges, self.others, self.places.place)
        return self._order

    def others_ordered(self) -> None:
        """Kustomizations depend on others than before."""
        self._order = None

    def written(self, items: Iterable[DesiredObject]) -> None:
        """A commit has these objects, be it in other lines than the one before: those in cycles say in which."""
        moved = [item.key for item in items if self.places.note(item)]
        if self._order is not None and any(key in self._order.held for key in moved):
            self._order = None
            for listener in self.on_moved:
                listener()

    def other_changed(self, key: ObjectKey) -> None:
        """What is known of a Kustomization is another by now, or it is gone: those that wait for it look again."""
        manifest = self.others.manifest(key)
        self._expected.heard(key, None if manifest is None else _generation(manifest))
        self._tell_of_other(key)

    def _tell_of_other(self, key: ObjectKey) -> None:
        # Not by the graph, which many new Kustomizations would have made anew for each.
        for dependent in [release for release, needs in self._needs.items() if any(it[0] == key for it in needs)]:
            if (manifest := self._manifests.get(dependent)) is not None:
                self._tell(dependent, manifest, manifest)
        for listener in self.on_other_change:
            listener(key)

    def dependency(self, key: ObjectKey) -> Manifest | None:
        """What a release may depend on, as JSON: a HelmRelease or a Kustomization; None when there is none."""
        return self._manifests.get(key) if is_release(key) else self.others.manifest(key)

    def blocked(self, key: ObjectKey) -> Blocked | None:
        """What holds ``key`` back; None when nothing does. See ``blocked.blocked``."""
        return blocked(self, key)

    def dependents_being_deleted(self, key: ObjectKey) -> frozenset[ObjectKey]:
        """Those that depend on a release or Kustomization and are being deleted as well: they go first. Those in a
        cycle with it do not count, or none could ever go."""
        if key in self.held or key not in self.graph:
            return frozenset()
        dependents = {item: self.dependency(item) for item in self.graph.dependents(key)}
        return frozenset(item for item, found in dependents.items() if found and _is_deleted(found))

    def needs(self, key: ObjectKey) -> tuple[Need, ...]:
        """What a release depends on."""
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
