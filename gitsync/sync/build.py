"""A commit of the synced repository, read into what it wants."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gitsync.api.crds import crd_names
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.build import Directories, KeysOf, SpecOf, as_it_is
from gitsync.errors import ArtifactError, ChartError, GitRefused
from gitsync.git import Resolved
from gitsync.logs import Once
from gitsync.manifests import Desired
from gitsync.release.flux import runs_flux
from gitsync.sources.charts.chart import WantedChart
from gitsync.sources.charts.dependencies import LocalDependencies
from gitsync.sources.charts.helmchart import content_id
from gitsync.sources.git import Content, Verification, verified
from gitsync.sources.git.compose import filtered
from gitsync.sources.resolve.artifacts import Artifact, Head, meaning
from gitsync.sources.resolve.gitartifact import exclusions
from gitsync.sources.resolve.owndirectory import read_directory

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.api.sources import GitRepository
    from gitsync.charts.workers import Workers
    from gitsync.git import Mirror
    from gitsync.tree import Tree


log = structlog.get_logger(__name__)

#: Kinds that are applied even where they are a part of Flux itself: see ``flux_itself``.
_STAY = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding")


async def _nothing() -> list[Verification]:
    return []


@dataclass
class CommitSource:
    """Reads commits for the sync ``name``. ``path`` is the directory of the repository that holds the manifests, "" for
    all of it. ``workers`` read the charts that releases take from the repository. ``keys_of`` gives the keys for what
    is encrypted; ``spec_of`` says how the directory is built, by its own Kustomization. ``demands`` gives what has to
    be signed, and by whom."""

    mirror: Mirror
    directories: Directories
    name: str
    workers: Workers
    path: str = ""
    keys_of: KeysOf | None = None
    spec_of: SpecOf = as_it_is
    demands: Callable[[], Awaitable[list[Verification]]] = _nothing

    def __post_init__(self) -> None:
        self._dependencies = LocalDependencies(self.workers)
        self._once = Once()

    async def verify(self, commit: CommitInfo) -> None:
        """Raises: NotVerified for a commit without the signatures that it must have; what ``demands`` raises."""
        for wanted in await self.demands():
            await self.verified(commit.id, wanted)

    async def verified(self, commit_id: str, wanted: Verification) -> str:
        """What was verified, in Flux's words; of tags, the one by which the head was found. Raises: NotVerified."""
        found = Resolved(commit_id, self.mirror.source.tag, self.mirror.head_tag)
        return await verified(self.mirror, self.mirror.source.reference, found, wanted)

    async def read(self, commit: CommitInfo) -> Desired:
        """What a commit wants, with its own tree.

        The digest of a HelmRelease changes when its chart in the repository does, or a ConfigMap or Secret with values
        for it: then the sync applies the HelmRelease again, which takes up all changes at once and names the commit.

        Raises: GitRefused when the commit has no such directory; GitUnavailable.
        """
        tree = await self.mirror.artifact(commit.id)
        if self.path and not (await tree.entries()).below(self.path):
            raise GitRefused(
                f"commit {commit.short} has no directory {self.path!r}", hint="correct --path, or push the directory"
            )
        found = await read_directory(tree, self.path, partial(self._read, commit), self._own_exclusions)
        desired = self._without_flux(found)
        objects, artifacts = dict(desired.objects), {Content(): Artifact(commit, tree)}
        for key, release in desired.helm_releases.items():
            chart = await self._chart(release, desired, artifacts) if self._has_chart(release, desired) else None
            parts = [part for part in (objects[key].digest, chart, _values(release, desired)) if part]
            objects[key] = replace(objects[key], digest="+".join(parts))
        return replace(desired, objects=objects)

    async def _read(self, commit: CommitInfo, tree: Tree) -> Desired:
        return await self.directories.read(commit, tree, self.path, self.keys_of, self.spec_of)

    async def _own_exclusions(self, desired: Desired) -> Content:
        """What is excluded by the GitRepository by which the directory's own Kustomization names this repository."""
        models = (item.model for item in desired.objects.values())
        own = [it for it in models if isinstance(it, Kustomization) and it.path == self.path]
        return exclusions(next((it for root in own if (it := self._declared(root.source, desired)) is not None), None))

    def _without_flux(self, desired: Desired) -> Desired:
        """Without the objects that run Flux itself, which a repository of ``flux bootstrap`` has: gitsync takes its
        place."""
        left_out = flux_itself(desired)
        if left_out:
            why = "they are labelled app.kubernetes.io/part-of: flux, and gitsync does what they do"
            self._once(self.name, log, "objects of Flux itself are left out", objects=len(left_out), why=why)
        return replace(desired, objects={key: item for key, item in desired.objects.items() if key not in left_out})

    def _has_chart(self, release: HelmRelease, desired: Desired) -> bool:
        """Whether a release means this repository, as far as the commit says."""
        if release.source not in desired.git_repositories:
            return bool(meaning(release.source, self.name))
        return self._declared(release.source, desired) is not None

    def _declared(self, key: ObjectKey, desired: Desired) -> GitRepository | None:
        """The GitRepository ``key`` of the commit if it names this repository, else None."""
        declared, source = desired.git_repositories.get(key), self.mirror.source
        head = Head(source.url, source.reference, self.mirror.default_branch, self.mirror.cloned_from)
        return declared if declared is not None and head.is_meant_by(key, declared, brought=True) else None

    async def _chart(self, release: HelmRelease, desired: Desired, artifacts: dict[Content, Artifact]) -> str | None:
        """The identity of a release's chart; None when it cannot be told. ``artifacts`` has, and gets, the commit's
        artifact without what a GitRepository ignores, by the ignore rules."""
        wanted, content = WantedChart.of(release), exclusions(self._declared(release.source, desired))
        if wanted is None:
            return None
        try:
            if content not in artifacts:
                whole = artifacts[Content()]
                artifacts[content] = replace(whole, tree=await filtered(whole.tree, content))
            return await content_id(wanted, artifacts[content], self._dependencies)
        except (ArtifactError, ChartError):
            return None  # the reconciliation of the release, or of its source, reports the error


def flux_itself(desired: Desired) -> frozenset[ObjectKey]:
    """The objects of a commit that run Flux: its controllers and what they need. Not the Namespace that they are in,
    which holds sources as well, nor their accounts with what these may do, which Kustomizations may name, nor
    definitions of kinds that gitsync does not bring itself."""
    labelled = {key for key, item in desired.objects.items() if runs_flux(item.manifest) and key.kind not in _STAY}
    if not any(key.kind == "Deployment" for key in labelled):
        return frozenset()
    ours = set(crd_names())
    return frozenset(key for key in labelled if key.kind != "CustomResourceDefinition" or key.name in ours)


def _values(release: HelmRelease, desired: Desired) -> str:
    """A digest of the objects of the commit that the release takes values from; "" without any."""
    digests = [desired.objects[key].digest for key in release.value_sources() if key in desired.objects]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16] if digests else ""
