"""One Kustomization: dependencies, source, build, sync, health, status; or its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from gitsync.api.conditions import condition_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import FALSE, HEALTH_CHECK_FAILED, ORIGIN_ANNOTATION, READY, REQUESTED_AT_ANNOTATION, TRUE
from gitsync.build import Builder
from gitsync.errors import (
    DependencyMissing,
    DependencyNotReady,
    DirectoryMissing,
    FieldErrors,
    GitsyncError,
    NoSuchSource,
    NotReadyInTime,
    ObjectFailed,
    SourceNotReadYet,
    Superseded,
)
from gitsync.logs import Once, keep_secret, keeping_secrets
from gitsync.manifests import Desired
from gitsync.release.wanted.claims import kustomization_of
from gitsync.runtime.progress import reporting
from gitsync.sources.resolve.treeartifact import TreeArtifact, TreeSource
from gitsync.sync.apply import Syncer, SyncResult
from gitsync.sync.default_namespace import with_default_namespace
from gitsync.sync.kustomization.inputs.building import DEFAULT_NAMESPACE, as_applied_to
from gitsync.sync.kustomization.inputs.inputs import Inputs
from gitsync.sync.kustomization.reconcile.builds import Builds, Room
from gitsync.sync.kustomization.reconcile.conditions import StatusWriter
from gitsync.sync.kustomization.reconcile.failures import Failures
from gitsync.sync.kustomization.reconcile.finalize import Finalization
from gitsync.sync.kustomization.reconcile.finalizer import Finalizer
from gitsync.sync.kustomization.reconcile.patience import MOMENT, Patience
from gitsync.sync.kustomization.reconcile.surroundings import Surroundings
from gitsync.sync.kustomization.reconcile.turns import Turns
from gitsync.sync.kustomization.reconcile.unsupported import check_access, refuse_unsupported
from gitsync.sync.kustomization.syncers import Syncers
from gitsync.sync.kustomization.waiting.dependencies import (
    Answers,
    Blocked,
    awaited,
    blocked,
    why_not_ready,
)
from gitsync.sync.kustomization.waiting.health import HealthChecks
from gitsync.sync.kustomization.waiting.judging import Judging
from gitsync.sync.kustomization.waiting.order import waits_inside
from gitsync.sync.standing import problem_of

if TYPE_CHECKING:
    from gitsync.cluster import Remote
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)


class KustomizationReconciler:
    """Reconciles all Kustomizations of a cluster."""

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
        self._builds = Builds(builder, syncers.factory.cluster.input)
        self._inputs = inputs
        self._status = status
        self._wanted = syncers.factory.wanted
        self._once = Once()
        self.patience = Patience()
        self._turns = Turns()
        #: The objects that each waits for before it is applied.
        self.waiting: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: The HelmReleases and Kustomizations for which each has failed: they were not ready after it was applied.
        #: Empty for one that is about to be looked at once more, since all of them are ready by now.
        self.unhealthy: dict[ObjectKey, frozenset[ObjectKey]] = {}
        #: Kustomizations whose next pass compares everything with the cluster.
        self.full: set[ObjectKey] = set()
        #: The last request (``reconcile.fluxcd.io/requestedAt``) that was passed on to the sync of the settings.
        self._root_asked = ""
        self._comparing: set[ObjectKey] = set()
        self._failures = Failures(status, self._once, self.patience)
        self._finalizer = Finalizer(syncers.factory.cluster)
        self._finalization = Finalization(
            self._finalizer, self._wanted, inputs, self._syncer, status, self.patience, self._once, self.waiting
        )

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
            self._status.looks(key, self._trees.revision_of(kustomization.source))
            again = await self._pass(kustomization, interrupt)
            if key not in self._status.unwritten:
                return again
            retry = self.patience.until_retry(kustomization)
            return retry if again is None else min(again, retry)

    async def _pass(self, kustomization: Kustomization, interrupt: Interrupt) -> float | None:
        async def say(reason: str) -> None:
            await self._status.progressing(kustomization, reason)

        try:
            with reporting(say):
                if kustomization.metadata.deletion_timestamp:
                    is_root = self._around.root.is_root(kustomization)
                    return await self._finalization.finalize(kustomization, interrupt, is_root=is_root)
                if self._is_suspended(kustomization):
                    await self._status.suspended(kustomization)
                    return None
                return await self._reconcile(kustomization, interrupt)
        except Superseded:
            return None  # whatever interrupted it has woken it, too
        except GitsyncError as error:
            if isinstance(error, DependencyMissing | NoSuchSource) and (
                origin := kustomization.metadata.annotations.get(ORIGIN_ANNOTATION)
            ):
                error.hint = f"{error.hint} ({origin})"  # nothing else will end this, so name the place in Git
            if isinstance(error, SourceNotReadYet) and (left := self._stands(kustomization)) > 0:
                return left
            return await self._failures.say(kustomization, error, self.waiting.get(kustomization.key, frozenset()))

    def _is_suspended(self, kustomization: Kustomization) -> bool:
        """Whether the Kustomization is suspended; each change of that is one line."""
        key, topic = kustomization.key, "suspend"
        said = {"kustomization": key.namespaced_name}
        if kustomization.spec.suspend:
            self._once(key, log, "kustomization is suspended", topic=topic, **said)
        elif self._once.over(key, topic):
            log.info("kustomization is resumed", **said)
        return kustomization.spec.suspend

    async def _reconcile(self, kustomization: Kustomization, interrupt: Interrupt) -> float | None:
        key = kustomization.key
        if self._around.root.is_root(kustomization):
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
        self.patience.not_blocked(key)
        if self._once.over(key, "dependencies"):
            log.info("all dependencies are ready, proceeding with kustomization", kustomization=key.namespaced_name)
        artifact = await interrupt.guard(self._trees.tree_of(kustomization.source))
        if (soon := self._to_change(key, artifact.revision)) > 0.0:
            return soon
        await interrupt.guard(self._turns.wait(key, artifact, kustomization.spec.path))
        spec = await self._inputs.spec_of(kustomization)
        async with self._builds.room(key) as room:
            desired = await interrupt.guard(room.build(artifact, spec))
            keep_secret(desired.opened_values)
            self._around.unbuilt.note(key, desired, spec.digest)
            if self._around.is_leaving(kustomization):
                return MOMENT  # it is about to be removed: it takes no object from those that are to have it next
            if desired.errors:
                return await self._not_built(kustomization, artifact, desired)
            return await self._sync(kustomization, artifact, desired, room, interrupt)

    async def _root(self, kustomization: Kustomization) -> float | None:
        """A pass over the Kustomization that stands for the sync of the settings: that does the work, and the status
        says how it ended. An unreadable repository is reported by the source."""
        self.patience.not_waiting(kustomization.key)
        if self._is_asked_for(kustomization):
            return MOMENT
        standing = self._around.root.standing()
        if standing is not None and standing.is_failure and not standing.of_source:
            reason, message, passing = standing.reason, standing.message, standing.passing
            await self._status.failed(kustomization, reason, message, artifact=standing, passing=passing, again=True)
            return None
        artifact = await self._trees.tree_of(kustomization.source)
        if self._around.root.commit() == artifact.commit.id:
            await self._status.succeeded(kustomization, artifact, "", checked=False)
        return None

    def _is_asked_for(self, kustomization: Kustomization) -> bool:
        """Whether somebody has requested a reconciliation that the sync of the settings has yet to do; the sync is
        asked to, once for each request."""
        asked = kustomization.metadata.annotations.get(REQUESTED_AT_ANNOTATION, "")
        if not asked or kustomization.status.last_handled_reconcile_at == asked:
            return False
        if self._root_asked != asked:
            self._root_asked = asked
            self._around.root.compare()
        return self._around.root.is_busy()

    def _blocked(self, kustomization: Kustomization, answers: Answers) -> Blocked | None:
        # A Kustomization without dependencies is behind no cycle.
        held = self._around.held().get(kustomization.key) if kustomization.spec.depends_on else None
        expects = self._wanted.index.expects
        return blocked(kustomization, held, self._awaited, self._trees.revision_of, answers, expects)

    def _awaited(self, key: ObjectKey) -> Manifest | None:
        return awaited(key, self._around.find(key), self._around.root.standing())

    def _to_come(self, kustomization: Kustomization, answers: Answers) -> float:
        """Seconds to wait for a HelmRelease that this Kustomization depends on to be changed by the commit: so far it
        is ready as it was before.

        Raises: DependencyNotReady when the Kustomization that the release is from has yet to take up the commit."""
        wanted = self._wanted
        for reference in kustomization.dependencies():
            if not is_release(reference.key) or reference.key in answers:
                continue
            if wanted.index.expects(reference.key):
                return MOMENT
            if why := wanted.yet_to_take_up(reference.key):
                above = kustomization_of(wanted.index.ancestry.sync_above(reference.key))
                self.waiting[kustomization.key] = frozenset({reference.key, above})
                name = f"{reference.key.kind} {reference.key.namespaced_name}"
                raise DependencyNotReady(f"dependency '{name}' is not ready: {why}")
        return 0.0

    async def _sync(
        self, kustomization: Kustomization, artifact: TreeArtifact, desired: Desired, room: Room, interrupt: Interrupt
    ) -> float | None:
        key, spec = kustomization.key, kustomization.spec
        remote = await self._inputs.remote(kustomization)
        cluster = await self._syncers.cluster_of(kustomization, remote)
        desired = await with_default_namespace(as_applied_to(kustomization, desired), cluster, DEFAULT_NAMESPACE)
        syncer = await self._syncer(kustomization, artifact.url, desired, remote)
        syncer.on_sent = room.give_back
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
            self._note_unhealthy(key, reason, result.unready)
            failed = self._status.failed
            await failed(kustomization, reason, message, artifact=artifact, digest=desired.digest, again=True)
            retry = self.patience.until_retry(kustomization)
            return min(retry, MOMENT) if self.is_healed(key) else retry
        self.unhealthy.pop(key, None)
        self._once.forget(key)
        self.patience.not_waiting(key)
        checked = spec.wait or bool(spec.health_checks)
        await self._status.succeeded(kustomization, artifact, desired.digest, checked=checked)
        if result.retry:  # it may be that nobody could tell yet who wants the objects that it has dropped
            self.full.add(key)
            return self.patience.until_retry(kustomization)
        self.patience.succeeded(key)
        return None

    def _note_unhealthy(self, key: ObjectKey, reason: str, unready: Iterable[GitsyncError]) -> None:
        """Note the HelmReleases and Kustomizations that are not ready, for which it has failed: it is woken when they
        are."""
        found = self._around.find(key)
        inside = waits_inside(Kustomization.parse(found)) if found is not None and reason == HEALTH_CHECK_FAILED else ()
        unwell = frozenset(it for it in inside if not self.is_well(it))
        failed = [error.key for error in unready if isinstance(error, ObjectFailed) and error.key in inside]
        if unwell or failed:
            self.unhealthy[key] = unwell
        else:
            self.unhealthy.pop(key, None)

    def is_healed(self, key: ObjectKey) -> bool:
        """Whether a Kustomization is about to be looked at once more, since all that it has failed for is ready."""
        return self.unhealthy.get(key) == frozenset()

    def is_well(self, key: ObjectKey) -> bool:
        """Whether a HelmRelease or Kustomization is there, and ready."""
        manifest = self._around.find(key)
        return manifest is not None and why_not_ready(manifest, self._trees.revision_of) is None

    async def _synced(self, syncer: Syncer, key: ObjectKey, desired: Desired, interrupt: Interrupt) -> SyncResult:
        full = is_owed = key in self.full
        self.full.discard(key)  # before the sync, since it may be asked for again meanwhile
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
        """Whether it is being compared with the cluster, or is about to be: it may want something new."""
        return key in self.full or key in self._comparing

    async def _unhealthy(
        self, kustomization: Kustomization, syncer: Syncer, interrupt: Interrupt
    ) -> tuple[str, str] | None:
        try:
            await HealthChecks(syncer.cluster, syncer.spec.readiness).wait(kustomization, interrupt)
        except (NotReadyInTime, ObjectFailed) as error:
            key = kustomization.key
            said = {"kustomization": key.namespaced_name, "error": error}
            self._once(key, log, "not ready", topic="health", level="error", **said)
            return HEALTH_CHECK_FAILED, error.message
        return None

    async def _not_built(self, kustomization: Kustomization, artifact: TreeArtifact, desired: Desired) -> float:
        """A build has failed: what the Kustomization wants is not known, and what it has applied stays as it is."""
        key = kustomization.key
        if isinstance(desired.errors[0], DirectoryMissing):
            # The Kustomization itself may be removed, too: at once, or when a release takes up its new chart.
            is_in_chart = self._wanted.index.ancestry.parent_of(kustomization.manifest) is not None
            if (left := self.patience.until_removed(key, artifact.revision, is_in_chart=is_in_chart)) > 0.0:
                return left
            if self._wanted.claims.is_only_kept(key):
                # It is removed as soon as it is known who is to have its objects.
                return self.patience.until_retry(kustomization)
        return await self._failures.say_not_built(kustomization, artifact, desired)

    def _stands(self, kustomization: Kustomization) -> float:
        """Seconds in which its status from before the agent's start counts; none when there is none, or when the synced
        repository cannot be read."""
        said = condition_of(kustomization.manifest, READY).get("status")
        standing = self._around.root.standing()
        if said not in (TRUE, FALSE) or (standing is not None and standing.is_failure):
            return 0.0
        return self.patience.stands(kustomization.key)

    def _to_change(self, key: ObjectKey, revision: str) -> float:
        """Seconds to wait for the commit to change the Kustomization itself; a moment for each revision."""
        if not self._wanted.index.expects(key):
            self.patience.not_to_change(key)
            return 0.0
        return self.patience.until_changed(key, revision)

    async def _syncer(self, kustomization: Kustomization, url: str, desired: Desired, remote: Remote | None) -> Syncer:
        """The sync of a Kustomization; one that is new compares everything with the cluster first."""
        if kustomization not in self._syncers:
            self.full.add(kustomization.key)
        readiness = self.judging.readiness(kustomization)
        return await self._syncers.of(kustomization, url, desired, remote, readiness)

    async def _forget(self, key: ObjectKey) -> None:
        await self._syncers.forget(key)
        self.waiting.pop(key, None)
        self.unhealthy.pop(key, None)
        self.full.discard(key)
        self.patience.forget(key)
        self._turns.forget(key)
        self._once.forget(key)
        self._around.unbuilt.forget(key)
        self.judging.forget(key)
        self._status.forget(key)
        self._builds.forget(key)
        await self._inputs.forget(key)
