"""What would become of releases. The facts are gathered, the decisions made and the charts rendered by the agent's own
code; only what is decided is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.ownership import kept, owned
from gitsync.cel.expressions import Expressions
from gitsync.errors import FieldErrors, GitsyncError, ServiceAccountMissing
from gitsync.manifests import Desired
from gitsync.preview.objects import ObjectPreview, ObjectPreviews, in_namespaces
from gitsync.release.clusters import TargetCluster, TargetClusters
from gitsync.release.delta import delta
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.desired import DesiredRelease, ref_of
from gitsync.release.reconcile.decide import NextAction
from gitsync.release.reconcile.facts import Facts
from gitsync.release.reconcile.foresee import BRINGS_DESIRED, Content, Foresight, foresee
from gitsync.release.reconcile.gather import FactFinder, Lookups, facts_of_spec
from gitsync.release.reconcile.remediation import rollback_target
from gitsync.release.render import Renderer
from gitsync.release.revision import CountedAction, ReleaseRef, RevisionContent, content_of, objects_of
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.storage.record import Record
from gitsync.release.values.compose import compose, secrets_in, texts_of
from gitsync.sources.chart import ChartArtifact


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stands in the way. ``place`` is file:line:column, or the object."""

    place: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ReleasePreview:
    """What would become of one release: the objects that would change, or what stands in the way."""

    objects: tuple[ObjectPreview, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass
class ReleasePreviewer:
    """Looks at the releases of a commit. ``index`` has all HelmReleases as they are after it, ``locate`` finds a chart
    as the commit has it.
    """

    desired: Desired
    index: ReleaseIndex
    clusters: TargetClusters
    locate: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    renderer: Renderer
    expressions: Expressions
    objects: ObjectPreviews

    async def preview(self, release: HelmRelease) -> ReleasePreview:
        """What the agent would do about a release, once all that it depends on is ready."""
        name = _name(release.key)
        try:
            facts, finder = await self._facts(release)
            previous = await self._previous(facts, finder)
            held = await asyncio.to_thread(content_of, previous) if previous else None
            foresight = foresee(facts, held.digests if held else None)
            error = foresight.last.error
            if isinstance(error, FieldErrors):
                return ReleasePreview(problems=tuple(self._field_problems(release, error)))
            if error is not None:
                return ReleasePreview(problems=(Problem(f"HelmRelease/{name}", error.message, error.hint),))
            if finder.desired is None or finder.target is None:  # it is suspended
                return ReleasePreview()
            look = _Look(self, release, name, finder.target, finder.desired)
            return ReleasePreview(tuple(await look.outcome(facts, foresight, previous)))
        except GitsyncError as found:
            return ReleasePreview(problems=(Problem(f"HelmRelease/{name}", found.message, found.hint),))

    async def uninstalled(self, release: HelmRelease) -> list[ObjectPreview]:
        """What a release takes along when its HelmRelease leaves Git."""
        if release.spec.suspend:
            return []
        name = _name(release.key)
        try:
            target = await self.clusters.of(release)
            return await self.all_of(target, ref_of(release), name, "uninstalled with its release")
        except GitsyncError as error:
            why = f"cannot be uninstalled: {error.message}"
            return [ObjectPreview(release.key, "unknown", release=name, why=why)]

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

    def _field_problems(self, release: HelmRelease, found: FieldErrors) -> list[Problem]:
        item = self.desired.objects[release.key]
        return [Problem(str(item.field_origin(error.path)), str(error)) for error in found.errors]

    async def all_of(self, target: TargetCluster, ref: ReleaseRef, name: str, why: str) -> list[ObjectPreview]:
        """The deletion of all that a release has in the cluster, but for what a resource policy keeps."""
        records = await target.records.in_cluster(ref.storage, ref.name)
        objects = [item for record in records for item in await asyncio.to_thread(objects_of, record)]
        deleted = [item for item in objects if not kept(item)]
        keys = {ObjectKey.of(item) for item in await in_namespaces(target.cluster, deleted, ref.namespace)}
        return [ObjectPreview(key, "delete", (), "", name, why) for key in sorted(keys)]


@dataclass
class _Look:
    """A look at one release whose decision is known. ``name`` is its HelmRelease's."""

    previewer: ReleasePreviewer
    release: HelmRelease
    name: str
    target: TargetCluster
    desired: DesiredRelease

    async def outcome(self, facts: Facts, foresight: Foresight, previous: Record | None) -> list[ObjectPreview]:
        """The objects that would change, by what the decisions lead to."""
        ref, all_of = self.desired.ref, self.previewer.all_of
        match foresight.content:
            case Content.DESIRED:
                return await self._desired(facts, foresight)
            case Content.PREVIOUS if previous is not None:
                return await self._brought(
                    await asyncio.to_thread(content_of, previous), {}, "the failed upgrade is rolled back"
                )
            case Content.NOTHING:
                return await all_of(self.target, ref, self.name, "the failed release is uninstalled")
        return []

    async def _desired(self, facts: Facts, foresight: Foresight) -> list[ObjectPreview]:
        old = next((step.uninstall_first for step in foresight.steps if step.uninstall_first), None)
        failed = any(step.action is NextAction.UNINSTALL_AND_RETRY for step in foresight.steps)
        gone: list[ObjectPreview] = []
        if old is not None:
            what = "name or namespace" if old != self.desired.ref else "chart"
            gone = await self.previewer.all_of(self.target, old, self.name, f"the release gets another {what}")
        elif failed:
            why = "the failed release is uninstalled"
            gone = await self.previewer.all_of(self.target, self.desired.ref, self.name, why)
        last = [step.action for step in foresight.steps if step.action in BRINGS_DESIRED][-1]
        anew = failed or old == self.desired.ref
        content = self.previewer.renderer.content(self.target, self.desired, _action(last, facts))
        again = {item.key: item.why for item in gone}
        revision = await content(self._revision(facts, last, anew=anew))
        # A release that is another from now on keeps what it has as both; one that has failed is begun anew.
        brought = await self._brought(revision, again, "", recreated=old is None)
        return [*(item for item in gone if item.key in again), *brought]

    def _revision(self, facts: Facts, action: NextAction, *, anew: bool) -> int:
        """The number of the revision; templates see it. ``anew``: the release is uninstalled before."""
        if facts.newest is None or (anew and not self.release.spec.uninstall.keep_history):
            return 1
        return facts.newest.version + (action is not NextAction.RESUME)

    async def _brought(
        self, content: RevisionContent, again: dict[ObjectKey, str], why: str, *, recreated: bool = True
    ) -> list[ObjectPreview]:
        """What a revision does to the objects in the cluster.

        ``again`` are those deleted first, and why. Those that come again are taken out of it: they are ``recreated``,
        or else kept.
        """
        ref, cluster, previews = self.desired.ref, self.target.cluster, self.previewer.objects
        after = await in_namespaces(cluster, content.objects, ref.namespace)
        before: list[Manifest] = []
        for record in await self.target.records.in_cluster(ref.storage, ref.name):
            before += await in_namespaces(cluster, await asyncio.to_thread(objects_of, record), ref.namespace)
        removed = [ObjectKey.of(item) for item in delta(before, after).removed]
        if not recreated:
            for item in after:
                again.pop(ObjectKey.of(item), None)
        found = await asyncio.gather(*(self._change(item, again, why) for item in after))
        gone = [
            await previews.deletion(cluster, key, release=self.name, why=why) for key in removed if key not in again
        ]
        return [item for item in (*found, *gone) if item is not None]

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


def _action(action: NextAction, facts: Facts) -> CountedAction:
    """What the revision is made by, as the agent would."""
    resumed = action is NextAction.RESUME and facts.newest is not None and facts.newest.status == "pending-install"
    return "install" if action is NextAction.INSTALL or facts.newest is None or resumed else "upgrade"


async def _ready(_release: HelmRelease) -> bool:
    """What a release depends on is taken as ready: shown is what comes of a commit when everything went well."""
    return True


def _name(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"
