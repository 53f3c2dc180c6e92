"""The artifacts of synced repositories: of each the commit that is carried out, for releases and GitRepositories.

A commit that was only read, or that is held, changes no chart. One that is carried out reaches a HelmRelease together
with the HelmRelease's own change: until the sync has applied that, the release goes on with the chart it had.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import COMMIT_ANNOTATION, GIT_REPOSITORY, SOURCE_GROUP, WELL_KNOWN, sync_of
from gitsync.api.sources import GitReference as DeclaredReference
from gitsync.api.sources import GitRepository
from gitsync.errors import ArtifactPending, GitRefused, GitsyncError
from gitsync.git import HEAD, GitReference, Resolved, same_repository
from gitsync.manifests import Desired
from gitsync.sources.git.verification import Verification
from gitsync.sources.resolve.commitsources import missing
from gitsync.sources.unsupported import refused
from gitsync.tree import Tree

#: The GitRepository by which a repository made with ``flux bootstrap`` names itself, whatever URL it has.
BOOTSTRAP = ObjectKey(SOURCE_GROUP, GIT_REPOSITORY, WELL_KNOWN, WELL_KNOWN)
#: The branch of a GitRepository that has no reference, as with Flux.
DEFAULT_BRANCH = "master"
_BRANCHES = "refs/heads/"
#: Seconds, in which the first commit after a start is mostly carried out: a release that waits no longer than that says
#: nothing in its status.
FIRST_COMMIT = 30.0


@dataclass(frozen=True)
class Artifact:
    """A commit's tree. ``git_repositories`` are the GitRepositories that the commit brings: by one of them a release
    may name the synced repository."""

    commit: CommitInfo
    tree: Tree = field(repr=False)
    git_repositories: Mapping[ObjectKey, GitRepository] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, desired: Desired) -> Artifact:
        """The artifact of the commit that a desired state was read from."""
        if desired.tree is None:
            raise ValueError("this desired state was not read from a tree")
        return cls(desired.commit, desired.tree, desired.git_repositories)


@dataclass(frozen=True, slots=True)
class Head:
    """What a sync reads: this ``reference`` of the repository at ``url``. ``branch`` is the remote's default branch;
    "" while that is not known. ``cloned_from`` is the URL that a repository on this machine is a clone of, "" for
    none. ``is_tried``: a commit is tried out (``gitsync verify``), in the place of what a branch may have next."""

    url: str
    reference: GitReference = field(default_factory=GitReference)
    branch: str = ""
    cloned_from: str = ""
    is_tried: bool = False

    def is_meant_by(self, key: ObjectKey, declared: GitRepository, *, brought: bool) -> bool:
        """Whether a GitRepository is this, or a part of it that its ignore rules leave: its URL and reference are,
        or it is the GitRepository ``flux-system`` that the repository itself has ``brought``."""
        # The signatures that the repository must have are demanded by its own GitRepository alone, which the agent
        # heeds. By those of another one anybody could hold the sync up.
        is_signed = declared.spec.verify is not None and key != BOOTSTRAP
        return self.is_named_by(key, declared, brought=brought) and _adds_nothing(declared) and not is_signed

    def is_named_by(self, key: ObjectKey, declared: GitRepository, *, brought: bool) -> bool:
        """As ``is_meant_by``, whatever further fields of the GitRepository demand."""
        urls = filter(None, (self.url, self.cloned_from))
        same = any(same_repository(declared.spec.url, url) for url in urls) and self._follows(declared.spec.ref)
        return same or (brought and key == BOOTSTRAP)

    def _follows(self, ref: DeclaredReference | None) -> bool:
        own = self.reference
        try:
            wanted = reference_of(ref)
        except GitRefused:
            return False
        if self.is_tried and wanted.ref.startswith(_BRANCHES) and not wanted.commit:
            return True
        if own.commit or wanted.commit or not wanted.ref:
            return bool(own.commit) and own.commit == wanted.commit
        if own.ref != HEAD:
            return wanted.ref == own.ref
        branch = wanted.ref.removeprefix(_BRANCHES)
        return branch != wanted.ref and self.branch in ("", branch)


def reference_of(ref: DeclaredReference | None) -> GitReference:
    """The reference that a GitRepository asks for. Raises: GitRefused for names that must not be passed to git."""
    if ref is None or ref == DeclaredReference():
        return GitReference(branch=DEFAULT_BRANCH)
    return GitReference(ref.branch, ref.tag, ref.semver, ref.name, ref.commit)


def _adds_nothing(declared: GitRepository) -> bool:
    """Whether a GitRepository asks for files of its commit alone, all or some: no submodules, no includes."""
    spec = declared.spec
    return not (spec.recurse_submodules or spec.include) and not any(True for _ in refused(declared))


class SyncedRepository:
    """A repository that a sync reads; it knows which commit each release uses. ``sync`` is the sync's
    ``namespace/name``."""

    def __init__(self, sync: str, head: Head, on_change: Callable[[SyncedRepository], None]) -> None:
        self.sync = sync
        self.head = head
        self._on_change = on_change
        #: Has the remote polled at once; None when it is not polled.
        self.poll_now: Callable[[], None] | None = None
        #: Returns what was verified of a commit, or raises; None where signatures cannot be verified.
        self.verified: Callable[[str, Verification], Awaitable[str]] | None = None
        #: In a sandbox signatures are not verified.
        self.is_trusted = False
        #: How often the remote was polled.
        self.polls = 0
        self._is_asked = False
        #: Why the last poll failed; None when it did not.
        self.error: GitsyncError | None = None
        #: The commit that is being carried out, or was last; None before the first one.
        self.current: Artifact | None = None
        self._behind: dict[ObjectKey, Artifact | None] = {}

    def carry_out(self, artifact: Artifact, changing: Iterable[ObjectKey]) -> None:
        """This artifact is the current one from now on. ``changing`` are the HelmReleases that its commit changes: each
        follows once it is ``reached``, or carries the commit's stamp, and stays with what it uses now until then.
        """
        self._behind = {key: self._behind.get(key, self.current) for key in changing}
        self.current = artifact
        self._on_change(self)

    def polled(self, error: GitsyncError | None, branch: str = "", cloned_from: str = "") -> None:
        """The remote was polled; ``error`` says how that failed. ``branch`` is its default branch, "" when it did
        not say, and ``cloned_from`` the URL that it is a clone of, when it is on this machine."""
        told = self.error.message if self.error is not None else ""
        is_news = self._is_asked or told != (error.message if error is not None else "")
        self.error, self._is_asked = error, False
        self.polls += 1
        head = replace(self.head, branch=branch or self.head.branch, cloned_from=cloned_from or self.head.cloned_from)
        if head != self.head:
            self.head, is_news = head, True
        if is_news:
            self._on_change(self)

    def revision(self, commit: str) -> str:
        """A commit as Flux writes it: ``main@sha1:3f2a91c...``."""
        reference = self.head.reference
        return Resolved(commit, reference.name or reference.tag or reference.branch or self.head.branch).revision

    def ask(self) -> bool:
        """Has the remote polled at once. Returns whether it will be; subscribers are called afterwards."""
        if self.poll_now is None:
            return False
        self._is_asked = True
        self.poll_now()
        return True

    def is_meant_by(self, key: ObjectKey, declared: GitRepository) -> bool:
        """Whether a GitRepository is this repository: by its URL and reference, or as the one that the commit brings
        as its own."""
        return self.head.is_meant_by(key, declared, brought=self._brought(key) or self._is_marked(declared))

    def is_named_by(self, key: ObjectKey, declared: GitRepository) -> bool:
        """As ``is_meant_by``, whatever further fields of the GitRepository demand."""
        return self.head.is_named_by(key, declared, brought=self._brought(key) or self._is_marked(declared))

    def is_open_to(self, key: ObjectKey, declared: GitRepository | None) -> bool:
        """Whether a GitRepository may be this where nobody may refer to other namespaces: one in the sync's own, or
        that the commit brings; before the first commit, one that says so of itself: it has nothing yet. ``declared`` is
        the GitRepository, None when there is none."""
        if key.namespace == self.sync.rpartition("/")[0] or self._brought(key):
            return True
        return self.current is None and declared is not None and self._is_marked(declared)

    def _brought(self, key: ObjectKey) -> bool:
        return self.current is not None and key in self.current.git_repositories

    def _is_marked(self, declared: GitRepository) -> bool:
        """Whether the object has the labels of an object that the sync has applied. Anybody may write them."""
        return sync_of(declared.metadata.labels) == self.sync

    def reached(self, key: ObjectKey) -> None:
        """The commit that is carried out has been applied to this HelmRelease."""
        self._behind.pop(key, None)

    def artifact_of(self, release: HelmRelease) -> Artifact | None:
        """The commit that a release uses; None when it has to wait for the first one."""
        if release.key not in self._behind:
            return self.current
        stamp = release.metadata.annotations.get(COMMIT_ANNOTATION)
        if self.current is not None and stamp == self.current.commit.id:
            return self.current  # it is applied: the sync has not been told yet
        return self._behind[release.key]


class Artifacts:
    """The synced repositories of this agent. No two of them share an artifact, even at one URL. ``is_shared``:
    objects may refer to a synced repository from any namespace."""

    def __init__(self, *, is_shared: bool = True) -> None:
        self._is_shared = is_shared
        self._repositories: list[SyncedRepository] = []
        self._listeners: list[Callable[[SyncedRepository], None]] = []
        #: The namespace that is served, "" for all.
        self.served = ""
        #: Returns a GitRepository as the cluster has it; None when there is none, or no cluster.
        self.live: Callable[[ObjectKey], GitRepository | None] = lambda _: None
        self._assumed: frozenset[ObjectKey] = frozenset()
        self._waiting: set[ObjectKey] = set()
        self._since = time.monotonic()

    @classmethod
    def of_commit(cls, sync: str, url: str, artifact: Artifact, assumed: Iterable[ObjectKey] = ()) -> Artifacts:
        """The synced repositories as they will be once an artifact of this sync is carried out, which any branch may
        have next. The GitRepositories that are ``assumed`` name this repository, whatever their URLs."""
        artifacts = cls()
        artifacts._assumed = frozenset(assumed)
        artifacts.add(sync, Head(url, is_tried=True)).carry_out(artifact, ())
        return artifacts

    def add(self, sync: str, head: Head) -> SyncedRepository:
        """Adds a repository that a sync reads. Where several may be meant, the first one is."""
        repository = SyncedRepository(sync, head, self._changed)
        self._repositories.append(repository)
        return repository

    @property
    def is_shared(self) -> bool:
        """Whether objects may refer to those of other namespaces."""
        return self._is_shared

    def subscribe(self, listener: Callable[[SyncedRepository], None]) -> None:
        """Has ``listener`` called when a repository carries out another commit, and when polls of its remote begin
        to fail or succeed again."""
        self._listeners.append(listener)

    def declared(self, source: ObjectKey) -> GitRepository | None:
        """The GitRepository of this name: as a commit that is carried out brings it, else as the cluster has it."""
        if source in self._assumed:
            return None
        brought = (it.current.git_repositories.get(source) for it in self._repositories if it.current is not None)
        return next((found for found in brought if found is not None), None) or self.live(source)

    def meant_by(self, source: ObjectKey) -> SyncedRepository | None:
        """The synced repository that a GitRepository names. None when the GitRepository names another repository,
        and when there is no such GitRepository."""
        declared = self.declared(source)
        if declared is None:
            return self._repositories[0] if source in self._assumed else None
        meant = (it for it in self._repositories if it.is_meant_by(source, declared))
        return next((it for it in meant if self._is_shared or it.is_open_to(source, declared)), None)

    def is_named_by(self, source: ObjectKey, declared: GitRepository) -> bool:
        """Whether a GitRepository names a synced repository, whatever further fields demand."""
        return any(item.is_named_by(source, declared) and not item.is_trusted for item in self._repositories)

    def find(self, source: ObjectKey, sync: str = "") -> SyncedRepository | None:
        """The repository that a sourceRef means: by a GitRepository that names it; where there is no GitRepository of
        this name, by the sync's name or Flux's well-known name, in this order; of equals that of ``sync``, the one that
        has brought the release, else the first."""
        declared = self.declared(source)
        ranked = [(self._meaning(source, item, declared), item.sync == sync, item) for item in self._repositories]
        best = max(ranked, key=lambda rank: rank[:2], default=None)
        return best[2] if best is not None and best[0] else None

    def _meaning(self, source: ObjectKey, repository: SyncedRepository, declared: GitRepository | None) -> int:
        if source in self._assumed:
            return 3
        if not self._is_shared and not repository.is_open_to(source, declared):
            return 0
        if declared is not None:
            return 1 if repository.is_meant_by(source, declared) else 0
        return meaning(source, repository.sync)

    def wakes(self, repository: SyncedRepository, release: HelmRelease) -> bool:
        """Whether a release has to look again because another artifact of ``repository`` is the current one.

        Not so one that the repository's own sync has brought: when its chart changes the sync changes the release too,
        which wakes it.
        """
        sync = sync_of(release.metadata.labels)
        if release.source.kind != GIT_REPOSITORY or self.find(release.source, sync) is not repository:
            return False
        return release.key in self._waiting or sync != repository.sync

    def artifact_of(self, release: HelmRelease) -> Artifact:
        """The commit that a release's chart is taken from.

        Raises: SourceNotReady when the sourceRef names no synced repository; ArtifactPending after a start and before
        the first commit is carried out.
        """
        repository = self.find(release.source, sync_of(release.metadata.labels))
        if repository is None and all(item.current is not None for item in self._repositories):
            raise missing(release.source, self.served)
        # No repository is found yet: a first commit may bring the GitRepository that says which one is meant.
        artifact = repository.artifact_of(release) if repository is not None else None
        if artifact is not None:
            self._waiting.discard(release.key)
            return artifact
        self._waiting.add(release.key)
        message = "no commit of the repository has been carried out yet"
        if repository is not None and repository.current is not None:
            # The commit is about to be applied to this release.
            raise ArtifactPending(message, retry_after=FIRST_COMMIT)
        left = self._since + FIRST_COMMIT - time.monotonic()
        raise ArtifactPending(message, retry_after=left if left > 0 else None)

    def carried_out(self, source: ObjectKey) -> Artifact:
        """The commit that a chart is taken from which no release asks for, such as a HelmChart's. Raises: as
        ``artifact_of``."""
        repository = self.find(source)
        if repository is None and all(item.current is not None for item in self._repositories):
            raise missing(source, self.served)
        if repository is None or repository.current is None:
            raise ArtifactPending("no commit of the repository has been carried out yet")
        return repository.current

    def _changed(self, repository: SyncedRepository) -> None:
        for listener in self._listeners:
            listener(repository)


def meaning(source: ObjectKey, sync: str) -> int:
    """How surely a sourceRef means the repository of ``sync`` where there is no GitRepository of its name: 2 by the
    sync's name, 1 by Flux's well-known name, 0 not at all."""
    if source.kind != GIT_REPOSITORY:
        return 0
    if source.name == sync.rpartition("/")[2]:
        return 2
    return 1 if source.name == WELL_KNOWN else 0
