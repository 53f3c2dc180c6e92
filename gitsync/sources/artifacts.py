"""The artifacts that releases take their charts from: of each synced repository the commit that is carried out.

A commit that was only read, or that is held, changes no chart. One that is carried out reaches a HelmRelease together
with the HelmRelease's own change: until the sync has applied that, the release goes on with the chart it had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import COMMIT_ANNOTATION, GIT_REPOSITORY, SYNC_LABEL
from gitsync.errors import ArtifactPending, GitUnavailable, SourceNotReady
from gitsync.git import redacted_url
from gitsync.manifests import Desired
from gitsync.tree import Tree

#: Name by which a release may mean the synced repository without a GitRepository object: Flux's bootstrap uses it.
WELL_KNOWN = "flux-system"
#: Seconds in which the first commit after a start is carried out, mostly; nothing is said of releases that wait for it.
FIRST_COMMIT = 30.0


@dataclass(frozen=True)
class Artifact:
    """A commit's tree. ``git_repositories`` are the URLs of the GitRepository objects that the commit brings: a release
    may mean a synced repository by one of them."""

    commit: CommitInfo
    tree: Tree = field(repr=False)
    git_repositories: Mapping[ObjectKey, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, desired: Desired) -> Artifact:
        """The artifact that a desired state was read from."""
        if desired.tree is None:
            raise ValueError("this desired state was not read from a tree")
        urls = {
            key: str((item.manifest.get("spec") or {}).get("url", ""))
            for key, item in desired.objects.items()
            if key.kind == GIT_REPOSITORY
        }
        return cls(desired.commit, desired.tree, urls)


class SyncedRepository:
    """A repository that a sync reads, and which artifact of it each release uses. ``name`` is the sync's."""

    def __init__(self, name: str, url: str, on_change: Callable[[SyncedRepository], None]) -> None:
        self.name = name
        self.url = url
        self._on_change = on_change
        #: What is carried out now, or was last; None before the first commit.
        self.current: Artifact | None = None
        self._behind: dict[ObjectKey, Artifact | None] = {}

    def carry_out(self, artifact: Artifact, changing: Iterable[ObjectKey]) -> None:
        """This artifact is the current one from now on. ``changing`` are the HelmReleases that its commit changes: each
        follows once it is ``reached``, or carries the commit's stamp, and stays with what it uses now until then.
        """
        self._behind = {key: self._behind.get(key, self.current) for key in changing}
        self.current = artifact
        self._on_change(self)

    def reached(self, key: ObjectKey) -> None:
        """The commit that is carried out has been applied to this HelmRelease."""
        self._behind.pop(key, None)

    def artifact_of(self, release: HelmRelease) -> Artifact | None:
        """What a release uses; None when it has to wait for the first commit."""
        if release.key not in self._behind:
            return self.current
        stamp = release.metadata.annotations.get(COMMIT_ANNOTATION)
        if self.current is not None and stamp == self.current.commit.id:
            return self.current  # applied, although the sync has yet to hear of it
        return self._behind[release.key]


class Artifacts:
    """The synced repositories of this agent. Two of them never share an artifact, even at one URL."""

    def __init__(self) -> None:
        self._repositories: list[SyncedRepository] = []
        self._listeners: list[Callable[[SyncedRepository], None]] = []
        self._waiting: set[ObjectKey] = set()
        self._since = time.monotonic()

    @classmethod
    def of_commit(cls, name: str, url: str, artifact: Artifact) -> Artifacts:
        """As they are once an artifact of the sync ``name`` is carried out."""
        artifacts = cls()
        artifacts.add(name, url).carry_out(artifact, ())
        return artifacts

    def add(self, name: str, url: str) -> SyncedRepository:
        """A repository that the sync ``name`` reads from ``url``; the first one is meant where several may be."""
        repository = SyncedRepository(name, url, self._changed)
        self._repositories.append(repository)
        return repository

    def subscribe(self, listener: Callable[[SyncedRepository], None]) -> None:
        """Have ``listener`` called whenever another artifact of a repository is the current one."""
        self._listeners.append(listener)

    def find(self, source: ObjectKey, sync: str = "") -> SyncedRepository | None:
        """The repository that a sourceRef means: by the URL of a GitRepository, the sync's name, or Flux's well-known
        name, in this order; of equals that of ``sync``, the one that has brought the release, else the first."""
        urls: dict[ObjectKey, str] = {}
        for repository in self._repositories:
            if repository.current is not None:
                urls |= repository.current.git_repositories
        ranked = [(meaning(source, item.name, item.url, urls), item.name == sync, item) for item in self._repositories]
        best = max(ranked, key=lambda rank: rank[:2], default=None)
        return best[2] if best is not None and best[0] else None

    def wakes(self, repository: SyncedRepository, release: HelmRelease) -> bool:
        """Whether a release has to look again because another artifact of ``repository`` is the current one.

        Not so one that the repository's own sync has brought: when its chart changes the sync changes the release too,
        which wakes it.
        """
        if release.source.kind != GIT_REPOSITORY or self.find(release.source, _sync_of(release)) is not repository:
            return False
        return release.key in self._waiting or _sync_of(release) != repository.name

    def artifact_of(self, release: HelmRelease) -> Artifact:
        """What a release's chart is taken from.

        Raises: SourceNotReady when the sourceRef means no synced repository; ArtifactPending, or GitUnavailable when
        that takes long, after a start and before the first commit is carried out.
        """
        repository = self.find(release.source, _sync_of(release))
        if repository is None and all(item.current is not None for item in self._repositories):
            raise other_repository(release.source)
        # Without a repository: the commit of one may yet bring a GitRepository that says which one is meant.
        artifact = repository.artifact_of(release) if repository is not None else None
        if artifact is not None:
            self._waiting.discard(release.key)
            return artifact
        self._waiting.add(release.key)
        message = "no commit of the repository has been carried out yet"
        if repository is not None and repository.current is not None:  # it is about to reach this release
            raise ArtifactPending(message, retry_after=FIRST_COMMIT)
        if (left := self._since + FIRST_COMMIT - time.monotonic()) > 0:
            raise ArtifactPending(message, retry_after=left)
        raise GitUnavailable(message)

    def _changed(self, repository: SyncedRepository) -> None:
        for listener in self._listeners:
            listener(repository)


def meaning(source: ObjectKey, name: str, url: str, git_repositories: Mapping[ObjectKey, str]) -> int:
    """How surely a sourceRef means the repository of the sync ``name`` at ``url``: 3 by a GitRepository's URL, 2 by the
    sync's name, 1 by Flux's well-known name, 0 not at all."""
    if source.kind != GIT_REPOSITORY:
        return 0
    if source in git_repositories and _comparable(git_repositories[source]) == _comparable(url):
        return 3
    if source.name == name:
        return 2
    return 1 if source.name == WELL_KNOWN else 0


def other_repository(source: ObjectKey) -> SourceNotReady:
    """What to raise for a source that is no synced repository."""
    return SourceNotReady(
        f"{source.kind} '{source.namespace}/{source.name}' is not the repository that is being synced",
        hint="gitsync reads charts from chart repositories and from its own Git repository",
    )


def _sync_of(release: HelmRelease) -> str:
    return release.metadata.labels.get(SYNC_LABEL, "")


def _comparable(url: str) -> str:
    return redacted_url(url).removesuffix("/").removesuffix(".git").removeprefix("file://").lower()
