"""Finds the trees that Kustomizations are built from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import GIT_REPOSITORY, OCI_REPOSITORY
from gitsync.errors import ArtifactPending, SourceNotReady
from gitsync.git import Resolved
from gitsync.sources.artifacts import Artifact, Artifacts, SyncedRepository
from gitsync.sources.treeartifact import TreeArtifact

if TYPE_CHECKING:
    from gitsync.sources.gitartifact import CommitGitRepositories
    from gitsync.sources.gitrepository import GitRepositories
    from gitsync.sources.ociartifact import CommitOCIRepositories
    from gitsync.sources.ocirepository import OCIRepositories


class TreesOfKind(Protocol):
    """Knows the trees of one kind of source, as they were last read. Asks nobody which they are."""

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """Raises: SourceNotReady, ArtifactPending; what has to be fetched again may fail with another error."""

    def revision_of(self, source: ObjectKey) -> str:
        """Raises: SourceNotReady, ArtifactPending."""


class Trees:
    """The trees of sources: what was read of them last, and of a synced repository the commit that is carried out."""

    def __init__(self, artifacts: Artifacts, git: GitRepositories, oci: OCIRepositories) -> None:
        self._artifacts = artifacts
        self._kinds: Mapping[str, TreesOfKind] = {GIT_REPOSITORY: git, OCI_REPOSITORY: oci}

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """See TreeSource."""
        if (repository := self._artifacts.find(source)) is not None:
            return _carried_out(source, repository)
        try:
            return await self._kind(source).tree_of(source)
        except ArtifactPending as error:  # what is found wakes who waits
            raise SourceNotReady(error.message) from error

    def revision_of(self, source: ObjectKey) -> str:
        """See TreeSource."""
        if (repository := self._artifacts.find(source)) is not None:
            return _revision(repository, repository.current) if repository.current is not None else ""
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
        if source.kind not in self._kinds:
            raise _not_supported(source, self._kinds)
        return self._kinds[source.kind]


class CommitTrees:
    """The trees as they are once a commit is carried out: of the synced repository the commit's own, of other sources,
    as the commit has them, what they have now. ``live`` has the sources of the cluster."""

    def __init__(
        self,
        artifacts: Artifacts,
        git: CommitGitRepositories,
        oci: CommitOCIRepositories,
        live: Callable[[ObjectKey], Manifest | None],
    ) -> None:
        self._artifacts = artifacts
        self._kinds: Mapping[str, CommitGitRepositories | CommitOCIRepositories] = {
            GIT_REPOSITORY: git,
            OCI_REPOSITORY: oci,
        }
        self._live = live

    def is_synced(self, source: ObjectKey) -> bool:
        """Whether a source is the synced repository."""
        return self._artifacts.find(source) is not None

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """See TreeSource."""
        if (repository := self._artifacts.find(source)) is not None:
            return _carried_out(source, repository)
        if source.kind not in self._kinds:
            raise _not_supported(source, self._kinds)
        return await self._kinds[source.kind].tree_of(source)

    def revision_of(self, source: ObjectKey) -> str:
        """See TreeSource; of another source what it says of itself."""
        if (repository := self._artifacts.find(source)) is not None:
            return _revision(repository, repository.current) if repository.current is not None else ""
        artifact = ((self._live(source) or {}).get("status") or {}).get("artifact") or {}
        return str(artifact.get("revision", ""))

    def is_coming(self, source: ObjectKey) -> bool:
        """See TreeSource."""
        return False


def _not_supported(source: ObjectKey, kinds: Iterable[str]) -> SourceNotReady:
    return SourceNotReady(
        f"Kustomizations from a {source.kind} are not supported yet", hint=f"use a {' or an '.join(kinds)}"
    )


def _carried_out(source: ObjectKey, repository: SyncedRepository) -> TreeArtifact:
    if (artifact := repository.current) is None:
        raise SourceNotReady(f"GitRepository '{source.namespaced_name}': no commit has been carried out yet")
    return TreeArtifact(_revision(repository, artifact), artifact.commit, repository.head.url, artifact.tree)


def _revision(repository: SyncedRepository, artifact: Artifact) -> str:
    """As Flux writes it: ``main@sha1:3f2a91c...``."""
    reference = repository.head.reference
    branch = reference.name or reference.tag or reference.branch or repository.head.branch
    return Resolved(artifact.commit.id, branch).revision
