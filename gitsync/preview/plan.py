"""What a commit would do: all differences, those of the releases' rendered objects included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gitsync.api.checking.check import drop_nulls
from gitsync.api.conditions import condition_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_notification, is_own_kind, is_release, is_unserved
from gitsync.api.names import DRIFTED, FIELD_MANAGER, TRUE
from gitsync.cel.expressions import Expressions
from gitsync.diff.ignore import tolerating
from gitsync.errors import FieldErrors
from gitsync.logs import keeping_secrets, mask_secrets
from gitsync.manifests import Desired
from gitsync.preview.dryrun import DryRun, ObjectPreview, ObjectPreviews, as_applied
from gitsync.preview.pruning import PrunePreviewer, Pruning
from gitsync.preview.releases import Problem, ReleasePreview, ReleasePreviewer
from gitsync.preview.syncs import Part, Syncs, problem_of, whole_of
from gitsync.release.clusters import TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.render import Renderer
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.sources.charts.chart import ChartArtifact
from gitsync.sync.owner import stamped
from gitsync.sync.plan import Step, brings

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Finds the chart of a release.
Locate = Callable[[HelmRelease], Awaitable[ChartArtifact]]
_Runs = Sequence[tuple[Step, DryRun]]


@dataclass(frozen=True)
class Preview:
    """What would happen. ``held`` says why the commit would have to be confirmed first, "" when it need not.
    ``drifted`` is what the agent last said, by release, of drift that it only warns of. ``unpruned`` are Kustomizations
    that delete nothing of what left Git, and why; ``prune_skipped`` says so of the sync of the settings.
    ``no_releases`` is why there is no HelmRelease although there are Kustomizations, "" when there is one.
    """

    commit: CommitInfo
    objects: tuple[ObjectPreview, ...]
    problems: tuple[Problem, ...] = ()
    held: str = ""
    prune_skipped: str = ""
    unchanged: int = 0
    drifted: Mapping[ObjectKey, str] = field(default_factory=dict)
    unpruned: Mapping[str, str] = field(default_factory=dict)
    no_releases: str = ""

    @property
    def exit_code(self) -> int:
        """0: nothing to do; 1: something stands in the way; 2: changes."""
        if self.problems:
            return 1
        return 2 if self.changing else 0

    @property
    def changing(self) -> list[ObjectPreview]:
        """The objects but for those that are kept as they are."""
        return [item for item in self.objects if item.verb != "keep"]


@dataclass
class Previewer:
    """Makes previews. ``wanted`` has the HelmReleases as they are; ``syncs`` plans what syncs there are. ``locate_in``
    finds charts as a commit would have them.
    """

    cluster: Cluster
    wanted: WantedObjects
    syncs: Syncs
    locate_in: Callable[[Desired], Locate]
    renderer: Renderer
    expressions: Expressions
    clusters: TargetClusters

    def __post_init__(self) -> None:
        self._objects = ObjectPreviews()
        self._index = self.wanted.index

    async def preview(self, desired: Desired) -> Preview:
        """What ``desired`` would do to the cluster as it is now. Raises: ClusterUnavailable."""
        with keeping_secrets():
            parts = await self.syncs.plan(desired)
            whole = whole_of(desired, parts)
            steps = {part.name: [step for step in part.plan.steps if step.applies] for part in parts}
            runs = {part.name: await self._runs(part, steps[part.name]) for part in parts}
            dry_runs = [item for items in runs.values() for item in items]
            after = {step.key: as_applied(run) for step, run in dry_runs if is_release(step.key)}
            previewer = self._releases(whole, self._index_after(after))
            found = await self._changes(parts, runs, whole, previewer)
        skipped = {part.name: part.plan.prune_skipped for part in parts if part.plan.prune_skipped}
        drifted = {key: text for key in whole.helm_releases if (text := drift_of(self._index.manifest(key)))}
        return Preview(
            desired.commit,
            tuple(found.objects),
            (*found.problems, *self.syncs.problems),
            parts[0].plan.held,
            skipped.pop("", ""),
            sum(step.verdict == "unchanged" for part in parts for step in part.plan.steps),
            drifted,
            dict.fromkeys(skipped, "its spec.prune is false"),
            self.syncs.why_no_releases(whole),
        )

    async def _changes(
        self, parts: Sequence[Part], runs: Mapping[str, _Runs], whole: Desired, previewer: ReleasePreviewer
    ) -> ReleasePreview:
        """The changes of everything: of each sync its objects, its releases, and what it prunes."""
        found: dict[str, list[ObjectPreview]] = {part.name: [] for part in parts}
        problems: list[Problem] = []
        brought_by: dict[tuple[str, ObjectKey], str] = {}
        for part in parts:
            wanted = part.wanted(previewer.wanted)
            objects, more = await self._steps(part, runs[part.name], whole, wanted, brought_by)
            found[part.name] += objects
            problems += more
        releases = [key for key in sorted(whole.helm_releases) if self.cluster.serves(key)]
        looks = await asyncio.gather(*(self._release(previewer, key) for key in releases))
        for key, look in zip(releases, looks, strict=True):
            found[brought_by.get(("", key), "")] += look.objects
            problems += look.problems
        going = {item.key for items in found.values() for item in items if item.verb == "delete"}
        pruned = PrunePreviewer(self.cluster, self._index, previewer, self._objects, going, self.syncs.left)
        prunings = [
            Pruning(
                part.name,
                self.syncs.pruner(part, part.wanted(previewer.wanted)),
                part.plan.prune,
            )
            for part in parts
        ]
        for name, item in await pruned.previews(prunings, whole.commit.id):
            found[name].append(item)
        return ReleasePreview(tuple(item for part in parts for item in part.shown(found[part.name])), tuple(problems))

    async def _steps(
        self,
        part: Part,
        runs: _Runs,
        whole: Desired,
        wanted: SyncClaims,
        brought_by: dict[tuple[str, ObjectKey], str],
    ) -> tuple[list[ObjectPreview], list[Problem]]:
        """The changes of a sync's own objects, and the problems that keep them from being applied."""
        steps = part.plan.steps
        problems = [problem_of(error) for error in part.plan.desired.errors]
        problems += [Problem(str(s.desired.origin), f"{s.key} {s.why}") for s in steps if s.refused]
        twice = {step.key for step in steps if not step.refused and (part.cluster, step.key) in brought_by}
        for step in steps:
            place = part.cluster, step.key
            if step.key in twice:
                other = f"Kustomization/{brought_by[place]}" if brought_by[place] else "the repository itself"
                why = f"{step.key} is wanted by {other}, too: remove it from one of the two"
                problems.append(Problem(str(step.desired.origin), why))
            elif not step.refused or place not in brought_by:
                brought_by[place] = part.name
        objects = []
        for step, run in runs:
            if step.key in twice:
                continue
            if step.holder is not None and (hold := await wanted.hold(step.key)) is not None:
                problems.append(Problem(str(step.desired.origin), hold.told, "remove it from the chart or from Git"))
            elif (found := self._change(part, step, whole, run)) is not None:
                objects.append(found)
        return objects, problems

    async def _runs(self, part: Part, steps: Sequence[Step]) -> _Runs:
        dry_runs = (self._objects.dry_run(part.syncer.cluster, _stamped(part, step), FIELD_MANAGER) for step in steps)
        return list(zip(steps, await asyncio.gather(*dry_runs), strict=True))

    def _change(self, part: Part, step: Step, whole: Desired, run: DryRun) -> ObjectPreview | None:
        waits = f"it waits for {step.holder} to let go of it" if step.holder is not None else ""
        if run.missing and not brings(whole, step.key, run.missing):
            waits = f"its {run.missing} is not there yet: it waits for a release that brings it"
            is_ours = is_own_kind(step.key) or is_notification(step.key)
            if run.missing == "kind" and is_ours and not is_unserved(step.key):
                waits = "gitsync brings its definition"
        why = "; ".join(text for text in (step.why, waits) if text)
        desired = step.desired
        run = replace(run, error=mask_secrets(run.error, desired.secrets))
        stamped, is_secret = _stamped(part, step), bool(desired.sops)
        return self._objects.change(stamped, run, origin=str(desired.origin), why=why, secret=is_secret)

    def _releases(self, whole: Desired, index: ReleaseIndex) -> ReleasePreviewer:
        previewer = ReleasePreviewer(
            whole,
            index,
            self.clusters,
            self.locate_in(whole),
            self.renderer,
            self.expressions,
            self._objects,
            self.wanted.claims,
            self._index,
        )
        previewer.wanted.to_come.syncs = self.syncs.coming
        previewer.wanted.to_come.reach = self.wanted.to_come.reach
        return previewer

    def _index_after(self, after: Mapping[ObjectKey, Manifest]) -> ReleaseIndex:
        """The HelmReleases as they are after the commit; ``after`` are those that it applies. Those out of charts of
        others go with these."""
        index = ReleaseIndex(self.cluster.namespace)
        index.others = self.syncs.unfolding
        stay = (key for key in self._index if not any(map(self._index.is_leaving, self._index.ancestry.lineage(key))))
        live = {key: self._index.manifest(key) for key in stay}
        for key, manifest in {**live, **after}.items():
            if manifest is not None:
                index.update(key, manifest)
        return index

    async def _release(self, previewer: ReleasePreviewer, key: ObjectKey) -> ReleasePreview:
        try:
            release = previewer.index.get(key)
        except FieldErrors as error:
            return ReleasePreview(problems=(previewer.problem(key, error),))
        return await previewer.preview(release) if release is not None else ReleasePreview()


def _stamped(part: Part, step: Step) -> Manifest:
    item = step.desired
    spec = part.syncer.spec
    manifest = item.manifest if step.live is None else tolerating(item.manifest, step.live, spec.ignore)
    finalized = spec.works_on(step.key)
    return drop_nulls(stamped(manifest, spec.owner, part.desired.commit, item.origin, finalized=finalized))


def drift_of(live: Manifest | None) -> str:
    """The drift of its objects that a HelmRelease's status reports; "" when there is none, or it is not detected."""
    condition = condition_of(live, DRIFTED)
    return str(condition.get("message", "")) if condition.get("status") == TRUE else ""
