"""How any source is reconciled, whatever its kind: read it, ask its server, report how that went, and have what uses
it reconciled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import structlog

from gitsync.api.conditions import Said, rfc3339
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_suspended
from gitsync.api.names import (
    ARTIFACT_IN_STORAGE,
    FALSE,
    FETCH_FAILED,
    INVALID,
    READY,
    SOURCE_VERIFIED,
    STALLED,
    SUCCEEDED,
    TRUE,
)
from gitsync.api.resource import Resource
from gitsync.api.status import Artifact, HelmRepositoryStatus, SourceStatus
from gitsync.backoff import Backoff
from gitsync.errors import ArtifactPending, FieldErrors, GitsyncError, NotVerified, Superseded, TerminalError
from gitsync.logs import Once, keeping_secrets
from gitsync.runtime.event import Event
from gitsync.runtime.progress import reporting
from gitsync.sources import statuses
from gitsync.sources.finalizers import remove_finalizer

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.interrupt import Interrupt
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)

R = TypeVar("R", bound=Resource)
#: Of an Event: a source has another artifact than before, as Flux calls it.
_NEW_ARTIFACT = "NewArtifact"


@dataclass(frozen=True, slots=True)
class Words:
    """How log lines speak of a kind."""

    failed: str
    back: str
    found: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a source has. ``message`` is that of its conditions; ``artifact`` is complete but for its time, None for a
    kind that has none, and no status either. ``line`` is for the log line about a new artifact, ``event`` whether an
    Event says so, too; ``changed`` tells that who uses it has to look again; ``fields`` are further ones of its status.
    ``verified`` says whose signatures it has, "" where none are asked for; ``reason`` is that of its conditions.
    ``commit`` is what the artifact is of, where that is known.
    """

    message: str = ""
    artifact: Artifact | None = None
    line: Mapping[str, object] = field(default_factory=dict)
    changed: bool = False
    event: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    verified: str = ""
    reason: str = SUCCEEDED
    commit: CommitInfo | None = None


class SourceReconciler(ABC, Generic[R]):
    """Reconciles every source of one kind in the cluster. ``on_change(key)`` is called when a source has changed
    what it has."""

    status: ClassVar[type[SourceStatus]] = HelmRepositoryStatus
    words: ClassVar[Words]

    def __init__(
        self, cluster: Cluster, watch: Informer, events: EventRecorder, on_change: Callable[[ObjectKey], None]
    ) -> None:
        self._cluster = cluster
        self._watch = watch
        self._events = events
        self._on_change = on_change
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._once = Once()

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """Asks for news, and reports how that went. Returns the seconds until the next try when this one failed."""
        with keeping_secrets():
            return await self._pass(key, interrupt)

    async def _pass(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        manifest = self._watch.get(key)
        if manifest is None or "deletionTimestamp" in manifest["metadata"]:
            self._backoff.reset(key)
            self._once.forget(key)
            self._gone(key)
            return await self._let_go(key, manifest) if manifest is not None else None
        try:
            source = self._parse(manifest)
        except FieldErrors as error:
            await self._failed(key, manifest, INVALID, error)
            return None

        self._tell_suspended(key, manifest)

        async def say(reason: str) -> None:
            log.info("waiting", repository=key, kind=key.kind, **{"for": reason})

        try:
            with reporting(say):
                outcome = await interrupt.guard(self._fetch(key, source))
        except Superseded:
            return 0.0
        except ArtifactPending as error:  # nothing is wrong: what it waits for has it reconciled
            return error.retry_after
        except GitsyncError as error:
            await self._failed(key, manifest, self._reason(key, error), error)
            return self._backoff.next(key) if self._passes(error) else None
        self._backoff.reset(key)
        if outcome is None:
            return None
        if self._once.over(key):
            log.info(self.words.back, repository=key, kind=key.kind)
        await self._ready(key, manifest, outcome)
        if outcome.changed:
            self._on_change(key)
        return None

    def _tell_suspended(self, key: ObjectKey, manifest: Manifest) -> None:
        """Logs each change of ``spec.suspend`` once."""
        topic = "suspend"
        if is_suspended(manifest):
            self._once(key, log, "source is suspended", topic=topic, repository=key, kind=key.kind)
        elif self._once.over(key, topic):
            log.info("source is resumed", repository=key, kind=key.kind)

    @abstractmethod
    def _parse(self, manifest: Manifest) -> R:
        """The source, typed. Raises: FieldErrors."""

    @abstractmethod
    async def _fetch(self, key: ObjectKey, source: R) -> Outcome | None:
        """What the source has now; None when its server is not to be asked. Raises: GitsyncError."""

    @abstractmethod
    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        """The reason of the conditions for an error, as Flux names it."""

    def _passes(self, error: GitsyncError) -> bool:
        """Whether after this error the source is tried again before its next interval."""
        return not isinstance(error, TerminalError)

    def _stalls(self, manifest: Manifest, error: GitsyncError) -> bool:
        """Whether nothing but a commit can mend an error: nobody has to wait for that."""
        return isinstance(error, FieldErrors)

    def _gone(self, key: ObjectKey) -> None:
        """Forgets a source that was deleted."""

    async def _let_go(self, key: ObjectKey, manifest: Manifest) -> float | None:
        """Nothing is left behind that has to go first: Flux's source-controller, which has put its finalizer on every
        source that it served, would remove its artifacts."""
        try:
            await remove_finalizer(self._cluster, key, manifest)
        except GitsyncError as error:
            log.debug("finalizer of a source could not be removed", repository=key, kind=key.kind, error=error.message)
            return self._backoff.next(key)
        return None

    async def _ready(self, key: ObjectKey, manifest: Manifest, outcome: Outcome) -> None:
        old = self.status.read(manifest.get("status"))
        assert isinstance(old, HelmRepositoryStatus)
        if outcome.artifact is None:
            nothing = old.model_copy(update={"conditions": (), "artifact": None, "url": ""})
            await statuses.write(self._cluster, key, old, nothing)
            return
        said: list[Said] = [
            (READY, TRUE, outcome.reason, outcome.message),
            (ARTIFACT_IN_STORAGE, TRUE, outcome.reason, outcome.message),
        ]
        if outcome.verified:
            said.append((SOURCE_VERIFIED, TRUE, SUCCEEDED, outcome.verified))
        since = old.artifact.last_update_time if old.artifact is not None else ""
        if old.artifact is None or _known(old.artifact) != _known(outcome.artifact):
            since = rfc3339(datetime.now(UTC))
            self._announce(key, manifest, outcome)
        artifact = outcome.artifact.model_copy(update={"last_update_time": since})
        fields = {"url": artifact.url, "artifact": artifact, **outcome.fields}
        await self._say(key, manifest, said, **fields)

    def _announce(self, key: ObjectKey, manifest: Manifest, outcome: Outcome) -> None:
        """Logs that a source has another artifact than before, and creates an Event where that is wanted."""
        log.info(self.words.found, repository=key, kind=key.kind, **outcome.line)
        if outcome.event:
            revision = outcome.artifact.revision if outcome.artifact is not None else ""
            event = Event("Normal", _NEW_ARTIFACT, outcome.message, commit=outcome.commit, revision=revision)
            self._events.record(manifest, event)

    async def _failed(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        self._complain(key, manifest, reason, error)
        said: list[Said] = [(READY, FALSE, reason, error.message)]
        if isinstance(error, NotVerified) or isinstance(error.__cause__, NotVerified):
            said.append((SOURCE_VERIFIED, FALSE, reason, error.message))
        else:
            said.append((self._condition(error), TRUE, reason, error.message))
        if self._stalls(manifest, error):
            said.append((STALLED, TRUE, reason, error.message))
        # The artifact in use stays verified when a later one fails. Without spec.verify there is no such condition.
        is_verified = (manifest.get("spec") or {}).get("verify") is not None
        await self._say(key, manifest, said, keep=frozenset({SOURCE_VERIFIED} if is_verified else ()))

    def _condition(self, error: GitsyncError) -> str:
        """The condition that says, beside Ready, what is wrong."""
        return FETCH_FAILED

    def _complain(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        effect = "installed releases stay as they are"
        if self._once(
            key, log, self.words.failed, level="warning", repository=key, kind=key.kind, error=error, effect=effect
        ):
            self._events.record(manifest, Event("Warning", reason, error.message))

    async def _say(
        self, key: ObjectKey, manifest: Manifest, said: list[Said], keep: frozenset[str] = frozenset(), **fields: Any
    ) -> None:
        kept = {ARTIFACT_IN_STORAGE} | keep
        await statuses.say(self._cluster, manifest, self.status, said, kept, **fields)


def _known(artifact: Artifact) -> tuple[str, str]:
    return artifact.revision, artifact.digest
