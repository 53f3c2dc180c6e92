"""What differs between two commits once their releases are rendered, without a cluster."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, NamedTuple

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.kinds import defined_kind, is_kustomization
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import HELM_GROUP, HELM_RELEASE
from gitsync.apply.claimant import Claimant
from gitsync.apply.namespaces import in_namespace
from gitsync.apply.ownership import KEPT_BY_POLICY, kept, why_not_pruned
from gitsync.charts import Rendered
from gitsync.diff import render_diff
from gitsync.errors import GitsyncError
from gitsync.manifests import Desired, is_encrypted
from gitsync.preview.dryrun import Effect, ObjectPreview
from gitsync.preview.kustomizations import WholeCommit
from gitsync.preview.plan import Preview
from gitsync.preview.releases import Problem
from gitsync.release.action.hooks import events_of
from gitsync.release.desired import desired_release, ref_of
from gitsync.release.render import Renderer
from gitsync.release.revision import context_of
from gitsync.release.values.compose import compose, secrets_in, texts_of
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.sources.charts.chart import ChartArtifact
from gitsync.sync.kustomization.inputs.building import DEFAULT_NAMESPACE
from gitsync.sync.kustomization.reconcile.finalizer import why_left
from gitsync.sync.rollout.prune import SYSTEM_NAMESPACE, is_system_namespace

#: The events of hooks that take objects over when a commit is carried out.
_ON_THE_WAY = frozenset({*events_of("install"), *events_of("upgrade")})
#: Returns whether a kind, by group and kind, is namespaced; None when that is not known.
Scope = Callable[[str, str], bool | None]


class Place(NamedTuple):
    """An object, and the name of the release that renders it, "" for what stands in Git itself, which also says in
    which cluster it is ("" for the one that the repository is for)."""

    release: str
    key: ObjectKey
    cluster: str = ""


@dataclass
class Contents:
    """All objects of a commit, HelmReleases and what they render among them. ``hooks`` are those that come and go with
    actions, and with which. ``unrendered`` are the releases for which rendering failed, and why; ``clusters`` says
    where each release is, ``secrets`` what of its values is out of Secrets. ``brought_by`` are the Kustomizations that
    objects in Git come by, as far as they do, ``kustomizations`` where each of them stands, and ``unbuilt`` those of
    which it is not known what they hold."""

    objects: dict[Place, Manifest] = field(default_factory=dict)
    origins: dict[Place, str] = field(default_factory=dict)
    hooks: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    unrendered: dict[str, str] = field(default_factory=dict)
    brought_by: dict[Place, ObjectKey] = field(default_factory=dict)
    kustomizations: dict[ObjectKey, Place] = field(default_factory=dict)
    unbuilt: frozenset[ObjectKey] = frozenset()
    problems: list[Problem] = field(default_factory=list)

    def comparable(self, unrendered: Collection[str], unbuilt: Collection[ObjectKey]) -> dict[Place, Manifest]:
        """The objects, except those of releases that could not be rendered, and of Kustomizations that could not be
        built, with all below them."""
        return {
            place: item
            for place, item in self.objects.items()
            if place.release not in unrendered and not any(above in unbuilt for above in self.lineage(place))
        }

    def lineage(self, place: Place) -> Iterator[ObjectKey]:
        """The Kustomization that an object comes by, or its HelmRelease, and those that this one comes by."""
        above = self.brought_by.get(_helm_release(place.release) if place.release else place)
        while above is not None:
            yield above
            at = self.kustomizations.get(above)
            above = self.brought_by.get(at) if at is not None else None

    def secrets_of(self, item: ObjectPreview) -> frozenset[str]:
        """The values out of Secrets that may be in an object: those of its release, and of the release that gets it."""
        names = (item.release, item.to.removeprefix("HelmRelease/"))
        return frozenset[str]().union(*(self.secrets.get(name, ()) for name in names))

    def kustomization(self, place: Place) -> str:
        """The name of the Kustomization that an object comes by; "" when it comes by the directory itself."""
        above = next(self.lineage(place), None)
        return above.namespaced_name if above is not None else ""


@dataclass
class CommitRenderer:
    """Renders what a commit wants as an install of every release would, with Helm's defaults for what a cluster would
    say. ``locate`` finds a release's chart, ``renderer`` renders it. ``namespace`` is that of objects in Git that name
    none."""

    locate: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    renderer: Renderer
    scope: Scope
    namespace: str

    async def contents(self, desired: Desired, whole: WholeCommit) -> Contents:
        """Everything in ``desired``, as ``whole`` has put it together. Raises: GitUnavailable."""
        found = Contents(
            problems=[Problem(str(error.origin), error.message, error.hint) for error in desired.errors],
            unbuilt=frozenset(whole.unbuilt),
        )
        scope = _with_definitions(self.scope, desired)
        items = [(item, whole.brought_by.get(key)) for key, item in desired.objects.items()]
        for item, by in (*items, *whole.others.values()):
            namespace = self.namespace if by is None else DEFAULT_NAMESPACE
            place = _put(found, "", _placed(item.manifest, namespace, scope), whole.cluster_by(by))
            found.origins[place] = str(item.origin)
            if by is not None:
                found.brought_by[place] = by
            if is_kustomization(place.key):
                found.kustomizations.setdefault(place.key, place)
        await asyncio.gather(*(self._add(release, desired, scope, found) for release in desired.helm_releases.values()))
        return found

    async def _add(self, release: HelmRelease, desired: Desired, scope: Scope, found: Contents) -> None:
        name = release.key.namespaced_name
        found.clusters[name] = cluster_of(release)
        try:
            rendered = await self._rendered(release, found)
        except GitsyncError as error:
            place = str(desired.objects[release.key].origin)
            found.problems.append(Problem(place, f"{release.key}: {error.message}", error.hint))
            found.unrendered[name] = error.message
            return
        namespace = ref_of(release).namespace
        for manifest in rendered.objects:
            _put(found, name, _placed(manifest, namespace, scope))
        for hook in rendered.hooks:
            found.hooks[_put(found, name, _placed(hook.object, namespace, scope))] = hook.events

    async def _rendered(self, release: HelmRelease, found: Contents) -> Rendered:
        values, secrets = await asyncio.to_thread(_values, release, found)
        found.secrets[release.key.namespaced_name] = secrets
        target = desired_release(release, await self.locate(release), values, secrets)
        ref = ref_of(release)
        return await self.renderer.render(target, context_of(ref, 1, "install"), None)


def _put(found: Contents, release: str, manifest: Manifest, cluster: str = "") -> Place:
    place = Place(release, ObjectKey.of(manifest), cluster)
    found.objects[place] = manifest
    return place


def _placed(manifest: Manifest, namespace: str, scope: Scope) -> Manifest:
    """The object in the namespace that it would come into; as it is where its kind is not known."""
    namespaced = scope(group_of(manifest["apiVersion"]), manifest["kind"])
    return manifest if namespaced is None else in_namespace(manifest, namespace, namespaced=namespaced)


def _with_definitions(scope: Scope, desired: Desired) -> Scope:
    """``scope``, and the kinds that the commit itself defines."""
    kinds = filter(None, (defined_kind(item.manifest) for item in desired.objects.values()))
    defined = {(kind.group, kind.kind): kind.namespaced for kind in kinds}

    def known(group: str, kind: str) -> bool | None:
        found = scope(group, kind)
        return defined.get((group, kind)) if found is None else found

    return known


def _values(release: HelmRelease, found: Contents) -> tuple[dict[str, Any], frozenset[str]]:
    """The values as far as the commit knows them, and what of them is out of Secrets: a reference that it does not
    hold, or holds encrypted, counts for nothing."""

    def readable(key: ObjectKey) -> Manifest | None:
        manifest = found.objects.get(Place("", key))
        return None if manifest is None or is_encrypted(manifest) else manifest

    texts = texts_of(release, readable)
    optional = tuple(reference.model_copy(update={"optional": True}) for reference in release.spec.values_from)
    spec = release.spec.model_copy(update={"values_from": optional})
    return compose(release.model_copy(update={"spec": spec}), texts), secrets_in(release, texts)


def difference(old: Contents, new: Contents, desired: Desired, sync: Claimant) -> Preview:
    """From ``old`` to ``new``, which is what ``desired`` comes to; ``sync`` has what stands in Git itself. Pure."""
    problems = [*new.problems]
    problems += [replace(item, hint="in the older commit") for item in old.problems if item not in new.problems]
    unrendered, unbuilt = {**old.unrendered, **new.unrendered}, old.unbuilt | new.unbuilt
    olds, news = old.comparable(unrendered, unbuilt), new.comparable(unrendered, unbuilt)
    leaving = _Leaving(old, new, sync, news)
    moves = {place: target for place in olds if (target := leaving.moves_to(place, news))}
    objects, unchanged = [], 0
    for place in sorted({**olds, **news}.keys() - {target for target in moves.values() if target not in olds}):
        before, after = olds.get(place), news.get(place)
        release, key = place.release, place.key
        origin = new.origins.get(place) or old.origins.get(place, "")
        target, by = moves.get(place), (old if before is not None else new).kustomization(place)
        lines = tuple(render_diff(before, after if target is None else news[target], key)[1:])
        if target is not None:
            to = str(leaving.claimant(target))
            objects.append(ObjectPreview(key, "hand over", lines, origin, release, to=to, kustomization=by))
        elif before is not None and after is None and (why := leaving.reason_to_keep(place)):
            objects.append(ObjectPreview(key, "keep", (), origin, release, why, kustomization=by))
        elif lines:
            verb: Effect = "create" if before is None else "delete" if after is None else "change"
            objects.append(ObjectPreview(key, verb, lines, origin, release, kustomization=by))
        else:
            unchanged += 1
    objects.sort(key=lambda item: (item.kustomization, item.release, item.key))
    shown = tuple(item.without(old.secrets_of(item) | new.secrets_of(item)) for item in objects)
    return Preview(desired.commit, shown, tuple(problems), unchanged=unchanged)


@dataclass(frozen=True)
class _Leaving:
    """What becomes of objects that are not where they were, as far as the commits say. ``news`` are the places of
    the newer commit that count."""

    old: Contents
    new: Contents
    sync: Claimant
    news: InitVar[Collection[Place]]
    _places: defaultdict[ObjectKey, list[Place]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self, news: Collection[Place]) -> None:
        for place in news:
            if place not in self.new.hooks or not _ON_THE_WAY.isdisjoint(self.new.hooks[place]):
                self._places[place.key].append(place)

    def moves_to(self, place: Place, news: Collection[Place]) -> Place | None:
        """The new place of an object that moves; None when nothing has it any more, or it stays where it is."""
        if place not in news:
            return self.target(place)
        return place if not place.release and self.old.kustomization(place) != self.new.kustomization(place) else None

    def target(self, place: Place) -> Place | None:
        """Where an object is from now on, be it as that of a hook which runs on the way; None when nobody has it. What
        was a hook's comes and goes with it."""
        if place in self.old.hooks:
            return None
        cluster = _cluster(place, self.old)
        places = self._places.get(place.key, ())
        return min((other for other in places if _cluster(other, self.new) == cluster), default=None)

    def claimant(self, place: Place) -> Claimant:
        """Who has an object."""
        if place.release:
            return Claimant("HelmRelease", place.release)
        by = self.new.kustomization(place)
        return Claimant("sync", by) if by else self.sync

    def reason_to_keep(self, place: Place) -> str:
        """Why an object that nothing has any more is not deleted, in words; "" when it is deleted."""
        release, key = place.release, place.key
        manifest = self.old.objects[place]
        if place in self.old.hooks:
            return ""
        if not release and is_system_namespace(key):
            return SYSTEM_NAMESPACE
        if not release and (why := why_not_pruned(manifest)):
            return why
        if not release and (why := self._stays_with_its_kustomization(place)):
            return why
        if release and kept(manifest):
            return KEPT_BY_POLICY
        if release and (why := self._stays_with_its_release(release)):
            return why
        return next((item.may_want_it for item in self._doubtful() if item.name != release), "")

    def _stays_with_its_release(self, name: str) -> str:
        """Why the objects of a release stay that is removed."""
        place = _helm_release(name)
        manifest = self.old.objects.get(place)
        if manifest is None or place in self.new.objects:
            return ""
        if why := why_not_pruned(manifest) or self._stays_with_its_kustomization(place):
            return f"HelmRelease/{name} is kept: {why}"
        return "its HelmRelease is suspended" if (manifest.get("spec") or {}).get("suspend") else ""

    def _stays_with_its_kustomization(self, place: Place) -> str:
        """Why an object stays that a Kustomization has brought, which does not prune, or is removed."""
        by = self.old.brought_by.get(place)
        if by is None:
            return ""
        at = self.old.kustomizations[by]
        manifest = self.new.objects.get(at)
        if manifest is not None:
            return "" if Kustomization.parse(manifest).spec.prune else f"the spec.prune of {by} is false"
        why = why_left(Kustomization.parse(self.old.objects[at])) or self._stays_with_its_kustomization(at)
        return f"{by} leaves its objects, for {why}" if why else ""

    def _doubtful(self) -> list[Claimant]:
        """The releases that cannot be rendered, and that the newer commit changes: each may want any object."""
        return [
            Claimant("HelmRelease", name, why)
            for name, why in sorted(self.new.unrendered.items())
            if name not in self.old.unrendered
            or self.old.objects.get(_helm_release(name)) != self.new.objects.get(_helm_release(name))
        ]


def _helm_release(name: str) -> Place:
    """Where the HelmRelease of a release is, as long as it is in Git. One in another cluster is rendered by nobody."""
    namespace, _, own = name.partition("/")
    return Place("", ObjectKey(HELM_GROUP, HELM_RELEASE, namespace, own))


def _cluster(place: Place, contents: Contents) -> str:
    """Names the cluster that an object is in."""
    return contents.clusters.get(place.release, "") if place.release else place.cluster
