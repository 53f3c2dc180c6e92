"""One Kustomization: dependencies, source, build, sync, health, status; or its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gitsync.api.conditions import condition_of
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import (
    ACCESS_DENIED,
    ARTIFACT_FAILED,
    BUILD_FAILED,
    DEPENDENCY_CYCLE,
    DEPENDENCY_MISSING,
    DEPENDENCY_NOT_READY,
    FALSE,
    HEALTH_CHECK_FAILED,
    INVALID,
    NOT_SUPPORTED,
    ORIGIN_ANNOTATION,
    READY,
    RECONCILIATION_FAILED,
    REQUESTED_AT_ANNOTATION,
    TRUE,
)
from gitsync.backoff import Backoff
from gitsync.build import Builder
from gitsync.errors import (
    BlockedError,
    CrossNamespaceRefused,
    DependencyCycle,
    DependencyMissing,
    DependencyNotReady,
    DirectoryMissing,
    FieldErrors,
    FieldNotSupported,
    GitsyncError,
    KubeConfigMissing,
    KubeConfigRefused,
    NoSuchSource,
    NotReadyInTime,
    ObjectFailed,
    RetryableError,
    ServiceAccountMissing,
    SopsUnavailable,
    SourceNotReady,
    SourceNotReadYet,
    Superseded,
    ValuesMissing,
)
from gitsync.graph import Held
from gitsync.logs import Once, commit_context, keep_secret, keeping_secrets
from gitsync.manifests import Desired
from gitsync.release.access import PLAIN, AccessRules
from gitsync.release.dependencies.states import commit_of
from gitsync.release.wanted.claims import kustomization_of
from gitsync.runtime.progress import SILENCE, reporting
from gitsync.sources.resolve.treeartifact import TreeArtifact, TreeSource
from gitsync.sync.apply import Syncer, SyncResult
from gitsync.sync.default_namespace import with_default_namespace
from gitsync.sync.kustomization.building import DEFAULT_NAMESPACE, as_applied_to
from gitsync.sync.kustomization.conditions import StatusWriter
from gitsync.sync.kustomization.dependencies import Answers, Blocked, blocked, why_not_ready
from gitsync.sync.kustomization.finalize import Finalizer, nothing, why_left
from gitsync.sync.kustomization.health import Health
from gitsync.sync.kustomization.inputs import Inputs
from gitsync.sync.kustomization.judging import Judging
from gitsync.sync.kustomization.order import waits_inside
from gitsync.sync.kustomization.syncers import Syncers
from gitsync.sync.kustomization.unbuilt import Unbuilt
from gitsync.sync.kustomization.unsupported import check_access, refuse_unsupported
from gitsync.sync.standing import Standing, problem_of
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Remote
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

#: Seconds between two words about dependencies of which ever fewer are not ready.
BETWEEN_WORDS = 5.0
#: Seconds until a directory that has gone is worth a word: mostly the Kustomization goes a moment later. And those
#: between two looks, at first, at whether others have taken what is to be theirs.
MOMENT = 1.0
#: Seconds from an agent's start in which what a Kustomization says of itself stands, until a commit of the synced
#: repository is carried out: mostly nothing has changed meanwhile.
START = 60.0
#: Seconds for a release to have the chart of the commit, in which a Kustomization may be no more.
CHART_TIME = 10.0
#: Seconds between two tries of what failed, at first; they grow up to the Kustomization's retryInterval.
FIRST_RETRY = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What is known beside a Kustomization. ``find`` gives an object that may be waited for, ``held`` who is in or
    behind a cycle of dependencies. ``is_root`` says whether one asks for what the sync of the settings does, which is
    done once; ``root_commit`` is the commit that this has come to the end of, ``root_standing`` how it stands,
    ``compare_root`` has it compare everything with the cluster, ``is_root_busy`` says whether it is at work.
    ``rules`` are what settings say about access. ``is_leaving`` says whether one is about to be removed. ``typed`` is
    what an object has been read as already, None when it has not been, or cannot be. ``unbuilt`` is told of each build.
    """

    find: Callable[[ObjectKey], Manifest | None]
    held: Callable[[], Mapping[ObjectKey, Held[ObjectKey]]]
    is_root: Callable[[Kustomization], bool]
    root_commit: Callable[[], str]
    root_standing: Callable[[], Standing | None] = lambda: None
    rules: AccessRules = PLAIN
    is_leaving: Callable[[Kustomization], bool] = lambda _: False
    typed: Callable[[ObjectKey, Manifest], Kustomization | None] = lambda _, __: None
    compare_root: Callable[[], None] = lambda: None
    is_root_busy: Callable[[], bool] = lambda: False
    unbuilt: Unbuilt = field(default_factory=Unbuilt)


class Asked(NamedTuple):
    """What somebody asks for by an object: another one is another thing to do."""

    generation: object
    deleted: object
    requested: object

    def since(self, before: Asked) -> str:
        """What has happened, in words."""
        if self.deleted != before.deleted:
            return "it is being removed"
        return "its spec was changed" if self.generation != before.generation else "it was asked for"


def asked_of(manifest: Manifest) -> Asked:
    """What an object asks for."""
    metadata = manifest["metadata"]
    notes = metadata.get("annotations") or {}
    return Asked(metadata.get("generation"), metadata.get("deletionTimestamp"), notes.get(REQUESTED_AT_ANNOTATION))


class Graces:
    """How long something is waited for, for each revision of a Kustomization, from when that is first asked."""

    def __init__(self) -> None:
        self._until: dict[ObjectKey, tuple[str, float]] = {}

    def left(self, key: ObjectKey, revision: str, seconds: float) -> float:
        """Seconds that are left; 0 or less when they are over."""
        now = time.monotonic()
        known, until = self._until.get(key, ("", 0.0))
        if known != revision:
            until = now + seconds
            self._until[key] = revision, until
        return until - now

    def is_under_way(self, key: ObjectKey) -> bool:
        """Whether something is waited for."""
        return self._until.get(key, ("", 0.0))[1] > time.monotonic()

    def forget(self, key: ObjectKey) -> None:
        """Nothing is waited for any more."""
        self._until.pop(key, None)


class KustomizationReconciler:
    """Every Kustomization of a cluster."""

    def __init__(
        self,
        surroundings: Surroundings,
        trees: TreeSource,
        builder: Builder,
        syncers: Syncers,
        inputs: Inputs,
        status: StatusWriter,
        judging: Judging,
    ) -> None:
        self.judging = judging
        self._syncers = syncers
        self._around = surroundings
        self._trees = trees
        self._builder = builder
        self._inputs = inputs
        self._status = status
        self._finalizer = Finalizer(syncers.factory.cluster)
        self._backoff: Backoff[ObjectKey] = Backoff(FIRST_RETRY)
        self._looks: Backoff[ObjectKey] = Backoff(MOMENT)
        self._once = Once()
        #: For whom each waited when that was last looked at to be told, and until when, by the monotonic clock, it is
        #: no news that it waits for fewer.
        self._waits: dict[ObjectKey, tuple[frozenset[ObjectKey], float]] = {}
        #: For whom each was last said to wait in the log, where fewer are no news.
        self._told: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: Of those that a commit is about to change, and of those whose directory it has removed: how long that waits.
        self._changing, self._removed = Graces(), Graces()
        #: Of those that say something of themselves from before a start.
        self._starting = Graces()
        #: What each waits for, as far as it waits for others.
        self.waiting: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: What each was not ready for, of those that it waits for once it has applied all.
        self.unhealthy: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: Those that compare everything with the cluster the next time.
        self.full: set[ObjectKey] = set()
        #: When the sync of the settings was last asked for, as its Kustomization says.
        self._root_asked = ""
        self._comparing: set[ObjectKey] = set()

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """One pass. Returns seconds until the next one when that is due by itself."""
        with keeping_secrets():
            manifest = self._around.find(key)
            if manifest is None:
                await self._forget(key)
                return None
            try:
                kustomization = self._around.typed(key, manifest) or Kustomization.parse(manifest)
            except FieldErrors as error:
                said = {"kustomization": key.namespaced_name, "error": error}
                self._once(key, log, "kustomization cannot be read", topic="fields", level="error", **said)
                return None
            again = await self._pass(kustomization, interrupt)
            if key not in self._status.unwritten:
                return again
            retry = self._retry(kustomization)
            return retry if again is None else min(again, retry)

    async def _pass(self, kustomization: Kustomization, interrupt: Interrupt) -> float | None:
        async def say(reason: str) -> None:
            await self._status.progressing(kustomization, reason)

        try:
            with reporting(say):
                if kustomization.metadata.deletion_timestamp:
                    return await self._finalize(kustomization, interrupt)
                if self._is_suspended(kustomization):
                    await self._status.suspended(kustomization)
                    return None
                return await self._reconcile(kustomization, interrupt)
        except Superseded:
            return None  # who interrupted has woken it, too
        except GitsyncError as error:
            if isinstance(error, DependencyMissing | NoSuchSource) and (
                origin := kustomization.metadata.annotations.get(ORIGIN_ANNOTATION)
            ):
                error.hint = f"{error.hint} ({origin})"  # who waits for nobody is to be looked at in Git
            return await self._failed(kustomization, error)

    def _is_suspended(self, kustomization: Kustomization) -> bool:
        """Whether it is left alone; each change of that is one line."""
        key, topic = kustomization.key, "suspend"
        said = {"kustomization": key.namespaced_name}
        if kustomization.spec.suspend:
            self._once(key, log, "kustomization is suspended", topic=topic, **said)
        elif self._once.over(key, topic):
            log.info("kustomization is resumed", **said)
        return kustomization.spec.suspend

    async def _reconcile(self, kustomization: Kustomization, interrupt: Interrupt) -> float | None:
        key = kustomization.key
        if self._around.is_root(kustomization):
            return await self._root(kustomization)
        refuse_unsupported(kustomization)
        check_access(kustomization, self._around.rules)
        await self.judging.check(kustomization)
        await self._finalizer.add(kustomization)
        self.waiting.pop(key, None)
        answers = await self.judging.answers(kustomization)
        if (block := self._blocked(kustomization, answers)) is not None:
            self.waiting[key] = block.on
            raise block.error
        if (soon := self._to_come(kustomization, answers)) > 0.0:
            return soon
        self._told.pop(key, None)
        if self._once.over(key, "dependencies"):
            log.info("all dependencies are ready, proceeding with kustomization", kustomization=key.namespaced_name)
        artifact = await interrupt.guard(self._trees.tree_of(kustomization.source))
        if (soon := self._to_change(key, artifact.revision)) > 0.0:
            return soon
        spec = await self._inputs.spec_of(kustomization)
        desired = await interrupt.guard(self._builder.build(artifact.commit, artifact.tree, spec))
        keep_secret(desired.opened_values)
        self._around.unbuilt.note(key, desired, spec.digest)
        if self._around.is_leaving(kustomization):
            return MOMENT  # it takes nothing any more from who is to have that in its place
        if desired.errors:
            return await self._not_built(kustomization, artifact, desired)
        return await self._sync(kustomization, artifact, desired, interrupt)

    async def _root(self, kustomization: Kustomization) -> float | None:
        """The sync of the settings does what it asks for: it is ready when that has come to the end of a commit. That
        the repository cannot be read its source says."""
        self._waits.pop(kustomization.key, None)
        if self._is_asked_for(kustomization):
            return MOMENT
        standing = self._around.root_standing()
        if standing is not None and standing.is_failure and not standing.of_source:
            reason, message, passing = standing.reason, standing.message, standing.passing
            await self._status.failed(kustomization, reason, message, artifact=standing, passing=passing, again=True)
            return None
        artifact = await self._trees.tree_of(kustomization.source)
        if self._around.root_commit() == artifact.commit.id:
            await self._status.succeeded(kustomization, artifact, "", checked=False)
        return None

    def _is_asked_for(self, kustomization: Kustomization) -> bool:
        """Whether somebody asks for it, and the sync has yet to do that: it is asked to, once for each time."""
        asked = kustomization.metadata.annotations.get(REQUESTED_AT_ANNOTATION, "")
        if not asked or kustomization.status.last_handled_reconcile_at == asked:
            return False
        if self._root_asked != asked:
            self._root_asked = asked
            self._around.compare_root()
        return self._around.is_root_busy()

    def _blocked(self, kustomization: Kustomization, answers: Answers) -> Blocked | None:
        # Who depends on nobody is behind no cycle.
        held = self._around.held().get(kustomization.key) if kustomization.spec.depends_on else None
        return blocked(kustomization, held, self._around.find, self._trees.revision_of, answers)

    def _to_come(self, kustomization: Kustomization, answers: Answers) -> float:
        """Seconds to wait for the commit to come to a release that this one depends on: it is ready as it was before.

        Raises: DependencyNotReady when the Kustomization that has it has yet to take that up."""
        wanted = self._syncers.factory.wanted
        for reference in kustomization.dependencies():
            if not is_release(reference.key) or reference.key in answers:
                continue
            if wanted.index.expects(reference.key):
                return MOMENT
            if why := wanted.yet_to_take_up(reference.key):
                above = kustomization_of(wanted.index.sync_above(reference.key))
                self.waiting[kustomization.key] = frozenset({reference.key, above})
                name = f"{reference.key.kind} {reference.key.namespaced_name}"
                raise DependencyNotReady(f"dependency '{name}' is not ready: {why}")
        return 0.0

    async def _sync(
        self, kustomization: Kustomization, artifact: TreeArtifact, desired: Desired, interrupt: Interrupt
    ) -> float | None:
        key, spec = kustomization.key, kustomization.spec
        remote = await self._inputs.remote(kustomization)
        cluster = await self._syncers.cluster_of(kustomization, remote)
        desired = await with_default_namespace(as_applied_to(kustomization, desired), cluster, DEFAULT_NAMESPACE)
        syncer = await self._syncer(kustomization, artifact.url, desired, remote)
        self._status.began(kustomization, artifact)
        result = await self._synced(syncer, key, desired, interrupt)
        if result.result == "superseded":
            self.full.add(key)
            return None
        if result.emptied:
            self.full.add(key)
            return MOMENT
        problem = problem_of(result)
        if problem is None and not spec.wait and spec.health_checks:
            problem = await self._unhealthy(kustomization, syncer, interrupt)
        if problem is not None:
            self.full.add(key)
            reason, message = problem
            failed = self._status.failed
            await failed(kustomization, reason, message, artifact=artifact, digest=desired.digest, again=True)
            retry = self._retry(kustomization)
            return retry if self._note_unhealthy(key, reason, result.unready) else min(retry, MOMENT)
        self.unhealthy.pop(key, None)
        self._once.forget(key)
        self._waits.pop(key, None)
        checked = spec.wait or bool(spec.health_checks)
        await self._status.succeeded(kustomization, artifact, desired.digest, checked=checked)
        if result.retry:  # nobody can tell yet who wants what it has dropped
            self.full.add(key)
            return self._retry(kustomization)
        self._backoff.reset(key)
        return None

    def _note_unhealthy(self, key: ObjectKey, reason: str, unready: Iterable[GitsyncError]) -> bool:
        """Note for which HelmReleases and Kustomizations one waits that are not ready: that they are wakes it. False
        when those that have failed it are so by now."""
        found = self._around.find(key)
        inside = waits_inside(Kustomization.parse(found)) if found is not None and reason == HEALTH_CHECK_FAILED else ()
        self.unhealthy[key] = frozenset(it for it in inside if not self.is_well(it))
        failed = [error.key for error in unready if isinstance(error, ObjectFailed) and error.key in inside]
        return not failed or not self.unhealthy[key].isdisjoint(failed)

    def is_well(self, key: ObjectKey) -> bool:
        """Whether a HelmRelease or Kustomization is there, and ready."""
        manifest = self._around.find(key)
        return manifest is not None and why_not_ready(manifest, self._trees.revision_of) is None

    async def _synced(self, syncer: Syncer, key: ObjectKey, desired: Desired, interrupt: Interrupt) -> SyncResult:
        full = is_owed = key in self.full
        self.full.discard(key)  # it may be asked for again meanwhile
        if full:
            self._comparing.add(key)
        try:
            result = await syncer.sync(desired, full=full, files=desired.files, interrupt=interrupt)
            is_owed = False
            return result
        finally:
            self._comparing.discard(key)
            if is_owed:
                self.full.add(key)

    def has_news(self, key: ObjectKey) -> bool:
        """Whether one is to be compared with the cluster, or is being so: it may want something new."""
        return key in self.full or key in self._comparing

    async def _unhealthy(
        self, kustomization: Kustomization, syncer: Syncer, interrupt: Interrupt
    ) -> tuple[str, str] | None:
        try:
            await Health(syncer.cluster, syncer.spec.readiness).wait(kustomization, interrupt)
        except (NotReadyInTime, ObjectFailed) as error:
            key = kustomization.key
            said = {"kustomization": key.namespaced_name, "error": error}
            self._once(key, log, "not ready", topic="health", level="error", **said)
            return HEALTH_CHECK_FAILED, error.message
        return None

    async def _not_built(self, kustomization: Kustomization, artifact: TreeArtifact, desired: Desired) -> float:
        """Nothing is known of what it wants: what is there stays as it is."""
        first, key = desired.errors[0], kustomization.key
        if isinstance(first, DirectoryMissing):
            # It may go, too, with what is above it: at once, or when a release has another chart.
            is_in_chart = self._syncers.factory.wanted.index.parent_of(kustomization.manifest) is not None
            if (left := self._removed.left(key, artifact.revision, CHART_TIME if is_in_chart else MOMENT)) > 0.0:
                return left
            if self._syncers.factory.wanted.claims.is_only_kept(key):
                return self._retry(kustomization)  # it goes as soon as it is known who is to have what it has
        for problem in desired.errors:
            self._once(
                key,
                log,
                "kustomization cannot be built",
                topic=f"build {problem.origin}",
                level="error",
                kustomization=key.namespaced_name,
                file=str(problem.origin),
                error=problem.message,
                hint=problem.hint,
                **commit_context(artifact.commit),
            )
        more = f" (and {len(desired.errors) - 1} more)" if len(desired.errors) > 1 else ""
        message = f"{first.origin}: {first.message}{more}"
        reason = ARTIFACT_FAILED if isinstance(first, DirectoryMissing) else BUILD_FAILED  # as with Flux
        await self._status.failed(kustomization, reason, message, artifact=artifact, again=True)
        return self._retry(kustomization)

    async def _failed(self, kustomization: Kustomization, error: GitsyncError) -> float | None:
        """It cannot be gone on with. What it waits for wakes it; what only time mends is tried again."""
        key = kustomization.key
        waits = isinstance(error, BlockedError)
        stalls = isinstance(error, FieldNotSupported | FieldErrors | DependencyCycle | CrossNamespaceRefused)
        if isinstance(error, SourceNotReadYet) and (left := self._stands(kustomization)) > 0:
            return left
        if waits and not stalls and (left := self._silence(key)) > 0:
            return left
        event, level = ("kustomization has to wait", "info") if waits else ("kustomization failed", "warning")
        level = "error" if stalls else level
        said = {"kustomization": key.namespaced_name, "why": error.message, "hint": error.hint}
        topic = "dependencies" if isinstance(error, DependencyNotReady | DependencyMissing) else "state"
        on = self.waiting.get(key, frozenset())
        if not (isinstance(error, DependencyNotReady) and on and on <= self._told.get(key, frozenset())):
            self._told[key] = on
            self._once(key, log, event, topic=topic, level=level, **said)
        # As with Flux, who waits for another object that has a status of its own is at nothing himself.
        again = not isinstance(error, DependencyNotReady | DependencyMissing | SourceNotReady)
        failed = self._status.failed
        await failed(kustomization, _reason(error), error.told, stalled=stalls, passing=waits, again=again)
        return self._retry(kustomization) if not (waits or stalls) else None

    def _stands(self, kustomization: Kustomization) -> float:
        """Seconds in which what it said of itself before a start stands; none when that is nothing, or it is known that
        the synced repository cannot be read."""
        said = condition_of(kustomization.manifest, READY).get("status")
        standing = self._around.root_standing()
        if said not in (TRUE, FALSE) or (standing is not None and standing.is_failure):
            return 0.0
        return self._starting.left(kustomization.key, "the start", START)

    def _silence(self, key: ObjectKey) -> float:
        """Seconds until it is worth a word that one waits: mostly that is over when others have the same commit. Of
        many dependencies one after the other becomes ready, and each time is not worth a write."""
        now, on = time.monotonic(), self.waiting.get(key, frozenset())
        before, due = self._waits.setdefault(key, (on, now + SILENCE))
        if now < due and on <= before:
            return due - now
        self._waits[key] = on, now + BETWEEN_WORDS
        return 0.0

    def _retry(self, kustomization: Kustomization) -> float:
        """Seconds until the next try: growing, up to the Kustomization's own interval for it."""
        return min(self._backoff.next(kustomization.key), max(kustomization.retry_after, FIRST_RETRY))

    async def _finalize(self, kustomization: Kustomization, interrupt: Interrupt) -> float | None:
        key = kustomization.key
        await interrupt.guard(self._syncers.factory.wanted.first_commit())  # which may say that it is to come again
        remover = self._syncers.factory.wanted.index.remover_of(key)
        commit = remover or commit_of(kustomization.manifest) or CommitInfo("")
        wanted = nothing(commit)
        if dependents := self._syncers.factory.wanted.index.dependents_being_deleted(key):
            self.waiting[key] = dependents
            raise BlockedError(f"it is removed after what depends on it: {listed(sorted(dependents))}")
        self.waiting.pop(key, None)
        removes = not why_left(kustomization) and not self._around.is_root(kustomization)
        syncer = await self._last_syncer(kustomization, wanted) if removes else None
        if syncer is not None and len(await syncer.planner.inventory()):
            by_hand = remover is None
            syncer.planner.spec = replace(
                syncer.spec, prune=True, waits=False, is_removed=by_hand, may_return=not by_hand
            )
            result = await syncer.sync(wanted, full=True, files=0, interrupt=interrupt)
            if result.result == "superseded":
                return None
            if len(await syncer.planner.inventory()):
                why = f"not all of its objects are gone yet: {listed(result.left, 3)}"
                reason, message = problem_of(result) or (RECONCILIATION_FAILED, why)
                said = {"kustomization": key.namespaced_name, "why": message}
                self._once(key, log, "kustomization cannot go yet", **said)
                await self._status.failed(kustomization, reason, message)
                again = self._retry(kustomization)
                return min(self._looks.next(key), again) if result.left else again
        await self._finalizer.remove(kustomization)
        return None

    def _to_change(self, key: ObjectKey, revision: str) -> float:
        """Seconds to wait since the commit is about to change the Kustomization, too; a moment for each revision."""
        if not self._syncers.factory.wanted.index.expects(key):
            self._changing.forget(key)
            return 0.0
        return self._changing.left(key, revision, MOMENT)

    def is_to_change(self, key: ObjectKey) -> bool:
        """Whether one has been put off since the commit was about to change it."""
        return self._changing.is_under_way(key)

    def look_soon(self, key: ObjectKey) -> None:
        """Something of what one waits for that is to go has changed: what comes of that is looked at in a moment."""
        self._looks.reset(key)

    async def _last_syncer(self, kustomization: Kustomization, wanted: Desired) -> Syncer | None:
        """Its sync; None when its account or kubeconfig is gone, mostly with its namespace: as with Flux its objects
        stay."""
        try:
            remote = await self._inputs.remote(kustomization)
            return await self._syncer(kustomization, "", wanted, remote)
        except (ServiceAccountMissing, KubeConfigMissing, KubeConfigRefused) as error:
            log.warning(
                "objects of a kustomization stay: nobody can remove them",
                kustomization=kustomization.key.namespaced_name,
                objects=len(kustomization.status.inventory.entries if kustomization.status.inventory else ()),
                why=error.message,
            )
            return None

    async def _syncer(self, kustomization: Kustomization, url: str, desired: Desired, remote: Remote | None) -> Syncer:
        """Its sync; a new one compares everything with the cluster first."""
        if kustomization not in self._syncers:
            self.full.add(kustomization.key)
        readiness = self.judging.readiness(kustomization)
        return await self._syncers.of(kustomization, url, desired, remote, readiness)

    async def _forget(self, key: ObjectKey) -> None:
        await self._syncers.forget(key)
        self.waiting.pop(key, None)
        self._told.pop(key, None)
        self.unhealthy.pop(key, None)
        self.full.discard(key)
        self._waits.pop(key, None)
        for graces in (self._changing, self._removed, self._starting):
            graces.forget(key)
        self._backoff.reset(key)
        self._looks.reset(key)
        self._once.forget(key)
        self._around.unbuilt.forget(key)
        self.judging.forget(key)
        self._status.forget(key)
        await self._inputs.forget(key)


def _reason(error: GitsyncError) -> str:
    reasons: dict[type[GitsyncError], str] = {
        DependencyCycle: DEPENDENCY_CYCLE,
        DependencyMissing: DEPENDENCY_MISSING,
        SourceNotReady: ARTIFACT_FAILED,
        ValuesMissing: BUILD_FAILED,
        SopsUnavailable: BUILD_FAILED,
        FieldNotSupported: NOT_SUPPORTED,
        FieldErrors: INVALID,
        KubeConfigMissing: RECONCILIATION_FAILED,
        CrossNamespaceRefused: ACCESS_DENIED,
        RetryableError: RECONCILIATION_FAILED,
        BlockedError: DEPENDENCY_NOT_READY,
    }
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), RECONCILIATION_FAILED)
