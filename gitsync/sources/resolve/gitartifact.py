"""What GitRepositories stand for: live ones, and those that a commit brings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY, SOURCE_GROUP
from gitsync.api.sources import GitRepository
from gitsync.errors import ArtifactError
from gitsync.git import GitCredentials, Resolved
from gitsync.logins import Logins
from gitsync.signatures import TrustedKeys
from gitsync.sources.git import Content, GitArtifact, GitArtifacts, GitPlace, GitSpec, Include, Part, Verification
from gitsync.sources.git.spec import content_id
from gitsync.sources.git.verification import Mode
from gitsync.sources.resolve.artifacts import Artifact, Artifacts, SyncedRepository, reference_of
from gitsync.sources.resolve.commitsources import ALL_READ, CommitSources, Unread, not_ready, use_of
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.secrets import git_credentials, git_login, trusted_keys
from gitsync.sources.unsupported import check_supported
from gitsync.tree import Tree

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer


class GitLookup(Protocol):
    """Knows the GitRepositories that are no synced repository: those of a cluster as they were last read, or as a
    commit would have them."""

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """What a GitRepository stands for.

        Raises: SourceNotReady when there is none, or nothing could be had from it as it is now; GitUnavailable when
        what it stands for has to be fetched again.
        """

    async def left_of(self, key: ObjectKey, artifact: Artifact) -> Artifact:
        """What a GitRepository that names a synced repository has of that one's artifact: not what it ignores.

        Raises: SourceNotReady for patterns that cannot be read; NoRoom; what the tree raises.
        """


def plain_git_spec(repository: GitRepository) -> GitSpec:
    """What a GitRepository asks for, without what its Secrets hold. Raises: GitRefused."""
    spec = repository.spec
    include = tuple(Include(item.repository.name, item.from_path, item.to_path) for item in spec.include)
    content = Content(spec.ignore, spec.sparse_checkout, spec.recurse_submodules, include)
    place, owner = GitPlace(spec.url), repository.metadata.namespace
    return GitSpec(place, reference_of(spec.ref), content, owner, spec.timeout, plain_verification(repository))


async def git_spec(cluster: Cluster, repository: GitRepository, plain: GitSpec, logins: Logins) -> GitSpec:
    """The same with what its Secrets hold, or a login that they are good for.

    Raises: SourceUnavailable, SourceError, LoginRefused, NotVerified, ApiError, ClusterUnavailable.
    """
    credentials = await git_login(cluster, logins, repository)
    verification = await verification_of(cluster, repository)
    return replace(plain, place=replace(plain.place, credentials=credentials), verification=verification)


def plain_verification(repository: GitRepository) -> Verification | None:
    """Which signatures it asks for, without the keys; None for none."""
    wanted = repository.spec.verify
    if wanted is None:
        return None
    mode: Mode = "HEAD" if wanted.mode == "head" else wanted.mode
    return Verification(mode, f"Secret '{repository.metadata.namespace}/{wanted.secret_ref.name}'")


async def verification_of(cluster: Cluster, repository: GitRepository) -> Verification | None:
    """The same with the keys that its Secret holds. Raises: NotVerified, ApiError, ClusterUnavailable."""
    plain, wanted = plain_verification(repository), repository.spec.verify
    if plain is None or wanted is None:
        return None
    data = await trusted_keys(cluster, repository.metadata.namespace, wanted.secret_ref.name)
    return replace(plain, keys=await asyncio.to_thread(TrustedKeys.of_secret, data))


def without_login(spec: GitSpec) -> GitSpec:
    """As ``plain_git_spec`` has it."""
    verification = replace(spec.verification, keys=TrustedKeys()) if spec.verification is not None else None
    return replace(spec, place=replace(spec.place, credentials=GitCredentials()), verification=verification)


def included(repository: ObjectKey, name: str) -> ObjectKey:
    """The GitRepository that another one includes by this name."""
    return ObjectKey(SOURCE_GROUP, GIT_REPOSITORY, repository.namespace, name)


def synced_part(repository: SyncedRepository, declared: GitRepository | None, git: GitArtifacts) -> Part | None:
    """A synced repository, as a GitRepository has it, as something that is included; None before its first commit."""
    artifact = repository.current
    if artifact is None:
        return None

    async def tree() -> Tree:
        return (await chosen(git, declared, artifact)).tree

    revision = Resolved(artifact.commit.id, repository.head.reference.branch or repository.head.branch).revision
    return Part(revision, content_id(artifact.commit.id, less(declared), ()), "", tree)


async def chosen(git: GitArtifacts, declared: GitRepository | None, artifact: Artifact) -> Artifact:
    """What a GitRepository leaves of a synced repository's artifact. Raises: as GitArtifacts.chosen."""
    content = less(declared)
    if declared is None or content == Content():
        return artifact
    return replace(artifact, tree=await git.chosen(artifact.tree, content, declared.metadata.namespace))


async def left_of(git: GitArtifacts, artifacts: Artifacts, key: ObjectKey, artifact: Artifact) -> Artifact:
    """See GitLookup. What a release has of the commit before is without what that one ignored."""
    try:
        return await chosen(git, artifact.git_repositories.get(key) or artifacts.declared(key), artifact)
    except ArtifactError as error:
        raise not_ready(key, error.message, error.hint) from error


def is_as_committed(key: ObjectKey, artifacts: Artifacts) -> bool:
    """Whether a source is a synced repository with all its files, also those that no artifact of Flux would have."""
    return artifacts.find(key) is not None and less(artifacts.declared(key)) == Content()


def less(declared: GitRepository | None) -> Content:
    """What a GitRepository leaves out of a commit that it names; nothing where there is no GitRepository."""
    return Content() if declared is None else Content(declared.spec.ignore, declared.spec.sparse_checkout)


class CommitGitRepositories:
    """The GitRepositories as a commit would have them: its own first, then the cluster's, if there is a cluster.

    Of a cluster that is served in one namespace only, that namespace's count. Each is asked for once, when needed.
    """

    def __init__(
        self,
        git: GitArtifacts,
        logins: Logins,
        desired: Mapping[ObjectKey, GitRepository],
        artifacts: Artifacts,
        cluster: Cluster | None = None,
        watch: Informer | None = None,
        unread: Unread = ALL_READ,
    ) -> None:
        self._git = git
        self._logins = logins
        self._artifacts = artifacts
        self._sources = CommitSources(GitRepository.parse, desired, cluster, watch, unread)
        #: Whether there is a cluster with the Secrets.
        self._is_connected = cluster is not None
        self._found: dict[ObjectKey, tuple[GitSpec, GitArtifact, tuple[Part, ...]]] = {}
        artifacts.live = self._sources.find

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """See GitLookup. Raises: SourceNotReady."""
        spec, artifact, parts = await self._find(key, ())
        return Artifact(artifact.info, await self._git.tree(spec, artifact, parts))

    async def left_of(self, key: ObjectKey, artifact: Artifact) -> Artifact:
        """See GitLookup."""
        return await left_of(self._git, self._artifacts, key, artifact)

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """The tree that a GitRepository stands for. Raises: SourceNotReady."""
        spec, artifact, parts = await self._find(key, ())
        tree = await self._git.tree(spec, artifact, parts)
        return TreeArtifact(artifact.revision, artifact.info, spec.place.url, tree)

    async def _find(
        self, key: ObjectKey, around: tuple[ObjectKey, ...]
    ) -> tuple[GitSpec, GitArtifact, tuple[Part, ...]]:
        if key not in self._found:
            repository = self._sources.get(key)
            if key in around:
                raise not_ready(key, f"it includes itself: {' -> '.join(it.name for it in (*around, key))}")
            with use_of(key):
                spec = await self._spec(repository)
                parts = tuple([await self._part(key, it.name, (*around, key)) for it in spec.content.include])
                self._found[key] = spec, await self._git.refresh(key, spec, parts), parts
        return self._found[key]

    async def _part(self, repository: ObjectKey, name: str, around: tuple[ObjectKey, ...]) -> Part:
        key = included(repository, name)
        synced = self._artifacts.meant_by(key)
        if synced is not None and (part := synced_part(synced, self._artifacts.declared(key), self._git)) is not None:
            return part
        spec, artifact, parts = await self._find(key, around)
        return Part(
            artifact.revision, artifact.content, artifact.digest, partial(self._git.tree, spec, artifact, parts)
        )

    async def _spec(self, repository: GitRepository) -> GitSpec:
        check_supported(repository)
        opened = partial(git_spec, logins=self._logins)
        spec = await self._sources.opened(repository, plain_git_spec(repository), opened)
        if not self._is_connected:
            git_credentials({}, repository.spec.url, "")  # ssh needs a key
        return spec
