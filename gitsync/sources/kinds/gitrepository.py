"""GitRepositories of a cluster: their artifacts kept current, their status written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    AUTHENTICATION_FAILED,
    FETCH_FAILED,
    GIT_OPERATION_FAILED,
    INCLUDE_UNAVAILABLE,
    NO_ARTIFACT,
    REQUESTED_AT_ANNOTATION,
    VERIFICATION_ERROR,
)
from gitsync.api.sources import GitRepository
from gitsync.api.status import Artifact as StatusArtifact
from gitsync.api.status import GitRepositoryStatus
from gitsync.errors import (
    ArtifactError,
    ArtifactPending,
    FieldErrors,
    GitAuthRefused,
    GitsyncError,
    LoginRefused,
    NotVerified,
    SourceNotReady,
)
from gitsync.git import Resolved
from gitsync.logins import Logins
from gitsync.sources.git import Content, GitArtifact, GitArtifacts, GitSpec, Part, Verification
from gitsync.sources.kinds.artifactsource import ArtifactSources
from gitsync.sources.kinds.reconciler import Outcome, Words
from gitsync.sources.resolve.artifacts import BOOTSTRAP, Artifact, Artifacts, SyncedRepository, reference_of
from gitsync.sources.resolve.commitsources import not_ready
from gitsync.sources.resolve.gitartifact import (
    exclusions,
    filtered,
    filtered_artifact,
    git_spec,
    included,
    plain_git_spec,
    plain_verification,
    synced_part,
    verification_of,
    without_login,
)
from gitsync.sources.resolve.treeartifact import TreeArtifact

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder

#: The part of the interval for which an answer about another GitRepository of the same URL is used, too, so that the
#: server is asked once for all of them.
_FRESH = 0.9
#: Seconds by which an answer may be older than the first look at a GitRepository, since many are created at once.
_AT_ONCE = 1.0
#: Digits of a commit that log lines show.
_SHOWN = 7


class GitRepositories(ArtifactSources[GitRepository, GitSpec, GitArtifact]):
    """See ArtifactSources. A GitRepository that names a synced repository has the commit that this one's sync
    carries out; nothing is asked or fetched for it."""

    status = GitRepositoryStatus
    words = Words("git repository cannot be read", "git repository can be read again", "git repository read")
    unreachable = GIT_OPERATION_FAILED

    def __init__(
        self,
        cluster: Cluster,
        git: GitArtifacts,
        logins: Logins,
        synced: Artifacts,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        super().__init__(cluster, watch, events, self._changed)
        self._tell = on_change
        self._git = git
        self._logins = logins
        self._synced = synced
        #: Has a GitRepository reconciled.
        self.wake: Callable[[ObjectKey], None] = lambda _: None
        self._parts: dict[ObjectKey, tuple[Part, ...]] = {}
        #: By GitRepository that names a synced repository: the commit that was last reported, "" for none, and what it
        #: leaves of the repository, as whoever uses it knows; None when nobody does.
        self._followed: dict[ObjectKey, tuple[str, Content | None]] = {}
        #: Requests for which a synced repository is to be polled, each with the number of polls before it.
        self._requests: dict[ObjectKey, tuple[str, int]] = {}
        synced.live = self.declared
        git.mirrors.news = self._on_news

    def declared(self, key: ObjectKey) -> GitRepository | None:
        """A GitRepository as the cluster has it; None when there is none, or it cannot be read."""
        manifest = self._watch.get(key)
        try:
            return GitRepository.parse(manifest) if manifest is not None else None
        except FieldErrors:
            return None

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """See GitLookup. Raises: SourceNotReady, ArtifactPending, GitUnavailable."""
        spec, artifact = self.found(key)
        return Artifact(artifact.info, await self._git.tree(spec, artifact, self._parts.get(key, ())))

    async def filtered(self, key: ObjectKey, artifact: Artifact) -> Artifact:
        """See GitLookup."""
        return await filtered(self._git, self._synced, key, artifact)

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """See TreesOfKind. Raises: also GitUnavailable."""
        spec, found = self.found(key)
        artifact = await self.artifact_of(key)
        return TreeArtifact(found.revision, artifact.commit, spec.place.url, artifact.tree)

    def revision_of(self, key: ObjectKey) -> str:
        """See TreesOfKind."""
        return self.found(key)[1].revision

    async def demanded(self) -> Verification | None:
        """The verification that a GitRepository demands of the synced repository which names itself by it; None for
        none.

        Raises: FieldErrors for a GitRepository that cannot be read; NotVerified when its keys cannot, ApiError,
        ClusterUnavailable.
        """
        manifest = self._watch.get(BOOTSTRAP)
        if manifest is None or not (manifest.get("spec") or {}).get("verify"):
            return None
        declared = GitRepository.parse(manifest)
        if not self._synced.is_named_by(BOOTSTRAP, declared):
            return None
        return await verification_of(self._cluster, declared)

    def carried_out(self, repository: SyncedRepository) -> None:
        """A synced repository has another commit, or was polled: GitRepositories that name it are updated, and those
        that used to name it are reconciled."""
        for key, _ in self._watch.items():
            if key in self._followed or self._synced.meant_by(key) is repository:
                self.wake(key)

    def _changed(self, key: ObjectKey) -> None:
        self._tell(key)
        for other in self._including(key):
            self.wake(other)

    def _on_news(self, holder: object) -> None:
        if isinstance(holder, ObjectKey):
            self.wake(holder)

    def _including(self, key: ObjectKey) -> Iterator[ObjectKey]:
        for other, manifest in self._watch.items():
            if other.namespace == key.namespace and key.name in _includes(manifest):
                yield other

    def _parse(self, manifest: Manifest) -> GitRepository:
        return GitRepository.parse(manifest)

    def _plain(self, source: GitRepository) -> GitSpec:
        return plain_git_spec(source)

    async def _opened(self, source: GitRepository, plain: GitSpec) -> GitSpec:
        return await git_spec(self._cluster, source, plain, self._logins)

    def _without_secrets(self, spec: GitSpec) -> GitSpec:
        return without_login(spec)

    async def _fetch(self, key: ObjectKey, source: GitRepository) -> Outcome | None:
        repository = self._synced.meant_by(key)
        if repository is not None:
            return await self._follow(key, source, repository)
        self._followed.pop(key, None)
        return await super()._fetch(key, source)

    async def _known(self, key: ObjectKey, source: GitRepository, spec: GitSpec) -> GitArtifact | None:
        try:
            parts = self._included(key, spec)
        except (SourceNotReady, ArtifactPending):
            return None
        artifact = await self._git.known(spec, parts)
        if artifact is not None:
            self._parts[key] = parts
            self._git.resume(key, spec, artifact)
        return artifact

    async def _asked(self, key: ObjectKey, source: GitRepository, spec: GitSpec) -> GitArtifact:
        state, parts = self._state(key), self._included(key, spec)
        try:
            artifact = await self._git.refresh(key, spec, parts, self._not_before(key, source))
        finally:
            state.asked = time.monotonic()
        self._parts[key] = parts
        return artifact

    def _not_before(self, key: ObjectKey, source: GitRepository) -> float:
        state = self._state(key)
        requested = source.metadata.annotations.get(REQUESTED_AT_ANNOTATION, "")
        return oldest_answer(
            time.monotonic(),
            source.spec.interval,
            requested=bool(requested) and requested != source.status.last_handled_reconcile_at,
            changed=state.generation != source.metadata.generation,
            failed=state.asked if state.error is not None else 0.0,
        )

    def _included(self, key: ObjectKey, spec: GitSpec) -> tuple[Part, ...]:
        """The artifacts that ``spec.include`` names. Raises: SourceNotReady, ArtifactPending."""
        self._check_circle(key)
        return tuple(self._part(included(key, item.name)) for item in spec.content.include)

    def _part(self, key: ObjectKey) -> Part:
        repository = self._synced.meant_by(key)
        part = synced_part(repository, self._synced.declared(key), self._git) if repository is not None else None
        if part is not None:
            return part
        spec, artifact = self.found(key)
        tree = partial(self._git.tree, spec, artifact, self._parts.get(key, ()))
        return Part(artifact.revision, artifact.content, artifact.digest, tree, self._git.needed(artifact))

    def _check_circle(self, key: ObjectKey) -> None:
        """Raises: SourceNotReady for a GitRepository that includes itself, or includes one that does."""
        if circle := circle_of(key, lambda item: _includes(self._watch.get(item) or {})):
            names = " -> ".join(item.name for item in circle)
            raise not_ready(key, f"GitRepositories include each other in a circle: {names}")

    def _outcome(
        self, key: ObjectKey, source: GitRepository, found: tuple[GitSpec, GitArtifact], changed: bool
    ) -> Outcome:
        _, artifact = found
        resolved = Resolved(artifact.commit, artifact.revision.rpartition("@")[0])
        parts = self._parts.get(key, ())
        outcome = _outcome(key, source, resolved, artifact.digest, parts, changed, artifact.verified)
        return replace(outcome, commit=artifact.info)

    async def _follow(self, key: ObjectKey, source: GitRepository, repository: SyncedRepository) -> Outcome | None:
        """Reports the commit that a synced repository carries out as the GitRepository's artifact."""
        state = self._state(key)
        if state.found is not None:
            self._git.forget(key, state.found[0])
        state.found, state.error, state.generation = None, None, source.metadata.generation
        state.reason = self.unreachable
        told, known = self._followed.setdefault(key, ("", None))
        if self._awaits_poll(key, source, repository):
            return None
        if repository.error is not None:
            raise repository.error
        artifact = repository.current
        if artifact is None:
            self._followed[key] = "", exclusions(source)  # the first commit itself tells who uses it
            return None
        self._followed[key] = artifact.commit.id, None
        if told != artifact.commit.id:
            for other in self._including(key):
                self.wake(other)
        wanted, signed = None, ""
        if not repository.is_trusted:
            wanted = await verification_of(self._cluster, source)
        if wanted is not None:
            if repository.verified is None:
                raise NotVerified(
                    "signatures of the synced repository cannot be verified here", reason=VERIFICATION_ERROR
                )
            signed = await repository.verified(artifact.commit.id, wanted)
        reference = reference_of(source.spec.ref)
        resolved = Resolved(artifact.commit.id, reference.name or reference.tag or reference.branch)
        tree = (await filtered_artifact(self._git, source, artifact)).tree
        digest = hashlib.sha256(str(await tree.directory_digest()).encode()).hexdigest()
        self._followed[key] = artifact.commit.id, exclusions(source)
        outcome = _outcome(key, source, resolved, f"sha256:{digest}", (), known != exclusions(source), signed)
        return replace(outcome, commit=artifact.commit)

    def _awaits_poll(self, key: ObjectKey, source: GitRepository, repository: SyncedRepository) -> bool:
        """Whether a request is open that the synced repository's next poll will answer."""
        requested = source.metadata.annotations.get(REQUESTED_AT_ANNOTATION, "")
        if not requested or requested == source.status.last_handled_reconcile_at:
            return False
        asked = self._requests.get(key)
        if asked is None or asked[0] != requested:
            self._requests[key] = requested, repository.polls
            return repository.ask()
        return asked[1] == repository.polls

    def _dropped(self, key: ObjectKey, found: tuple[GitSpec, GitArtifact] | None) -> None:
        self._git.forget(key, found[0] if found is not None else None)
        self._parts.pop(key, None)
        self._followed.pop(key, None)
        self._requests.pop(key, None)
        for other in self._including(key):
            self.wake(other)

    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        if isinstance(error, NotVerified):
            return error.reason
        if isinstance(error, GitAuthRefused | LoginRefused):
            return AUTHENTICATION_FAILED
        return NO_ARTIFACT if isinstance(error, SourceNotReady | ArtifactPending) else super()._reason(key, error)

    def _stalls(self, manifest: Manifest, error: GitsyncError) -> bool:
        # What is wrong with what it includes may be mended by another one.
        return super()._stalls(manifest, error) or (isinstance(error, ArtifactError) and not any(_includes(manifest)))

    def _condition(self, error: GitsyncError) -> str:
        return INCLUDE_UNAVAILABLE if isinstance(error, SourceNotReady | ArtifactPending) else FETCH_FAILED


def circle_of(start: ObjectKey, includes: Callable[[ObjectKey], list[str]]) -> list[ObjectKey]:
    """A circle of includes that ``start`` leads to, its first member once more at its end; empty when there is none.
    Each GitRepository is looked at once, and without recursion: there may be very many ways between them, and very
    long ones. Pure."""
    path = [start]
    left = [iter(includes(start))]
    seen = {start}
    while path:
        name = next(left[-1], None)
        if name is None:
            path.pop()
            left.pop()
            continue
        item = included(start, name)
        if item in path:
            return [*path[path.index(item) :], item]
        if item not in seen:
            seen.add(item)
            path.append(item)
            left.append(iter(includes(item)))
    return []


def oldest_answer(now: float, interval: float, *, requested: bool, changed: bool, failed: float) -> float:
    """The earliest time of an answer that may be used for this GitRepository, though the server was asked for
    another one of the same URL. ``failed`` is when this one has failed last, 0 if it has not."""
    if requested:
        return now
    if changed:
        return now - _AT_ONCE
    return max(failed, now - _FRESH * interval)


def _outcome(
    key: ObjectKey,
    source: GitRepository,
    found: Resolved,
    digest: str,
    parts: tuple[Part, ...],
    changed: bool,
    verified: str = "",
) -> Outcome:
    artifact = StatusArtifact(
        path=f"gitrepository/{key.namespaced_name}/{found.commit}.tar.gz",
        url=source.spec.url,
        revision=found.revision,
        digest=digest,
    )
    shown = found.revision.removesuffix(found.commit[_SHOWN:])
    message = f"stored artifact for revision '{found.revision}'"
    return Outcome(message, artifact, {"revision": shown}, changed, True, _observed(source, parts), verified)


def _observed(source: GitRepository, parts: tuple[Part, ...]) -> dict[str, Any]:
    spec, wanted = source.spec, plain_verification(source)
    return {
        "included_artifacts": tuple(StatusArtifact(revision=part.revision, digest=part.digest) for part in parts),
        "observed_ignore": spec.ignore,
        "observed_recurse_submodules": spec.recurse_submodules,
        "observed_include": tuple(item.model_dump(by_alias=True, exclude_defaults=True) for item in spec.include),
        "observed_sparse_checkout": spec.sparse_checkout,
        "source_verification_mode": wanted.mode if wanted is not None else "",
    }


def _includes(manifest: Manifest) -> list[str]:
    """The names of the GitRepositories that one includes, read leniently: other fields may be wrong."""
    found = (manifest.get("spec") or {}).get("include") or ()
    return [str((item.get("repository") or {}).get("name", "")) for item in found if isinstance(item, dict)]
