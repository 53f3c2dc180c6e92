"""Finds the trees that Kustomizations are built from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import BUCKET, EXTERNAL_ARTIFACT, GIT_REPOSITORY, HELM_CHART, OCI_REPOSITORY
from gitsync.errors import ArtifactPending, GitsyncError, SourceNotReady, SourceNotReadYet
from gitsync.sources.charts.commitcharts import CommitHelmCharts
from gitsync.sources.generator.circles import check_circle, is_circular
from gitsync.sources.generator.generating import Generated, Making, as_artifact, generated
from gitsync.sources.generator.generators import ArtifactGenerators, makers_of, unmade
from gitsync.sources.resolve.artifacts import Artifacts, SyncedRepository
from gitsync.sources.resolve.commitsources import not_ready
from gitsync.sources.resolve.gitartifact import GitLookup, is_unfiltered
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.unpacking import Unpacker

if TYPE_CHECKING:
    from gitsync.sources.kinds.buckets import Buckets
    from gitsync.sources.kinds.gitrepository import GitRepositories
    from gitsync.sources.kinds.helmcharts import HelmCharts
    from gitsync.sources.kinds.ocirepository import OCIRepositories
    from gitsync.sources.resolve.bucketartifact import CommitBuckets
    from gitsync.sources.resolve.gitartifact import CommitGitRepositories
    from gitsync.sources.resolve.ociartifact import CommitOCIRepositories


class TreesOfKind(Protocol):
    """Knows the trees of one kind of source, as they were last read; it asks no server what a source has now."""

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """The tree that was read of ``source`` last, from memory or disk, else fetched again.

        Raises: SourceNotReady when it does not exist, or could not be read; ArtifactPending when it is yet to be read;
        fetching again may raise other errors.
        """

    def revision_of(self, source: ObjectKey) -> str:
        """Its revision, as Flux writes it (``main@sha1:<commit>``). Raises: as ``tree_of``, but fetches nothing."""


class Trees:
    """The trees of sources: what was read of them last, and of a synced repository the commit that is carried out."""

    def __init__(self, artifacts: Artifacts, git: GitRepositories, oci: OCIRepositories, buckets: Buckets) -> None:
        self._artifacts = artifacts
        self._git = git
        self._kinds: dict[str, TreesOfKind] = {GIT_REPOSITORY: git, OCI_REPOSITORY: oci, BUCKET: buckets}

        #: Kinds that ArtifactGenerators may take files from, and Kustomizations may not name.
        self._inputs: dict[str, TreesOfKind] = {}

    def have(self, generators: ArtifactGenerators, charts: HelmCharts) -> None:
        """Adds the trees of ExternalArtifacts, which are made of those of other sources."""
        self._kinds[EXTERNAL_ARTIFACT] = generators
        self._inputs[HELM_CHART] = charts

    async def input_of(self, source: ObjectKey) -> TreeArtifact:
        """The tree of a source as an ArtifactGenerator takes files from it. Raises: as ``tree_of``; ArtifactError."""
        artifact = await self.tree_of(source)
        return await as_artifact(artifact) if is_unfiltered(source, self._artifacts) else artifact

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """See TreeSource."""
        if (repository := self._artifacts.find(source)) is not None:
            return await _carried_out(source, repository, self._git)
        try:
            return await self._kind(source).tree_of(source)
        except ArtifactPending as error:  # when it is read, what waits for it is reconciled
            raise SourceNotReady(error.message) from error

    def revision_of(self, source: ObjectKey) -> str:
        """See TreeSource."""
        if (repository := self._artifacts.find(source)) is not None:
            return repository.revision(repository.current.commit.id) if repository.current is not None else ""
        try:
            return self._kind(source).revision_of(source)
        except (SourceNotReady, ArtifactPending):
            return ""

    def is_coming(self, source: ObjectKey) -> bool:
        """See TreeSource."""
        if (repository := self._artifacts.find(source)) is not None:
            return repository.current is None
        try:
            self._kind(source).revision_of(source)
        except ArtifactPending:
            return True
        except SourceNotReady:
            return False
        return False

    def _kind(self, source: ObjectKey) -> TreesOfKind:
        found = self._kinds.get(source.kind) or self._inputs.get(source.kind)
        if found is None:
            raise _not_supported(source, self._kinds)
        return found


class CommitTrees:
    """The trees as they are once a commit is carried out: of the synced repository the commit's own, of other
    sources what these have now, with the specs that the commit gives them. ``live`` has the sources of the cluster,
    ``generators`` gives the ArtifactGenerators that there will be, ``unpacker`` unpacks archives for them;
    ``charts`` are HelmCharts, which only ArtifactGenerators take files from."""

    def __init__(
        self,
        artifacts: Artifacts,
        git: CommitGitRepositories,
        oci: CommitOCIRepositories,
        buckets: CommitBuckets,
        live: Callable[[ObjectKey], Manifest | None],
        generators: Callable[[], Iterable[ArtifactGenerator]],
        unpacker: Unpacker,
        charts: CommitHelmCharts,
    ) -> None:
        self._artifacts = artifacts
        self._git = git
        self._kinds: Mapping[str, CommitGitRepositories | CommitOCIRepositories | CommitBuckets] = {
            GIT_REPOSITORY: git,
            OCI_REPOSITORY: oci,
            BUCKET: buckets,
        }
        self._charts = charts
        self._live = live
        self._generators = generators
        self._making = Making(self._input_of, unpacker)
        #: By key of a generator: the spec that it was run with, and what it makes.
        self._made: dict[ObjectKey, tuple[ArtifactGenerator, Generated]] = {}

    def is_synced(self, source: ObjectKey) -> bool:
        """Whether a source is the synced repository, or made of it."""
        if source.kind == HELM_CHART:
            return (of := self._charts.source_of(source)) is not None and self._artifacts.find(of) is not None
        if source.kind != EXTERNAL_ARTIFACT:
            return self._artifacts.find(source) is not None
        makers = [it for it in self.makers_of(source) if not is_circular(it, self.makers_of)]
        return any(self.is_synced(maker.source_key(it)) for maker in makers for it in maker.spec.sources)

    def makers_of(self, source: ObjectKey) -> list[ArtifactGenerator]:
        """The ArtifactGenerators that may make a source."""
        return makers_of(source, self._generators()) if source.kind == EXTERNAL_ARTIFACT else []

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """See TreeSource."""
        if source.kind == EXTERNAL_ARTIFACT:
            return await self._made_of(source)
        if (repository := self._artifacts.find(source)) is not None:
            return await _carried_out(source, repository, self._git)
        if source.kind not in self._kinds:
            raise _not_supported(source, (*self._kinds, EXTERNAL_ARTIFACT))
        return await self._kinds[source.kind].tree_of(source)

    async def _made_of(self, artifact: ObjectKey) -> TreeArtifact:
        why: SourceNotReady | None = None
        for generator in self.makers_of(artifact):
            try:
                made = await self._generated(generator)
            except SourceNotReady as error:
                why = why or error
                continue
            if artifact.name in made.artifacts:
                return made.artifacts[artifact.name]
        raise why or unmade(artifact)

    async def _generated(self, generator: ArtifactGenerator) -> Generated:
        """The tree that a generator makes. Raises: SourceNotReady."""
        known = self._made.get(generator.key)
        if known is not None and known[0].spec == generator.spec:
            return known[1]
        try:
            check_circle(generator, self.makers_of)
            made = await generated(generator, self._making, is_shared=self._artifacts.is_shared)
        except SourceNotReady:
            raise
        except GitsyncError as error:
            raise not_ready(generator.key, error.message, error.hint) from error
        self._made[generator.key] = generator, made
        return made

    async def _input_of(self, source: ObjectKey) -> TreeArtifact:
        if source.kind == HELM_CHART:
            return await self._charts.tree_of(source)
        artifact = await self.tree_of(source)
        return await as_artifact(artifact) if is_unfiltered(source, self._artifacts) else artifact

    def revision_of(self, source: ObjectKey) -> str:
        """See TreeSource. Of a source other than the synced repository it is the one in its status."""
        if (repository := self._artifacts.find(source)) is not None:
            return repository.revision(repository.current.commit.id) if repository.current is not None else ""
        if source.kind == EXTERNAL_ARTIFACT:
            for generator, made in self._made.values():
                if generator.metadata.namespace == source.namespace and source.name in made.artifacts:
                    return made.artifacts[source.name].revision
        artifact = ((self._live(source) or {}).get("status") or {}).get("artifact") or {}
        return str(artifact.get("revision", ""))

    def is_coming(self, source: ObjectKey) -> bool:
        """See TreeSource."""
        return False


def _not_supported(source: ObjectKey, kinds: Iterable[str]) -> SourceNotReady:
    return SourceNotReady(
        f"Kustomizations from a {source.kind} are not supported yet", hint=f"use a {' or an '.join(kinds)}"
    )


async def _carried_out(source: ObjectKey, repository: SyncedRepository, git: GitLookup) -> TreeArtifact:
    if repository.current is None:
        raise SourceNotReadYet(f"GitRepository '{source.namespaced_name}': no commit has been carried out yet")
    artifact = await git.filtered(source, repository.current)
    return TreeArtifact(repository.revision(artifact.commit.id), artifact.commit, repository.head.url, artifact.tree)
