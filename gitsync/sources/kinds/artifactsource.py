"""Sources that have one artifact each. What was found for the present spec is used until something else is found."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import AUTHENTICATION_FAILED, NOT_SUPPORTED, URL_INVALID
from gitsync.api.sources import Bucket, GitRepository, HelmChart, OCIRepository
from gitsync.errors import ArtifactPending, FieldNotSupported, GitsyncError
from gitsync.sources.kinds.reconciler import Outcome, SourceReconciler
from gitsync.sources.resolve.commitsources import missing, not_ready
from gitsync.sources.unsupported import check_supported

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder

R = TypeVar("R", GitRepository, OCIRepository, Bucket, HelmChart)
#: The spec of what is wanted, with logins and keys out of Secrets; and the artifact that was found.
S = TypeVar("S")
A = TypeVar("A")

#: Seconds, in which most servers answer: a release that waits no longer than that says nothing in its status.
FIRST_ANSWER = 5.0


@dataclass(slots=True)
class State(Generic[S, A]):
    """What is known of one source: the artifact that was ``found``, or the ``error`` why not, both for the spec of
    ``generation``; 0 before the first look. ``reason`` is that of the conditions while it is tried again,
    ``awaited`` the generation that something waits for, ``since`` when. ``asked`` is when the server was asked last,
    for which ``requested``."""

    since: float
    generation: int = 0
    found: tuple[S, A] | None = None
    error: GitsyncError | None = None
    reason: str = URL_INVALID
    awaited: int = 0
    asked: float = 0.0
    requested: str = ""


class ArtifactSources(SourceReconciler[R], Generic[R, S, A]):
    """See SourceReconciler. A source's artifact is the one that was found for its present spec: what another
    reference, server or verification has brought is not used any more."""

    #: The reason of the conditions when the server fails.
    unreachable: ClassVar[str]

    def __init__(
        self,
        cluster: Cluster,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        super().__init__(cluster, watch, events, on_change)
        self._states: dict[ObjectKey, State[S, A]] = {}

    def found(self, key: ObjectKey) -> tuple[S, A]:
        """The artifact of a source. No server is asked.

        Raises: SourceNotReady; ArtifactPending for a moment after the source came or was changed, and after a start.
        """
        manifest = self._watch.get(key)
        if manifest is None:
            raise missing(key, self._cluster.namespace)
        state = self._state(key)
        is_current = state.generation == _generation(manifest)
        if state.found is not None and is_current:
            return state.found
        if state.error is not None and is_current:
            raise not_ready(key, state.error.message, state.error.hint)
        if _is_suspended(manifest) and is_current:
            raise not_ready(key, "it is suspended, and was not read before")
        message = "it was changed, and has yet to be read" if state.generation else "it has yet to be read"
        if is_current or state.awaited != _generation(manifest):
            state.awaited, state.since = _generation(manifest), time.monotonic()
        left = state.since + FIRST_ANSWER - time.monotonic()
        if left > 0:
            raise ArtifactPending(not_ready(key, message).message, retry_after=left)
        raise not_ready(key, message)

    @abstractmethod
    def _plain(self, source: R) -> S:
        """What the source asks for, without what its Secrets hold. Raises: GitsyncError for what cannot be used."""

    @abstractmethod
    async def _opened(self, source: R, plain: S) -> S:
        """The source's spec with what its Secrets hold. Raises: GitsyncError."""

    @abstractmethod
    def _without_secrets(self, spec: S) -> S:
        """An opened spec without what Secrets hold, as ``_plain`` returns it."""

    @abstractmethod
    async def _known(self, key: ObjectKey, source: R, spec: S) -> A | None:
        """What was found last, before a restart too; None when that is not for this spec. No server is asked."""

    @abstractmethod
    async def _asked(self, key: ObjectKey, source: R, spec: S) -> A:
        """The artifact that the server has now. Raises: GitsyncError."""

    @abstractmethod
    def _outcome(self, key: ObjectKey, source: R, found: tuple[S, A], changed: bool) -> Outcome:
        """What to report of an artifact that was found."""

    @abstractmethod
    def _dropped(self, key: ObjectKey, found: tuple[S, A] | None) -> None:
        """Forgets what is known of a source that nothing refers to any more."""

    async def _fetch(self, key: ObjectKey, source: R) -> Outcome | None:
        state = self._state(key)
        check_supported(source)
        state.reason = URL_INVALID
        plain = self._plain(source)
        if source.spec.suspend:
            await self._suspend(key, source, plain)
            return None
        state.reason = AUTHENTICATION_FAILED
        spec = await self._opened(source, plain)
        state.reason = self.unreachable
        if not state.generation:
            await self._resume(key, source, spec)
        try:
            artifact = await self._asked(key, source, spec)
        except GitsyncError:
            await self._resume(key, source, spec)
            raise
        changed = self._keep(key, source, (spec, artifact))
        state.error = None
        return self._outcome(key, source, (spec, artifact), changed)

    async def _suspend(self, key: ObjectKey, source: R, plain: S) -> None:
        """Takes up what was found before, before a restart too, if it is for the present spec. No server is asked."""
        state = self._states[key]
        if state.found is not None and self._without_secrets(state.found[0]) == plain:
            state.generation = source.metadata.generation
            return
        state.found, state.error, state.generation = None, None, source.metadata.generation
        with suppress(GitsyncError):  # without its Secrets, which a suspended source does not need
            spec = await self._opened(source, plain)
            await self._resume(key, source, spec)
        self._on_change(key)

    async def _resume(self, key: ObjectKey, source: R, spec: S) -> None:
        """Takes up what was found before a restart, so that it is used at once, and while the server is away."""
        state = self._states[key]
        known = await self._known(key, source, spec)
        has = state.found is not None and state.generation == source.metadata.generation
        if known is not None and not has and self._keep(key, source, (spec, known)):
            self._on_change(key)

    def _keep(self, key: ObjectKey, source: R, found: tuple[S, A]) -> bool:
        """Whether what uses the source has to be reconciled."""
        state, generation = self._states[key], source.metadata.generation
        changed = state.found != found or state.generation != generation or state.error is not None
        state.found, state.generation = found, generation
        return changed

    def _state(self, key: ObjectKey) -> State[S, A]:
        return self._states.setdefault(key, State(time.monotonic()))

    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        return NOT_SUPPORTED if isinstance(error, FieldNotSupported) else self._states[key].reason

    def _passes(self, error: GitsyncError) -> bool:
        """True of all errors but fields that are not supported: as with Flux, a reference may yet be pushed, or a
        Secret corrected, and intervals are long."""
        return not isinstance(error, FieldNotSupported)

    def _complain(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        self._tell_of(key, manifest, reason, error)
        state, generation = self._state(key), _generation(manifest)
        if state.generation != generation:  # what was found was for another spec
            state.found = None
        told = state.error.message if state.error is not None and state.generation == generation else ""
        state.error, state.generation = error, generation
        if state.found is None and told != error.message:
            self._on_change(key)  # what waits for it reports the error

    def _tell_of(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        """Say what is wrong."""
        super()._complain(key, manifest, reason, error)

    def _gone(self, key: ObjectKey) -> None:
        state = self._states.pop(key, None)
        self._dropped(key, state.found if state is not None else None)


def _generation(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("generation", 0))


def _is_suspended(manifest: Manifest) -> bool:
    return bool((manifest.get("spec") or {}).get("suspend"))
