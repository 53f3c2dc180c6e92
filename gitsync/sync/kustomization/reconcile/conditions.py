"""The status of a Kustomization: conditions, revisions and history, with an Event for what is news."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from gitsync.api.conditions import Said, find_condition, ready_of, remove_condition, set_condition
from gitsync.api.duration import format_duration
from gitsync.api.identity import Manifest
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import (
    ARTIFACT_FAILED,
    BUILD_FAILED,
    FALSE,
    FIELD_MANAGER,
    HEALTH_CHECK_FAILED,
    HEALTHY,
    PROGRESSING,
    PROGRESSING_WITH_RETRY,
    READY,
    RECONCILIATION_FAILED,
    RECONCILIATION_SUCCEEDED,
    RECONCILING,
    REQUESTED_AT_ANNOTATION,
    STALLED,
    SUCCEEDED,
    TRUE,
    UNKNOWN,
)
from gitsync.api.status import KustomizationStatus
from gitsync.errors import GitsyncError, NotFound
from gitsync.logs import redact
from gitsync.runtime.event import Event
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sync.kustomization.reconcile.past import Attempt, with_attempt
from gitsync.text import whole_number

if TYPE_CHECKING:
    from gitsync.api.identity import CommitInfo, ObjectKey
    from gitsync.cluster import Cluster
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)

#: Seconds that a reason which mostly passes at once has to last before there is an Event of it.
_PASSING_DELAY = 5.0
_APPLIES = "Applying the revision"
#: What Flux says that it was doing, by the reason for which it failed.
_FAILS_AT: Mapping[str, str] = {
    ARTIFACT_FAILED: "Fetching manifests",
    BUILD_FAILED: "Building manifests",
    RECONCILIATION_FAILED: "Detecting drift",
    HEALTH_CHECK_FAILED: "Running health checks",
}


class Tried(Protocol):
    """What was applied, or was to be: an artifact, or a commit of the sync of the settings."""

    @property
    def revision(self) -> str:
        """The revision of the source, as Flux writes it."""

    @property
    def origin(self) -> str:
        """The revision of the Git repository that the source's artifact was made of; "" without one."""

    @property
    def commit(self) -> CommitInfo | None:
        """The commit that log lines name, if it is known."""


class StatusWriter:
    """Writes the statuses of Kustomizations, when something in them has changed. ``find`` gives an object as the watch
    has it. In its methods, the Kustomization is "it"."""

    def __init__(self, cluster: Cluster, events: EventRecorder, find: Callable[[ObjectKey], Manifest | None]) -> None:
        self._cluster = cluster
        self._events = events
        self._find = find
        #: The API server's answers to writes that the watch has yet to show.
        self._answers: dict[ObjectKey, Manifest] = {}
        #: When the apply under way began, by the monotonic clock.
        self._begun: dict[ObjectKey, float] = {}
        #: The revision of the source that the pass under way looks at.
        self._looking: dict[ObjectKey, str] = {}
        #: Called when a status is about another revision than before, even if its words are the same.
        self.on_spoke: Callable[[ObjectKey], None] = lambda _: None
        #: The revision that each status is about, as far as this process has written or confirmed it: a status of a
        #: process before may be outdated.
        self._spoke: dict[ObjectKey, str] = {}
        #: Those for which ``on_spoke`` is yet to be called, once the watch shows their status.
        self._untold: set[ObjectKey] = set()
        #: Those whose status is outdated, since it could not be written.
        self.unwritten: set[ObjectKey] = set()

    def looks(self, key: ObjectKey, revision: str) -> None:
        """A pass over it begins, at this revision of its source."""
        self._looking[key] = revision

    def has_spoken(self, key: ObjectKey, revision: str) -> bool:
        """Whether its status, as the watch has it, is about this revision of its source."""
        return self._spoke.get(key) == revision and key not in self._answers

    def _spoken(self, key: ObjectKey) -> None:
        revision = self._looking.get(key, "")
        if self._spoke.get(key) != revision:
            self._spoke[key] = revision
            self._untold.add(key)
        self._tell_spoken(key)

    def _tell_spoken(self, key: ObjectKey) -> None:
        if key in self._untold and key not in self._answers:
            self._untold.discard(key)
            self.on_spoke(key)

    async def progressing(self, kustomization: Kustomization, reason: str) -> None:
        """It has waited for long enough to be worth a write: the status says for what."""
        said: list[Said] = [
            (READY, UNKNOWN, PROGRESSING, reason),
            (RECONCILING, TRUE, PROGRESSING, reason),
        ]
        await self._write(kustomization, said, (STALLED,))

    def began(self, kustomization: Kustomization, artifact: Tried) -> None:
        """An artifact is being applied: a ``quiet`` Event, for the status of its commit."""
        self._begun[kustomization.key] = time.monotonic()
        manifest = self._newest(kustomization.key)
        if manifest is None or KustomizationStatus.read(manifest.get("status")).last_attempted_revision == (
            artifact.revision
        ):
            return
        self._events.record(manifest, _about(artifact, Event("Normal", PROGRESSING, _APPLIES, quiet=True)))

    async def succeeded(
        self, kustomization: Kustomization, artifact: TreeArtifact, digest: str, *, checked: bool
    ) -> None:
        """An artifact has been applied, with objects of this digest; ``checked``: their health was checked, too."""
        revision = artifact.revision
        said: list[Said] = [(READY, TRUE, RECONCILIATION_SUCCEEDED, f"Applied revision: {revision}")]
        gone: tuple[str, ...] = (RECONCILING, STALLED)
        if checked:
            said.append((HEALTHY, TRUE, SUCCEEDED, "Health check passed"))
        else:
            gone = (*gone, HEALTHY)
        await self._write(
            kustomization,
            said,
            gone,
            artifact=artifact,
            attempt=self._attempt(kustomization.key, RECONCILIATION_SUCCEEDED, artifact, digest),
            last_attempted_revision=revision,
            last_applied_revision=revision,
            last_applied_origin_revision=artifact.origin,
            last_applied_digest=digest,
        )

    async def failed(
        self,
        kustomization: Kustomization,
        reason: str,
        message: str,
        *,
        artifact: Tried | None = None,
        digest: str = "",
        stalled: bool = False,
        passing: bool = False,
        again: bool = False,
    ) -> None:
        """It could not be applied. ``artifact`` is the one that was tried, if any was, with objects of this ``digest``
        ("" when that is not known). ``stalled``: it cannot be until somebody changes it; ``passing``: it waits for
        something that mostly comes at once; ``again``: it is tried again, and as with Flux the condition Reconciling
        says what is tried."""
        said: list[Said] = [(READY, FALSE, reason, message)]
        if stalled:
            said.append((STALLED, TRUE, reason, message))
        elif again:
            said.append((RECONCILING, TRUE, PROGRESSING_WITH_RETRY, _at(kustomization, reason, artifact) or message))
        if reason == HEALTH_CHECK_FAILED:
            said.append((HEALTHY, FALSE, reason, message))
        gone = tuple(kind for kind in (RECONCILING, STALLED) if all(kind != one[0] for one in said))
        tried = {"last_attempted_revision": artifact.revision} if artifact is not None else {}
        delay = _PASSING_DELAY if passing else 0.0
        attempt = self._attempt(kustomization.key, reason, artifact, digest)
        await self._write(kustomization, said, gone, delay=delay, artifact=artifact, attempt=attempt, **tried)

    def _attempt(self, key: ObjectKey, reason: str, artifact: Tried | None, digest: str) -> Attempt | None:
        """The attempt for the history; None where no objects were to be applied."""
        if artifact is None or not digest:
            return None
        now = time.monotonic()
        seconds = now - self._begun.pop(key, now)
        return Attempt(digest, reason, seconds, artifact.revision, artifact.origin)

    async def suspended(self, kustomization: Kustomization) -> None:
        """It is suspended. As with Flux, one that was ready stays ready, also for those that wait for it, though
        suspending has changed its generation."""
        ready = ready_of(kustomization.manifest)
        if ready.get("status") == TRUE:
            said: list[Said] = [(READY, TRUE, str(ready.get("reason", "")), str(ready.get("message", "")))]
            await self._write(kustomization, said, (RECONCILING,))

    def seen(self, key: ObjectKey, manifest: Manifest) -> None:
        """The watch shows it as ``manifest``: an answer that is not newer need not be kept."""
        answer = self._answers.get(key)
        if answer is not None and _version(answer) <= _version(manifest):
            del self._answers[key]
            self._tell_spoken(key)

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        for known in (self._answers, self._begun, self._looking, self._spoke):
            known.pop(key, None)
        self._untold.discard(key)
        self.unwritten.discard(key)

    async def _write(
        self,
        kustomization: Kustomization,
        said: list[Said],
        gone: tuple[str, ...],
        *,
        delay: float = 0.0,
        artifact: Tried | None = None,
        attempt: Attempt | None = None,
        **more: str,
    ) -> None:
        key, fields = kustomization.key, dict[str, Any](more)
        manifest = self._newest(key)
        if manifest is None:
            return
        old, now = KustomizationStatus.read(manifest.get("status")), datetime.now(UTC)
        generation = kustomization.metadata.generation
        conditions = remove_condition(old.conditions, *gone)
        for kind, status, reason, message in said:
            conditions = set_condition(conditions, kind, status, reason, redact(message), generation, now)
        if said[0][1] != UNKNOWN:
            fields["observed_generation"] = generation
            if requested := kustomization.metadata.annotations.get(REQUESTED_AT_ANNOTATION):
                fields["last_handled_reconcile_at"] = requested
        new = old.model_copy(update={**fields, "conditions": conditions})
        changed = new.patch_from(old)
        self.unwritten.discard(key)
        if not changed:
            self._spoken(key)
            return
        if attempt is not None:  # added here, since the history alone is worth no write
            new = new.model_copy(update={"history": with_attempt(old.history, attempt, now)})
            changed = new.patch_from(old)
        self._tell(manifest, old, new, delay, artifact)
        try:
            body = {"status": changed}
            answer = await self._cluster.patch(key, body, manager=FIELD_MANAGER, subresource="status")
            seen = self._find(key)
            if seen is not None and _version(answer) > _version(seen):
                self._answers[key] = answer
            self._spoken(key)
        except NotFound:
            return  # deleted meanwhile; the watch will say so
        except GitsyncError as error:
            self.unwritten.add(key)
            log.debug(
                "status of a Kustomization could not be written",
                kustomization=str(kustomization.key),
                error=error.message,
            )

    def _newest(self, key: ObjectKey) -> Manifest | None:
        seen = self._find(key)
        if seen is None:
            self._answers.pop(key, None)
            return None
        answer = self._answers.get(key)
        return answer if answer is not None and _version(answer) > _version(seen) else seen

    def _tell(
        self,
        manifest: Manifest,
        old: KustomizationStatus,
        new: KustomizationStatus,
        delay: float,
        artifact: Tried | None,
    ) -> None:
        """Record an Event if there is news: another revision was applied, or another reason keeps it from that."""
        ready, before = find_condition(new.conditions, READY), find_condition(old.conditions, READY)
        assert ready is not None
        if ready.status == UNKNOWN:
            return
        if before is not None and (before.status, before.message) == (ready.status, ready.message):
            return
        is_same = old.last_applied_digest == new.last_applied_digest != ""
        if before is not None and before.status == ready.status == TRUE and is_same:
            # No news of the Kustomization itself, but of the commit, whose status may be shown elsewhere.
            self._events.record(manifest, _about(artifact, Event("Normal", ready.reason, ready.message, quiet=True)))
            return
        event = Event("Normal" if ready.status == TRUE else "Warning", ready.reason, ready.message, delay)
        self._events.record(manifest, _about(artifact, event))


def _at(kustomization: Kustomization, reason: str, artifact: Tried | None) -> str:
    """What Flux's kustomize-controller says that it was doing when it failed for this reason; "" without an
    artifact."""
    at = _FAILS_AT.get(reason, "")
    if artifact is None or not at:
        return ""
    return f"{at} for revision {artifact.revision} with a timeout of {format_duration(kustomization.timeout)}"


def _about(artifact: Tried | None, event: Event) -> Event:
    """The Event, with the commit and the revision that were applied."""
    if artifact is None:
        return event
    return replace(event, commit=artifact.commit, revision=artifact.origin or artifact.revision)


def _version(manifest: Manifest) -> int:
    return whole_number(manifest["metadata"]["resourceVersion"]) or 0
