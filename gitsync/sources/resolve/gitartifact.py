"""The artifacts of GitRepositories: of those in the cluster, and of those that a commit brings."""

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
    """Knows the GitRepositories, other than those that name a synced repository: those of a cluster as they were
    last read, or as a commit would have them."""

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """The artifact of a GitRepository.

        Raises: SourceNotReady when there is no such GitRepository, or it has no artifact for its present spec;
        GitUnavailable when the artifact has to be fetched again, and cannot be.
        """

    async def filtered(self, key: ObjectKey, artifact: Artifact) -> Artifact:
        """The part of a synced repository's artifact that a GitRepository which names it has: all but what that one
        ignores.

        Raises: SourceNotReady for patterns that cannot be read; NoRoom; what reading the tree raises.
        """


def plain_git_spec(repository: GitRepository) -> GitSpec:
    """What a GitRepository asks for, without what its Secrets hold. Raises: GitRefused."""
    spec = repository.spec
    include = tuple(Include(item.repository.name, item.from_path, item.to_path) for item in spec.include)
    content = Content(spec.ignore, spec.sparse_checkout, spec.recurse_submodules, include)
    place, owner = GitPlace(spec.url), repository.metadata.namespace
    return GitSpec(place, reference_of(spec.ref), content, owner, spec.timeout, plain_verification(repository))


async def git_spec(cluster: Cluster, repository: GitRepository, plain: GitSpec, logins: Logins) -> GitSpec:
    """What a GitRepository asks for, with the login that its Secrets hold or give.

    Raises: SourceUnavailable, SourceError, LoginRefused, NotVerified, ApiError, ClusterUnavailable.
    """
    credentials = await git_login(cluster, logins, repository)
    verification = await verification_of(cluster, repository)
    return replace(plain, place=replace(plain.place, credentials=credentials), verification=verification)


def plain_verification(repository: GitRepository) -> Verification | None:
    """The verification that a GitRepository demands, without the keys; None for none."""
    wanted = repository.spec.verify
    if wanted is None:
        return None
    mode: Mode = "HEAD" if wanted.mode == "head" else wanted.mode
    return Verification(mode, f"Secret '{repository.metadata.namespace}/{wanted.secret_ref.name}'")


async def verification_of(cluster: Cluster, repository: GitRepository) -> Verification | None:
    """The verification that a GitRepository demands, with the keys that its Secret holds. Raises: NotVerified,
    ApiError, ClusterUnavailable."""
    plain, wanted = plain_verification(repository), repository.spec.verify
    if plain is None or wanted is None:
        return None
    data = await trusted_keys(cluster, repository.metadata.namespace, wanted.secret_ref.name)
    return replace(plain, keys=await asyncio.to_thread(TrustedKeys.of_secret, data))


def without_login(spec: GitSpec) -> GitSpec:
    """A spec as ``plain_git_spec`` returns it, without what Secrets hold."""
    verification = replace(spec.verification, keys=TrustedKeys()) if spec.verification is not None else None
    return replace(spec, place=replace(spec.place, credentials=GitCredentials()), verification=verification)


def included(repository: ObjectKey, name: str) -> ObjectKey:
    """The GitRepository that another one includes by this name."""
    return ObjectKey(SOURCE_GROUP, GIT_REPOSITORY, repository.namespace, name)


def synced_part(repository: SyncedRepository, declared: GitRepository | None, git: GitArtifacts) -> Part | None:
    """A synced repository, as the GitRepository ``declared`` has it, as a part that another one includes; None
    before its first commit."""
    artifact = repository.current
    if artifact is None:
        return None

    async def tree() -> Tree:
        return (await filtered_artifact(git, declared, artifact)).tree

    revision = Resolved(artifact.commit.id, repository.head.reference.branch or repository.head.branch).revision
    return Part(revision, content_id(artifact.commit.id, exclusions(declared), ()), "", tree)


async def filtered_artifact(git: GitArtifacts, declared: GitRepository | None, artifact: Artifact) -> Artifact:
    """What a GitRepository leaves of a synced repository's artifact. Raises: as GitArtifacts.filtered."""
    content = exclusions(declared)
    if declared is None or content == Content():
        return artifact
    return replace(artifact, tree=await git.filtered(artifact.tree, content, declared.metadata.namespace))


async def filtered(git: GitArtifacts, artifacts: Artifacts, key: ObjectKey, artifact: Artifact) -> Artifact:
    """See GitLookup. What a release has of the commit before is without what that one ignored."""
    try:
        return await filtered_artifact(git, artifact.git_repositories.get(key) or artifacts.declared(key), artifact)
    except ArtifactError as error:
        raise not_ready(key, error.message, error.hint) from error


def is_unfiltered(key: ObjectKey, artifacts: Artifacts) -> bool:
    """Whether a source is a synced repository with all its files, also those that no artifact of Flux would have."""
    return artifacts.find(key) is not None and exclusions(artifacts.declared(key)) == Content()


def exclusions(declared: GitRepository | None) -> Content:
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
        #: Whether there is a cluster, where Secrets can be read.
        self._is_connected = cluster is not None
        self._found: dict[ObjectKey, tuple[GitSpec, GitArtifact, tuple[Part, ...]]] = {}
        artifacts.live = self._sources.find

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """See GitLookup. Raises: SourceNotReady."""
        spec, artifact, parts = await self._find(key, ())
        return Artifact(artifact.info, await self._git.tree(spec, artifact, parts))

    async def filtered(self, key: ObjectKey, artifact: Artifact) -> Artifact:
        """See GitLookup."""
        return await filtered(self._git, self._artifacts, key, artifact)

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """The tree of a GitRepository. Raises: SourceNotReady."""
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
            git_credentials({}, repository.spec.url, "")  # without a cluster there is no key for ssh
        return spec
