"""Kustomizations that are on their way, having yet to take up a revision, and what they will want. It is asked for
before a sync or a release deletes an object: perhaps one of them is to have it."""

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

#: How deep Kustomizations in Kustomizations are followed.
MAX_NESTING = 8
#: Seconds that a deletion waits for one Kustomization's source to be fetched and built.
BUILD_TIMEOUT = 60.0


def claimant_of(key: ObjectKey) -> Claimant:
    """A Kustomization as a claimant."""
    return Owner(key.name, key.namespace, "").claimant


class _Built(NamedTuple):
    """What a Kustomization will want, and the Kustomizations among that."""

    sync: ComingSync
    inner: tuple[Kustomization, ...] = ()


@dataclass(frozen=True)
class Present:
    """The Kustomizations in the cluster, and what is known of each.

    - ``all``: those that can be read; ``is_root``: the sync of the settings stands for it.
    - ``is_removed``: it is about to be removed; ``goes_with_chart``: it is in the chart of a release that is.
    - ``brought``: HelmReleases and Kustomizations of commits that are being carried out, with their sync and commit.
    - ``commit_behind``: the commit that last changed it.
    - ``has_news``: something that it refers to has changed since it was applied.
    - ``has_said``: it has said what it wants since the agent's start. Before, its status only says what it has, of
      which it may keep some for somebody else.
    """

    all: Callable[[], Mapping[ObjectKey, Kustomization]]
    is_root: Callable[[Kustomization], bool]
    is_removed: Callable[[ObjectKey], bool] = lambda _: False
    goes_with_chart: Callable[[Manifest], bool] = lambda _: False
    brought: Callable[[], Iterable[Brought]] = tuple
    commit_behind: Callable[[Manifest], CommitInfo | None] = commit_of
    has_news: Callable[[ObjectKey], bool] = lambda _: False
    has_said: Callable[[ObjectKey], bool] = lambda _: True


class ComingSyncs:
    """Builds the Kustomizations that are on their way, without applying anything. ``inputs`` are not those of the
    reconciler: a Kustomization as a commit will have it may refer to other objects than the one in the cluster."""

    def __init__(
        self, cluster: Cluster, trees: TreeSource, builder: Builder, inputs: BuildSpecs, present: Present
    ) -> None:
        self._cluster = cluster
        self._trees = trees
        self._builder = builder
        self._inputs = inputs
        self._present = present
        self.unbuilt = Unbuilt()
        #: By Kustomization that was on its way at the last call, what was built, and a key of what that was built of.
        self._built: dict[ObjectKey, tuple[object, _Built]] = {}
        self._asked: set[ObjectKey] = set()

    async def __call__(self, inner: Collection[Inner] = ()) -> list[ComingSync]:
        """All Kustomizations that are on their way, with what they will want: those of the cluster and of commits,
        ``inner`` ones of charts, and those in what any of these builds to."""
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
        """Kustomizations of commits that are being carried out, as far as the cluster does not have them so yet."""
        found: dict[ObjectKey, Inner] = {}
        for item, sync, commit in self._present.brought():
            if not isinstance(item, Kustomization) or self._present.is_root(item):
                continue
            above = known.get(kustomization_of(sync.name))
            if not self._stays(item, known) and (above is None or not self._goes_along(above, known)):
                found[item.key] = Inner(item, frozenset({commit}))
        return found

    def _stays(self, item: Kustomization, known: Mapping[ObjectKey, Kustomization]) -> bool:
        """Whether the cluster has a Kustomization with this very spec, and it is not about to be removed."""
        live = known.get(item.key)
        return live is not None and live.spec == item.spec and not self._goes_along(live, known)

    def leaving(self) -> list[Claimant]:
        """The Kustomizations that are about to be removed, and those that these remove."""
        known = self._present.all()
        return [claimant_of(key) for key, item in known.items() if self._goes(item, known)]

    def leaving_with_charts(self) -> list[Claimant]:
        """As ``leaving``, and those in the charts of releases that are about to be removed: they go, too, unless
        somebody else takes them."""
        known = self._present.all()
        items = known.items()
        return [claimant_of(key) for key, item in items if self._goes_along(item, known)]

    def is_leaving(self, kustomization: Kustomization) -> bool:
        """Whether it is among ``leaving_with_charts``: then it takes up no new revision, and wants nothing new, unless
        somebody else takes it."""
        return self._goes_along(kustomization, self._present.all())

    def _goes_along(self, kustomization: Kustomization, known: Mapping[ObjectKey, Kustomization]) -> bool:
        """Whether it is about to be removed, also with a Kustomization above it, or with a release whose chart has it
        or one above it."""
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
        """What it will want, in time: some tenant's source may be at a server that does not answer, or his build never
        end. After that it may want anything."""
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
        if not desired.errors:  # an error may be over the next time
            self._built[key] = state, built
        return built

    async def desired(self, kustomization: Kustomization) -> Desired:
        """What a Kustomization builds to at the present revision of its source; or the errors why it cannot be built.

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
