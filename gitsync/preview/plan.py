"""What a commit would do, without doing it: every difference, those of the releases' rendered objects included.

The API server says what would come out (server-side apply, dry run), so defaults and admission are in the picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from gitsync.api.conditions import get_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.names import DRIFTED, FIELD_MANAGER, HELM_FIELD_MANAGER, TRUE
from gitsync.apply.applier import Applier
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.namespaces import fill_namespaces
from gitsync.apply.ownership import kept, owned
from gitsync.apply.readiness import check_expressions
from gitsync.cel.expressions import Expressions
from gitsync.charts import ReleaseContext, Rendered
from gitsync.diff import DiffLine, render_diff
from gitsync.errors import (
    ApiError,
    BlockedError,
    FieldErrors,
    GitsyncError,
    KindUnknown,
    ManifestError,
    NotFound,
    ServiceAccountMissing,
)
from gitsync.manifests import Desired
from gitsync.release.clusters import TargetClusters
from gitsync.release.delta import delta
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.desired import DesiredRelease, desired_release, left_behind, ref_of
from gitsync.release.reconcile.state import State, state_of
from gitsync.release.revision import ReleaseRef, objects_of
from gitsync.release.status.status import StatusBuilder
from gitsync.release.storage.store import RecordStore
from gitsync.release.unsupported import refused
from gitsync.release.values.compose import compose, texts_of
from gitsync.release.values.reuse import preserving
from gitsync.sources.chart import ChartArtifact
from gitsync.sync.apply import Syncer
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import Step, SyncPlan

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

Effect = Literal["create", "change", "delete", "unknown"]
CONCURRENT_DRY_RUNS = 8
_WAS_DEPLOYED = (State.IN_SYNC, State.FAILED)


@dataclass(frozen=True, slots=True)
class ObjectPreview:
    """One object that would change. ``release`` is the HelmRelease that it belongs to, "" for what is in Git itself;
    ``diff`` is masked; ``why`` says what is unusual."""

    key: ObjectKey
    verb: Effect
    diff: tuple[DiffLine, ...] = ()
    origin: str = ""
    release: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stands in the way. ``place`` is file:line:column, or the object."""

    place: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Preview:
    """What would happen. ``held`` says why the commit would have to be confirmed first, "" when it need not.
    ``drifted`` is what the agent last said, by release, of drift that it only warns of.
    """

    commit: CommitInfo
    objects: tuple[ObjectPreview, ...]
    problems: tuple[Problem, ...] = ()
    held: str = ""
    prune_skipped: str = ""
    unchanged: int = 0
    drifted: Mapping[ObjectKey, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: nothing to do; 1: something stands in the way; 2: changes."""
        if self.problems:
            return 1
        return 2 if self.objects else 0


@dataclass
class Previewer:
    """Makes previews. ``locate`` finds a release's chart as the commit would have it, ``render`` renders it."""

    cluster: Cluster
    index: ReleaseIndex
    records: RecordStore
    syncer: Syncer
    owner: Owner
    locate: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    render: Callable[[DesiredRelease, ReleaseContext], Awaitable[Rendered]]
    expressions: Expressions
    clusters: TargetClusters

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(CONCURRENT_DRY_RUNS)

    async def preview(self, desired: Desired) -> Preview:
        """What ``desired`` would do to the cluster as it is now. Raises: ClusterUnavailable."""
        plan = await self.syncer.plan(desired, full=True)
        problems = [_problem(error) for error in plan.desired.errors]
        objects: list[ObjectPreview] = []
        for found in await asyncio.gather(*(self._step(step, desired.commit) for step in plan.steps if step.applies)):
            objects += found
        problems += [Problem(str(s.desired.origin), f"{s.key} {s.why}") for s in plan.steps if s.refused]
        releases = {key: item for key, item in desired.helm_releases.items() if self.cluster.serves(key)}
        steps = (self._release(releases[key], desired) for key in sorted(releases))
        for previews, trouble in await asyncio.gather(*steps):
            objects += previews
            problems += trouble
        objects += await self._prune(plan)
        unchanged = sum(step.verdict == "unchanged" for step in plan.steps)
        drifted = {key: text for key in sorted(releases) if (text := drift_of(self.index.manifest(key)))}
        return Preview(
            desired.commit, tuple(objects), tuple(problems), plan.held, plan.prune_skipped, unchanged, drifted
        )

    async def _step(self, step: Step, commit: CommitInfo) -> list[ObjectPreview]:
        manifest = stamped(step.desired.manifest, self.owner, commit, step.desired.origin)
        previews = await self._difference(manifest, FIELD_MANAGER, str(step.desired.origin), "", step.why)
        return [previews] if previews else []

    async def _difference(
        self, manifest: Manifest, manager: str, origin: str, release: str, why: str = ""
    ) -> ObjectPreview | None:
        key = ObjectKey.of(manifest)
        async with self._slots:
            try:
                live = await self.cluster.find(key)
                after = await Applier(self.cluster, manager, OWNERS).dry_run(manifest)
            except (KindUnknown, NotFound):
                live, after = None, manifest  # its kind or Namespace comes with the same commit
            except ApiError as error:
                return ObjectPreview(key, "unknown", (), origin, release, error.message)
        if live:
            # Every version of a kind is served; which one it was written in makes no difference.
            after = {**after, "apiVersion": live["apiVersion"]}
        # What is new is shown as its author wrote it: the server's defaults would only hide it.
        diff = _lines(live, after if live else manifest, key)
        if not diff:
            return None
        return ObjectPreview(key, "change" if live else "create", diff, origin, release, why)

    async def _release(self, release: HelmRelease, desired: Desired) -> tuple[list[ObjectPreview], list[Problem]]:
        """The rendered objects of a release, where its chart or values are not those last deployed."""
        name = f"{release.key.namespace}/{release.key.name}"
        if fields := refused(release):
            return [], [Problem(f"HelmRelease/{name}", f"not supported yet: {', '.join(fields)}")]
        try:
            await check_expressions(release, self.expressions)
        except FieldErrors as found:
            item = desired.objects[release.key]
            return [], [Problem(str(item.field_origin(error.path)), str(error)) for error in found.errors]
        try:
            self.clusters.rules.check(release)
            there = await self._at(release, desired)
            target = desired_release(release, await self.locate(release), await self._values(release, desired))
            latest = there.records.latest(target.ref.storage, target.ref.name)
            state = state_of(latest, target.digests, holder=self.records.holder, now=0.0, timeout=0.0)
            moved = [] if release.spec.suspend else await there._moved(release, target)
            if release.spec.suspend or (state in _WAS_DEPLOYED and not moved):
                return [], []
            again = {item.key: item.why for item in moved}
            rendered = await there._rendered(target, name, latest.version if latest else 0, again)
            return [*(item for item in moved if item.key in again), *rendered], []
        except (GitsyncError, BlockedError) as error:
            return [], [Problem(f"HelmRelease/{name}", error.message, error.hint)]

    async def _at(self, release: HelmRelease, desired: Desired | None = None) -> Previewer:
        """The same for where a release lives, as whom it is worked on; as ourselves when ``desired`` brings that
        ServiceAccount yet.
        """
        try:
            target = await self.clusters.of(release)
        except ServiceAccountMissing:
            account = ObjectKey(
                "", "ServiceAccount", release.key.namespace, self.clusters.rules.service_account(release)
            )
            if desired is None or account not in desired.objects:
                raise
            target = self.clusters.own
        if target is self.clusters.own:
            return self
        return replace(self, cluster=target.cluster, records=target.records, render=target.actions.render)

    async def _values(self, release: HelmRelease, desired: Desired) -> dict[str, Any]:
        """The release's values; what it refers to is read as the commit has it, else as it is in the cluster."""
        found: dict[ObjectKey, Manifest | None] = {}
        for key in release.value_sources():
            in_git = desired.objects.get(key)
            found[key] = in_git.manifest if in_git else await self.cluster.find(key)
        return await asyncio.to_thread(compose, release, texts_of(release, found.get))

    async def _rendered(
        self, target: DesiredRelease, name: str, revision: int, again: dict[ObjectKey, str]
    ) -> list[ObjectPreview]:
        """What a release comes to. ``again`` are the objects that are deleted first, and why; those that come again are
        taken out of it.
        """
        ref = target.ref
        context = ReleaseContext(ref.name, ref.namespace, revision + 1, revision == 0, revision > 0)
        if target.preserve_values and revision:
            target = await preserving(self.records, target)
        rendered = await self.render(target, context)
        after = await self._settled(rendered.objects, ref.namespace)
        records = await self.records.in_cluster(ref.storage, ref.name)
        before = [item for record in records for item in await self._settled(objects_of(record), ref.namespace)]
        change = delta(before, after)
        found = await asyncio.gather(
            *(self._difference(owned(item, ref.name, ref.namespace), HELM_FIELD_MANAGER, "", name) for item in after)
        )
        for number, key in enumerate(map(ObjectKey.of, after)):
            if (why := again.pop(key, "")) != "":
                anew = found[number] or ObjectPreview(key, "change", release=name)
                found[number] = replace(anew, why=f"deleted and created again: {why}")
        gone = [await self._deletion(key, "", name) for key in map(ObjectKey.of, change.removed) if key not in again]
        return [item for item in [*found, *gone] if item is not None]

    async def _settled(self, objects: Sequence[Manifest], namespace: str) -> list[Manifest]:
        try:
            return await fill_namespaces(self.cluster, objects, namespace)
        except KindUnknown:
            return list(objects)  # a CRD of this very commit: shown as the chart has it

    async def _deletion(self, key: ObjectKey, origin: str, release: str = "", why: str = "") -> ObjectPreview | None:
        try:
            live = await self.cluster.find(key)
        except KindUnknown:
            return None
        return ObjectPreview(key, "delete", _lines(live, None, key), origin, release, why) if live else None

    async def _prune(self, plan: SyncPlan) -> list[ObjectPreview]:
        previews: list[ObjectPreview] = []
        for entry in plan.prune:
            found = await self._deletion(entry.key, entry.origin, why="removed from Git")
            if found is not None:
                previews.append(found)
            if is_release(entry.key):
                previews += await self._uninstalled(entry.key)
        return previews

    async def _uninstalled(self, key: ObjectKey) -> list[ObjectPreview]:
        """What a release takes along when it is uninstalled."""
        release = self.index.get(key)
        if release is None or release.spec.suspend:
            return []
        name = f"{key.namespace}/{key.name}"
        try:
            return await (await self._at(release))._all_of(ref_of(release), name, "uninstalled with its release")
        except GitsyncError as error:
            return [ObjectPreview(key, "unknown", release=name, why=f"cannot be uninstalled: {error.message}")]

    async def _moved(self, release: HelmRelease, target: DesiredRelease) -> list[ObjectPreview]:
        """What goes because the release has another name, namespace or chart than before."""
        live = self.index.manifest(release.key)
        status = StatusBuilder(live) if live else None
        if status is None or status.last_ref is None:
            return []
        old = left_behind(release, target, ReleaseRef(*status.last_ref), status.last_chart)
        if old is None:
            return []
        what = "name or namespace" if old != target.ref else "chart"
        name = f"{release.key.namespace}/{release.key.name}"
        return await self._all_of(old, name, f"the release gets another {what}")

    async def _all_of(self, ref: ReleaseRef, name: str, why: str) -> list[ObjectPreview]:
        records = await self.records.in_cluster(ref.storage, ref.name)
        objects = [item for record in records for item in objects_of(record) if not kept(item)]
        settled = {ObjectKey.of(item) for item in await self._settled(objects, ref.namespace)}
        return [ObjectPreview(item, "delete", (), "", name, why) for item in sorted(settled)]


def drift_of(live: Manifest | None) -> str:
    """What a HelmRelease says of its objects' drift; "" when there is none, or nobody looks for it."""
    condition = get_condition(((live or {}).get("status") or {}).get("conditions"), DRIFTED) or {}
    return str(condition.get("message", "")) if condition.get("status") == TRUE else ""


def _lines(before: Manifest | None, after: Manifest | None, key: ObjectKey) -> tuple[DiffLine, ...]:
    """The difference without its first line, which says what the preview itself says."""
    return tuple(render_diff(before, after, key)[1:])


def _problem(error: ManifestError) -> Problem:
    return Problem(str(error.origin), error.message, error.hint)
