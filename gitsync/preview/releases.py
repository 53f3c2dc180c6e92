"""What would become of releases. The agent's own code gathers the facts, decides, and renders; only the actions are
left out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import Deletion, DeletionRules, WantedBy, delete_objects
from gitsync.apply.deleted import find_all
from gitsync.apply.namespaces import served, served_keys
from gitsync.apply.ownership import KEPT_BY_POLICY, belongs_to, kept, owned
from gitsync.cel.expressions import Expressions
from gitsync.errors import FieldErrors, GitsyncError, ObjectTaken, ServiceAccountMissing
from gitsync.manifests import Desired
from gitsync.preview.dryrun import ObjectPreview, ObjectPreviews, handed_over, in_namespaces
from gitsync.release.action.hooks import hook_objects
from gitsync.release.action.takeover import why_kept
from gitsync.release.clusters import TargetCluster, TargetClusters
from gitsync.release.delta import delta
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.release_owners import ReleaseIdentity
from gitsync.release.desired import DesiredRelease, desired_release, ref_of
from gitsync.release.leftovers import Leftovers, leftovers_of
from gitsync.release.reconcile.decide import NextAction, made_by
from gitsync.release.reconcile.facts import Facts
from gitsync.release.reconcile.foresee import BRINGS_DESIRED, Content, Foresight, foresee
from gitsync.release.reconcile.gather import FactFinder, Lookups, facts_of_spec
from gitsync.release.reconcile.remediation import rollback_target
from gitsync.release.render import Renderer
from gitsync.release.revision import ReleaseRef, RevisionContent, content_of, objects_of
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.storage.record import Record, secret_key
from gitsync.release.values.compose import compose, secrets_in, texts_of
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.release.wanted.releaseclaims import ReleaseClaims
from gitsync.release.wanted.revisionobjects import RevisionObjects, coming_action, hooks_on_the_way, revision_objects
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.sources.charts.chart import ChartArtifact


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps the commit from being carried out. ``place`` is file:line:column, or the object."""

    place: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ReleasePreview:
    """What would become of one release: the objects that would change, or the problem that keeps it from being
    known."""

    objects: tuple[ObjectPreview, ...] = ()
    problems: tuple[Problem, ...] = ()

    def without(self, secrets: Collection[str]) -> ReleasePreview:
        """The same, these values masked in what the objects' differences show."""
        return replace(self, objects=tuple(item.without(secrets) for item in self.objects))


@dataclass(frozen=True, slots=True)
class UninstallPreview:
    """What a HelmRelease takes along that is removed: its objects, and by ``gone`` all that is there no more, Helm's
    records included. ``why`` says why it takes nothing."""

    objects: tuple[ObjectPreview, ...] = ()
    gone: frozenset[ObjectKey] = frozenset()
    why: str = ""


@dataclass
class ReleasePreviewer:
    """Looks at the releases of a commit. ``index`` has all HelmReleases as they are after it, ``present`` as they are
    now, and ``claims`` what they have so far; ``locate`` finds a chart as the commit has it. ``wanted`` answers as the
    agent would, once it has applied the commit's HelmReleases.
    """

    desired: Desired
    index: ReleaseIndex
    clusters: TargetClusters
    locate: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    renderer: Renderer
    expressions: Expressions
    objects: ObjectPreviews
    claims: ObjectClaims
    present: ReleaseIndex

    def __post_init__(self) -> None:
        self.wanted = WantedObjects(self.index, self.claims, self._objects_of, self._find, lambda _: None)
        #: By release, the objects of the revision that it asks for, or why they are not known.
        self._found: dict[ObjectKey, RevisionObjects | GitsyncError] = {}
        self._finding: defaultdict[ObjectKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def preview(self, release: HelmRelease) -> ReleasePreview:
        """What the agent would do about a release, once all that it depends on is ready."""
        name = release.key.namespaced_name
        try:
            facts, finder = await self._facts(release)
            previous = await self._previous(facts, finder)
            held = await asyncio.to_thread(content_of, previous) if previous else None
            foresight = foresee(facts, held.digests if held else None)
            error = foresight.last.error
            if isinstance(error, FieldErrors):
                return ReleasePreview(problems=tuple(self._field_problems(release, error)))
            if error is not None:
                return ReleasePreview(problems=(self.problem(release.key, error),))
            if finder.desired is None or finder.target is None:  # it is suspended
                return ReleasePreview()
            look = _Look(self, release, name, finder.target, finder.desired)
            outcome = await look.outcome(facts, foresight, previous)
            if not outcome.objects:
                return outcome
            return outcome.without(finder.desired.secrets | await self._present_secrets(release))
        except GitsyncError as found:
            return ReleasePreview(problems=(self.problem(release.key, found),))

    def problem(self, key: ObjectKey, error: GitsyncError) -> Problem:
        """The problem of a release, at the place of its HelmRelease in Git."""
        item = self.desired.objects.get(key)
        return Problem(str(item.origin) if item is not None else "the cluster", f"{key}: {error.message}", error.hint)

    async def uninstalled(self, release: HelmRelease) -> UninstallPreview:
        """What is removed with a release when its HelmRelease leaves Git."""
        if release.spec.suspend:
            return UninstallPreview(why="and leaves its objects, for it is suspended")
        if (other := self.index.owners.owner(ReleaseIdentity.of(release), but=release.key)) is not None:
            return UninstallPreview(why=f"its release is left to {other}")
        name, ref = release.key.namespaced_name, ref_of(release)
        wanted_by = ReleaseClaims(self.wanted, release, self.desired.commit).others
        try:
            target = await self.clusters.of(release)
            why = "uninstalled with its release"
            left = await self.leftovers(release).delete(target.cluster, dry_run=True)
            objects = await self.all_of(target, ref, name, why, wanted_by, handled=[*left.deleted, *left.handed_over])
            objects += [ObjectPreview(key, "delete", (), "", name, why) for key in left.deleted]
            objects += await _left_alone(target, name, why, left, ())
        except GitsyncError as error:
            why = f"cannot be uninstalled: {error.message}"
            return UninstallPreview((ObjectPreview(release.key, "unknown", release=name, why=why),))
        if cluster_of(release):
            return UninstallPreview(tuple(objects))
        gone = {item.key for item in objects if item.verb == "delete"}
        if not release.spec.uninstall.keep_history:
            revisions = target.records.revisions(ref.storage, ref.name)
            gone |= {secret_key(ref.storage, ref.name, item.version) for item in revisions}
        return UninstallPreview(tuple(objects), frozenset(gone))

    async def _find(self, release: ObjectKey, key: ObjectKey) -> Manifest | None:
        return await self.clusters.at(release).cluster.find(key)

    async def _objects_of(self, release: HelmRelease) -> RevisionObjects:
        """The objects of the revision that a release asks for. Raises: what keeps it from being rendered."""
        async with self._finding[release.key]:
            found = self._found.get(release.key)
            if found is None:
                try:
                    target = await self._target(release)
                    values, secrets = await self._values(release)
                    chart = await self.locate(release)
                    desired = await asyncio.to_thread(desired_release, release, chart, values, secrets)
                    found = await revision_objects(self.renderer, target, release, desired)
                except GitsyncError as error:
                    found = error
                self._found[release.key] = found
        if isinstance(found, GitsyncError):
            raise found
        return found

    async def _facts(self, release: HelmRelease) -> tuple[Facts, FactFinder]:
        lookups = Lookups(self._target, self.locate, self._values, _ready)
        finder = FactFinder(release, ObservedStatus(release.manifest), lookups, self.renderer, self.index.owners)
        facts, _ = await finder.decision(
            await facts_of_spec(release, self.index, self.clusters.rules, self.expressions)
        )
        return replace(facts, dependencies_ready=True), finder

    async def _previous(self, facts: Facts, finder: FactFinder) -> Record | None:
        """The revision that a rollback would go back to, where one may be."""
        if finder.target is None or facts.remediation.pending != "rollback":
            return None
        ref = ref_of(finder.release)
        return (await rollback_target(finder.target.records, finder.release, finder.status, ref))[0]

    async def _target(self, release: HelmRelease) -> TargetCluster:
        """Where a release lives, as whom it is worked on; as ourselves when its account comes with the commit."""
        try:
            return await self.clusters.of(release)
        except ServiceAccountMissing:
            account = self.clusters.rules.service_account(release)
            if ObjectKey("", "ServiceAccount", release.key.namespace, account) not in self.desired.objects:
                raise
            return self.clusters.own

    async def _values(self, release: HelmRelease) -> tuple[dict[str, Any], frozenset[str]]:
        """The release's values; what it refers to is read as the commit has it, else as it is in the cluster."""
        found: dict[ObjectKey, Manifest | None] = {}
        for key in release.value_sources():
            in_git = self.desired.objects.get(key)
            found[key] = in_git.manifest if in_git else await self.clusters.own.cluster.find(key)
        texts = await asyncio.to_thread(texts_of, release, found.get)
        return await asyncio.to_thread(compose, release, texts), await asyncio.to_thread(secrets_in, release, texts)

    async def _present_secrets(self, release: HelmRelease) -> frozenset[str]:
        """What of the values is out of Secrets as they are in the cluster, by what the release refers to now, and from
        the commit on: a difference shows what is replaced, too. Raises: ApiError for a Secret that may not be read."""
        found: dict[ObjectKey, Manifest | None] = {}
        secrets: frozenset[str] = frozenset()
        for form in filter(None, (self.present.get(release.key), release)):
            for key in form.value_sources():
                if key.kind == "Secret" and key not in found:
                    found[key] = await self.clusters.own.cluster.find(key)
            secrets |= await asyncio.to_thread(secrets_in, form, texts_of(form, found.get))
        return secrets

    def _field_problems(self, release: HelmRelease, found: FieldErrors) -> list[Problem]:
        item = self.desired.objects[release.key]
        return [Problem(str(item.field_origin(error.path)), str(error)) for error in found.errors]

    def leftovers(self, release: HelmRelease) -> Leftovers:
        """The objects that earlier revisions of a release have left in the cluster."""
        return Leftovers(leftovers_of(release.manifest), ReleaseClaims(self.wanted, release).others_ever)

    async def all_of(
        self,
        target: TargetCluster,
        ref: ReleaseRef,
        name: str,
        why: str,
        wanted_by: WantedBy,
        *,
        handled: Collection[ObjectKey] = (),
    ) -> list[ObjectPreview]:
        """What an uninstall does to all that a release has in the cluster, but for what is ``handled`` already."""
        found: dict[ObjectKey, Manifest] = {}
        for record in await target.records.in_cluster(ref.storage, ref.name):
            objects = await asyncio.to_thread(objects_of, record)
            present = await served(target.cluster, objects, ref.namespace)
            found |= {key: item for item in present if (key := ObjectKey.of(item)) not in handled}
        stays = [key for key, item in found.items() if kept(item)]
        deletion = await _deletion_of(target, ref, [key for key in found if key not in stays], wanted_by)
        gone = [ObjectPreview(key, "delete", (), "", name, why) for key in deletion.deleted]
        return sorted([*gone, *await _left_alone(target, name, why, deletion, stays)], key=lambda item: item.key)


@dataclass
class _Look:
    """A look at one release whose decision is known. ``name`` is its HelmRelease's."""

    previewer: ReleasePreviewer
    release: HelmRelease
    name: str
    target: TargetCluster
    desired: DesiredRelease

    async def outcome(self, facts: Facts, foresight: Foresight, previous: Record | None) -> ReleasePreview:
        """The objects that would change, by what the decisions lead to."""
        match foresight.content:
            case Content.DESIRED:
                return await self._desired(facts, foresight)
            case Content.PREVIOUS if previous is not None:
                content = await asyncio.to_thread(content_of, previous)
                return ReleasePreview(tuple(await self._brought(content, {}, "the failed upgrade is rolled back")))
            case Content.NOTHING:
                return ReleasePreview(tuple(await self._failed_uninstalled()))
        return ReleasePreview()

    async def _failed_uninstalled(self) -> list[ObjectPreview]:
        others, why = ReleaseClaims(self.previewer.wanted, self.release).others, "the failed release is uninstalled"
        return await self.previewer.all_of(self.target, self.desired.ref, self.name, why, others)

    async def _replaced(self, old: ReleaseRef) -> list[ObjectPreview]:
        """What is removed with the release's old name, namespace or chart, except what the new one has as well."""
        what = "name or namespace" if old != self.desired.ref else "chart"
        why, renamed = f"the release gets another {what}", ReleaseClaims(self.previewer.wanted, self.release).renamed
        gone = await self.previewer.all_of(self.target, old, self.name, why, renamed)
        itself = str(Claimant.of_release(self.release.key))
        return [item for item in gone if item.to != itself]

    async def _desired(self, facts: Facts, foresight: Foresight) -> ReleasePreview:
        old = next((step.uninstall_first for step in foresight.steps if step.uninstall_first), None)
        failed = any(step.action is NextAction.UNINSTALL_AND_RETRY for step in foresight.steps)
        gone: list[ObjectPreview] = []
        again: dict[ObjectKey, str] = {}
        if old is not None:
            gone = await self._replaced(old)
        elif failed:
            gone = await self._failed_uninstalled()
            again = {item.key: item.why for item in gone if item.verb == "delete"}
        last = [step.action for step in foresight.steps if step.action in BRINGS_DESIRED][-1]
        anew = failed or old == self.desired.ref
        content = self.previewer.renderer.content(self.target, self.desired, made_by(last, facts.newest))
        revision = await content(self._revision(facts, last, anew=anew))
        try:
            brought = await self._brought(revision, again, "", handled=[item.key for item in gone])
        except ObjectTaken as error:  # found out only after what was there is uninstalled
            return ReleasePreview(tuple(gone), (self.previewer.problem(self.release.key, error),))
        if failed:
            comes = {item.key for item in brought}
            gone = [item for item in gone if item.key not in comes]
        return ReleasePreview((*gone, *brought))

    def _revision(self, facts: Facts, action: NextAction, *, anew: bool) -> int:
        """The number of the revision; templates see it. ``anew``: the release is uninstalled before."""
        if facts.newest is None or (anew and not self.release.spec.uninstall.keep_history):
            return 1
        return facts.newest.version + (action is not NextAction.RESUME)

    async def _brought(
        self, content: RevisionContent, again: dict[ObjectKey, str], why: str, *, handled: Collection[ObjectKey] = ()
    ) -> list[ObjectPreview]:
        """What a revision does to the objects in the cluster. Raises: ObjectTaken.

        ``again`` are those deleted before, and why; of ``handled`` it is said already what becomes of them.
        """
        ref, cluster, claims = self.desired.ref, self.target.cluster, ReleaseClaims(self.previewer.wanted, self.release)
        hooks = await hooks_on_the_way(self.release, coming_action(self.target, self.desired), content)
        objects = await served_keys(cluster, content.objects, ref.namespace)
        await claims.claim(objects, await served_keys(cluster, hooks, ref.namespace))
        after = await in_namespaces(cluster, content.objects, ref.namespace)
        before: list[Manifest] = []
        for record in await self.target.records.in_cluster(ref.storage, ref.name):
            before += await in_namespaces(cluster, await asyncio.to_thread(objects_of, record), ref.namespace)
        all_hooks = await served_keys(cluster, await hook_objects(content.hooks), ref.namespace)
        change = delta(before, after, content.crds, all_hooks)
        left = Deletion()
        if not content.of_revision:  # a rollback decides nothing anew
            held = {*map(ObjectKey.of, after), *all_hooks, *handled}
            left = await self.previewer.leftovers(self.release).delete(cluster, held=held, dry_run=True)
        handled = {*handled, *left.deleted, *left.handed_over}
        removed = [key for key in map(ObjectKey.of, change.removed) if key not in handled]
        stay = frozenset(map(ObjectKey.of, after))
        deletion = await _deletion_of(self.target, ref, removed, claims.others, stay)
        found = await asyncio.gather(*(self._change(item, again, why) for item in after))
        previews = self.previewer.objects
        deleted = (*deletion.deleted, *left.deleted)
        gone = [await previews.deletion(cluster, key, release=self.name, why=why) for key in deleted]
        by_policy = [key for key in change.kept if key not in handled]
        stays = await _left_alone(self.target, self.name, why, deletion, by_policy)
        stays += await _left_alone(self.target, self.name, why, left, ())
        stays += [ObjectPreview(key, "keep", release=self.name, why="becomes a hook") for key in change.hooks]
        return [*(item for item in (*found, *gone) if item is not None), *stays]

    async def _change(self, manifest: Manifest, again: dict[ObjectKey, str], why: str) -> ObjectPreview | None:
        ref, previews = self.desired.ref, self.previewer.objects
        ours = owned(manifest, ref.name, ref.namespace)
        run = await previews.dry_run(self.target.cluster, ours, HELM_FIELD_MANAGER)
        found = previews.change(ours, run, release=self.name, why=why)
        key = ObjectKey.of(manifest)
        if (first := again.pop(key, "")) == "":
            return found
        return replace(
            found or ObjectPreview(key, "change", release=self.name), why=f"deleted and created again: {first}"
        )


async def _deletion_of(
    target: TargetCluster,
    ref: ReleaseRef,
    keys: Sequence[ObjectKey],
    wanted_by: WantedBy,
    stay: Collection[ObjectKey] = (),
) -> Deletion:
    """What deleting these objects of a release would come to; it goes on having those that ``stay``."""

    def is_ours(live: Manifest) -> bool:
        return belongs_to(live, ref.name, ref.namespace)

    keeps = partial(why_kept, ref=ref, good=target.records.last_good(ref.storage, ref.name), stay=stay)
    return await delete_objects(target.cluster, keys, DeletionRules(is_ours, wanted_by, keeps), dry_run=True)


async def _left_alone(
    target: TargetCluster, name: str, why: str, deletion: Deletion, by_policy: Sequence[ObjectKey]
) -> list[ObjectPreview]:
    """The objects that a release no longer wants, and that are not deleted; ``by_policy`` those whose resource
    policy says so."""
    stays = [handed_over(key, other, release=name, why=why) for key, other in deletion.handed_over.items()]
    foreign = "it no longer says that it is of this release"
    stays += [ObjectPreview(key, "keep", release=name, why=foreign) for key in deletion.foreign]
    stays += [ObjectPreview(key, "keep", release=name, why=text) for key, text in deletion.kept.items()]
    present = await find_all(target.cluster, by_policy)
    return [*stays, *(ObjectPreview(key, "keep", release=name, why=KEPT_BY_POLICY) for key in present)]


async def _ready(_release: HelmRelease) -> bool:
    """What a release depends on is taken as ready: shown is what comes of a commit when everything went well."""
    return True
