"""What Kustomizations will want that have yet to take up a revision: asked before somebody else deletes an object."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gitsync.api.conditions import is_ready
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import flux_sync_of, sync_of
from gitsync.apply.claimant import Claimant
from gitsync.apply.ownership import prune_disabled
from gitsync.build import Builder, BuildSpec
from gitsync.errors import DirectoryMissing, GitsyncError
from gitsync.manifests import Desired
from gitsync.release.dependencies.states import commit_of
from gitsync.release.wanted.claims import Brought, kustomization_of
from gitsync.release.wanted.comingsync import ComingSync, Commits, Inner
from gitsync.release.wanted.valueschanges import data_digest, is_values
from gitsync.runtime.together import in_time
from gitsync.sources.resolve.treeartifact import TreeArtifact, TreeSource
from gitsync.sync.default_namespace import with_default_namespace
from gitsync.sync.kustomization.inputs.building import DEFAULT_NAMESPACE, as_applied_to
from gitsync.sync.kustomization.inputs.inputs import BuildSpecs
from gitsync.sync.kustomization.reconcile.finalizer import why_left
from gitsync.sync.kustomization.unbuilt import Unbuilt
from gitsync.sync.owner import Owner

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Kustomizations in Kustomizations, so deep.
MAX_NESTING = 8
#: Seconds that whoever deletes something waits for what another one wants to be fetched and built.
BUILD_TIMEOUT = 60.0


def claimant_of(key: ObjectKey) -> Claimant:
    """A Kustomization among those who want objects."""
    return Owner(key.name, key.namespace, "").claimant


class _Built(NamedTuple):
    """What one will want, and the Kustomizations in that."""

    sync: ComingSync
    inner: tuple[Kustomization, ...] = ()


@dataclass(frozen=True)
class Present:
    """The Kustomizations that are there, and what is to become of them. ``all`` gives them, ``is_root`` says for which
    the sync of the settings stands, ``is_removed`` which are about to be removed, ``goes_with_chart`` which are in the
    chart of a release that is; ``brought`` is what the commits have that are carried out, ``commit_behind`` says which
    commit last changed one, ``has_news`` whether one refers to something that was changed since it was applied, and
    ``has_said`` whether one has said what it wants since the agent was started: its status says what it has, and that
    may be kept for somebody else."""

    all: Callable[[], Mapping[ObjectKey, Kustomization]]
    is_root: Callable[[Kustomization], bool]
    is_removed: Callable[[ObjectKey], bool] = lambda _: False
    goes_with_chart: Callable[[Manifest], bool] = lambda _: False
    brought: Callable[[], Iterable[Brought]] = tuple
    commit_behind: Callable[[Manifest], CommitInfo | None] = commit_of
    has_news: Callable[[ObjectKey], bool] = lambda _: False
    has_said: Callable[[ObjectKey], bool] = lambda _: True


class ComingSyncs:
    """Builds them, without applying anything. ``inputs`` are for this alone: a Kustomization that a commit is to change
    may refer to other objects than the one that is there."""

    def __init__(
        self, cluster: Cluster, trees: TreeSource, builder: Builder, inputs: BuildSpecs, present: Present
    ) -> None:
        self._cluster = cluster
        self._trees = trees
        self._builder = builder
        self._inputs = inputs
        self._present = present
        self.unbuilt = Unbuilt()
        #: What was built of those that were on their way when that was last asked, and of what that was built.
        self._built: dict[ObjectKey, tuple[object, _Built]] = {}
        self._asked: set[ObjectKey] = set()

    async def __call__(self, inner: Collection[Inner] = ()) -> list[ComingSync]:
        """Those that are on their way, ``inner`` of charts among them, and those in what they build."""
        known = self._present.all()
        coming = [item for item in known.values() if self._is_coming(item) and not self._goes_along(item, known)]
        open_ends = {item.key: Inner(item, self._commits(item)) for item in coming}
        open_ends |= {item.kustomization.key: item for item in inner if not self._stays(item.kustomization, known)}
        open_ends |= self._changing(known)
        found: dict[ObjectKey, ComingSync] = {}
        for _ in range(MAX_NESTING):
            answers = await asyncio.gather(*map(self._coming, open_ends.values()))
            found |= {answer.sync.kustomization.key: answer.sync for answer in answers}
            open_ends = {
                item.key: Inner(item, answer.sync.commits)
                for answer in answers
                for item in answer.inner
                if item.key not in found
            }
            if not open_ends:
                break
        for key in self._asked - found.keys():
            self._built.pop(key, None)
            await self._inputs.forget(key)
        self._asked = set(found)
        return list(found.values())

    def _is_coming(self, kustomization: Kustomization) -> bool:
        if kustomization.metadata.deletion_timestamp or self._present.is_root(kustomization):
            return False
        if not kustomization.spec.suspend and not self._present.has_said(kustomization.key):
            return True
        wanted = self._trees.revision_of(kustomization.source)
        if self._present.has_news(kustomization.key) or not is_ready(kustomization.manifest):
            return True
        return kustomization.reported("lastAppliedRevision") != wanted

    def _changing(self, known: Mapping[ObjectKey, Kustomization]) -> dict[ObjectKey, Inner]:
        """Those that are not there yet, or not as the commit has them that is carried out: as that has them."""
        found: dict[ObjectKey, Inner] = {}
        for item, sync, commit in self._present.brought():
            if not isinstance(item, Kustomization) or self._present.is_root(item):
                continue
            above = known.get(kustomization_of(sync.name))
            if not self._stays(item, known) and (above is None or not self._goes_along(above, known)):
                found[item.key] = Inner(item, frozenset({commit}))
        return found

    def _stays(self, item: Kustomization, known: Mapping[ObjectKey, Kustomization]) -> bool:
        """Whether the cluster has one as somebody is to have it, and nobody is about to remove it."""
        live = known.get(item.key)
        return live is not None and live.spec == item.spec and not self._goes_along(live, known)

    def leaving(self) -> list[Claimant]:
        """The Kustomizations that are about to be removed, and those that go along with them."""
        known = self._present.all()
        return [claimant_of(key) for key, item in known.items() if self._goes(item, known)]

    def leaving_with_charts(self) -> list[Claimant]:
        """The same, and those that go unless somebody else takes them: a release goes that has them in its chart."""
        known = self._present.all()
        items = known.items()
        return [claimant_of(key) for key, item in items if self._goes_along(item, known)]

    def is_leaving(self, kustomization: Kustomization) -> bool:
        """Whether it goes, or one goes that takes it along, or a release that has it in its chart: then it takes up
        nothing more, and wants nothing new, unless somebody else takes it."""
        return self._goes_along(kustomization, self._present.all())

    def _goes_along(self, kustomization: Kustomization, known: Mapping[ObjectKey, Kustomization]) -> bool:
        """Whether it goes, also with a release that has it in its chart, or one of those above it."""
        return self._goes(kustomization, known, self._present.goes_with_chart)

    def _goes(
        self,
        kustomization: Kustomization,
        known: Mapping[ObjectKey, Kustomization],
        goes_too: Callable[[Manifest], bool] = lambda _: False,
    ) -> bool:
        item, below = kustomization, frozenset[ObjectKey]()
        while item.key not in below:
            if item.metadata.deletion_timestamp or self._present.is_removed(item.key) or goes_too(item.manifest):
                return not below or not why_left(item)
            below |= {item.key}
            labels = item.metadata.labels
            above = known.get(kustomization_of(sync_of(labels) or flux_sync_of(labels)))
            if above is None or prune_disabled(item.manifest):
                break
            item = above
        return False

    async def _coming(self, item: Inner) -> _Built:
        """With a deadline: a stranger's source may be at a server that does not answer, and his build never end."""
        kustomization, commits = item
        name = kustomization.key.namespaced_name
        try:
            late = f"kustomization {name} has not been built"
            return await in_time(self._wishes(item), BUILD_TIMEOUT, late)
        except GitsyncError as error:
            claimant = claimant_of(kustomization.key)._replace(doubt=error.message)
            return _Built(ComingSync(kustomization, claimant, commits, frozenset(), ()))

    async def _wishes(self, item: Inner) -> _Built:
        kustomization = item.kustomization
        key, claimant = kustomization.key, claimant_of(kustomization.key)
        artifact = await self._trees.tree_of(kustomization.source)
        spec = await self._inputs.spec_of(kustomization)
        commits = item.commits | {artifact.commit.id}
        state = commits, weakref.ref(artifact.tree), spec.digest, kustomization.spec
        if (known := self._built.get(key)) is not None and known[0] == state:
            return known[1]
        desired = await self._desired(kustomization, artifact, spec)
        unsure = self.unbuilt.note(key, desired, spec.digest)
        if desired.errors and not isinstance(desired.errors[0], DirectoryMissing):  # where nothing is, all is known
            claimant = claimant._replace(doubt=f"{desired.errors[0].origin}: {desired.errors[0].message}")
            commits = item.commits | unsure
        releases = tuple(desired.helm_releases.values())
        inner = tuple(item.model for item in desired.objects.values() if isinstance(item.model, Kustomization))
        sync = ComingSync(kustomization, claimant, commits, frozenset(desired.objects), releases, _values_in(desired))
        built = _Built(sync, inner)
        if not desired.errors:  # what is wrong may be over the next time
            self._built[key] = state, built
        return built

    async def desired(self, kustomization: Kustomization) -> Desired:
        """What one comes to at what its source has now; what cannot be built is among the errors.

        Raises: SourceNotReady, ValuesMissing; what building raises.
        """
        artifact = await self._trees.tree_of(kustomization.source)
        return await self._desired(kustomization, artifact, await self._inputs.spec_of(kustomization))

    async def _desired(self, kustomization: Kustomization, artifact: TreeArtifact, spec: BuildSpec) -> Desired:
        desired = await self._builder.build(artifact.commit, artifact.tree, spec)
        desired = as_applied_to(kustomization, desired)
        return await with_default_namespace(desired, self._cluster, DEFAULT_NAMESPACE)

    def _commits(self, kustomization: Kustomization) -> Commits:
        commit = self._present.commit_behind(kustomization.manifest)
        return frozenset({commit.id} if commit is not None else ())


def _values_in(desired: Desired) -> dict[ObjectKey, str]:
    found = {key: item for key, item in desired.objects.items() if is_values(key)}
    return {key: data_digest(item.manifest) for key, item in found.items()}
