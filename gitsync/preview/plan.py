"""What a commit would do, without doing it: every difference, those of the releases' rendered objects included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.check import drop_nulls
from gitsync.api.conditions import get_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.names import DRIFTED, FIELD_MANAGER, TRUE
from gitsync.cel.expressions import Expressions
from gitsync.errors import FieldErrors, ManifestError
from gitsync.manifests import Desired
from gitsync.preview.objects import DryRun, ObjectPreview, ObjectPreviews
from gitsync.preview.releases import Problem, ReleasePreview, ReleasePreviewer
from gitsync.release.clusters import TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.render import Renderer
from gitsync.sources.chart import ChartArtifact
from gitsync.sync.apply import Syncer
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import Step, SyncPlan, brings

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


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
    """Makes previews. ``index`` has the HelmReleases as they are; ``locate`` finds a release's chart as the commit
    would have it.
    """

    cluster: Cluster
    index: ReleaseIndex
    syncer: Syncer
    owner: Owner
    locate: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    renderer: Renderer
    expressions: Expressions
    clusters: TargetClusters

    def __post_init__(self) -> None:
        self._objects = ObjectPreviews()

    async def preview(self, desired: Desired) -> Preview:
        """What ``desired`` would do to the cluster as it is now. Raises: ClusterUnavailable."""
        plan = await self.syncer.plan(desired, full=True)
        steps = [step for step in plan.steps if step.applies]
        answers = await asyncio.gather(*(self._run(step, desired.commit) for step in steps))
        runs = list(zip(steps, answers, strict=True))
        found = [self._change(step, desired, run) for step, run in runs]
        objects = [item for item in found if item is not None]
        problems = [_problem(error) for error in plan.desired.errors]
        problems += [Problem(str(s.desired.origin), f"{s.key} {s.why}") for s in plan.steps if s.refused]
        after = {step.key: _as_applied(run) for step, run in runs if is_release(step.key)}
        releases = [key for key in sorted(desired.helm_releases) if self.cluster.serves(key)]
        previewer = self._releases(desired, self._index_after(plan, after))
        for item in await asyncio.gather(*(self._release(previewer, key) for key in releases)):
            objects += item.objects
            problems += item.problems
        objects += await self._prune(previewer, plan)
        unchanged = sum(step.verdict == "unchanged" for step in plan.steps)
        drifted = {key: text for key in releases if (text := drift_of(self.index.manifest(key)))}
        return Preview(
            desired.commit, tuple(objects), tuple(problems), plan.held, plan.prune_skipped, unchanged, drifted
        )

    async def _run(self, step: Step, commit: CommitInfo) -> DryRun:
        return await self._objects.dry_run(self.cluster, self._stamped(step, commit), FIELD_MANAGER)

    def _stamped(self, step: Step, commit: CommitInfo) -> Manifest:
        return drop_nulls(stamped(step.desired.manifest, self.owner, commit, step.desired.origin))

    def _change(self, step: Step, desired: Desired, run: DryRun) -> ObjectPreview | None:
        manifest = self._stamped(step, desired.commit)
        waits = f"it waits for {step.holder} to let go of it" if step.holder is not None else ""
        if run.missing and not brings(desired, step.key, run.missing):
            waits = f"its {run.missing} is not there yet: it waits for a release that brings it"
        why = "; ".join(text for text in (step.why, waits) if text)
        return self._objects.change(manifest, run, origin=str(step.desired.origin), why=why)

    def _releases(self, desired: Desired, index: ReleaseIndex) -> ReleasePreviewer:
        return ReleasePreviewer(
            desired, index, self.clusters, self.locate, self.renderer, self.expressions, self._objects
        )

    def _index_after(self, plan: SyncPlan, after: Mapping[ObjectKey, Manifest]) -> ReleaseIndex:
        """The HelmReleases as they are after the commit; ``after`` are those that it applies."""
        index = ReleaseIndex(self.cluster.namespace)
        pruned = {entry.key for entry in plan.prune}
        live = {key: self.index.manifest(key) for key in self.index if key not in pruned}
        for key, manifest in {**live, **after}.items():
            if manifest is not None:
                index.update(key, manifest)
        return index

    async def _release(self, previewer: ReleasePreviewer, key: ObjectKey) -> ReleasePreview:
        try:
            release = previewer.index.get(key)
        except FieldErrors as error:
            return ReleasePreview(problems=(Problem(f"HelmRelease/{key.namespace}/{key.name}", error.message),))
        return await previewer.preview(release) if release is not None else ReleasePreview()

    async def _prune(self, previewer: ReleasePreviewer, plan: SyncPlan) -> list[ObjectPreview]:
        previews: list[ObjectPreview] = []
        for entry in plan.prune:
            found = await self._objects.deletion(self.cluster, entry.key, origin=entry.origin, why="removed from Git")
            if found is not None:
                previews.append(found)
            if is_release(entry.key) and (release := self.index.get(entry.key)) is not None:
                previews += await previewer.uninstalled(release)
        return previews


def _as_applied(run: DryRun) -> Manifest:
    """A HelmRelease as it is after an apply. Where the API server could not say so, with the status that it has, and of
    another generation."""
    if run.live is None or not run.error:
        return run.after
    generation = run.live["metadata"].get("generation", 0) + 1
    metadata = {**run.after["metadata"], "generation": generation}
    return {**run.after, "metadata": metadata, "status": run.live.get("status") or {}}


def drift_of(live: Manifest | None) -> str:
    """What a HelmRelease says of its objects' drift; "" when there is none, or nobody looks for it."""
    condition = get_condition(((live or {}).get("status") or {}).get("conditions"), DRIFTED) or {}
    return str(condition.get("message", "")) if condition.get("status") == TRUE else ""


def _problem(error: ManifestError) -> Problem:
    return Problem(str(error.origin), error.message, error.hint)
