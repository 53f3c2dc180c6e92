"""A Kustomization that has failed or has to wait: its log line, its conditions, and when it is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gitsync.api.names import (
    ACCESS_DENIED,
    ARTIFACT_FAILED,
    BUILD_FAILED,
    DEPENDENCY_CYCLE,
    DEPENDENCY_MISSING,
    DEPENDENCY_NOT_READY,
    INVALID,
    NOT_SUPPORTED,
    RECONCILIATION_FAILED,
)
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
    RetryableError,
    SopsUnavailable,
    SourceNotReady,
    ValuesMissing,
)
from gitsync.logs import Once, commit_context

if TYPE_CHECKING:
    from gitsync.api.identity import ObjectKey
    from gitsync.api.kustomization import Kustomization
    from gitsync.manifests import Desired
    from gitsync.sources.resolve.treeartifact import TreeArtifact
    from gitsync.sync.kustomization.reconcile.conditions import StatusWriter
    from gitsync.sync.kustomization.reconcile.patience import Patience

log = structlog.get_logger(__name__)

#: The reason of a condition, by the error; the first that fits.
_REASONS: dict[type[GitsyncError], str] = {
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


class Failures:
    """Reports failures. ``once`` keeps repeated log lines away."""

    def __init__(self, status: StatusWriter, once: Once, patience: Patience) -> None:
        self._status = status
        self._once = once
        self._patience = patience

    async def say(self, kustomization: Kustomization, error: GitsyncError, on: frozenset[ObjectKey]) -> float | None:
        """Report an error that has ended a pass. The objects that it waits ``on`` will wake it. Returns seconds until
        the next try, None when nothing but a change helps."""
        key = kustomization.key
        waits, stalls = isinstance(error, BlockedError), is_for_good(error)
        if waits and not stalls and (left := self._patience.until_told(key, on)) > 0:
            return left
        event, level = ("kustomization has to wait", "info") if waits else ("kustomization failed", "warning")
        level = "error" if stalls else level
        said = {"kustomization": key.namespaced_name, "why": error.message, "hint": error.hint}
        topic = "dependencies" if isinstance(error, DependencyNotReady | DependencyMissing) else "state"
        if not (isinstance(error, DependencyNotReady) and self._patience.knows(key, on)):
            self._patience.told(key, on)
            self._once(key, log, event, topic=topic, level=level, **said)
        # As with Flux: while it waits for another object that has a status of its own, it is not Reconciling.
        again = not isinstance(error, DependencyNotReady | DependencyMissing | SourceNotReady)
        failed = self._status.failed
        await failed(kustomization, reason_of(error), error.told, stalled=stalls, passing=waits, again=again)
        return self._patience.until_retry(kustomization) if not (waits or stalls) else None

    async def say_not_built(self, kustomization: Kustomization, artifact: TreeArtifact, desired: Desired) -> float:
        """Report that it cannot be built: then what it wants is not known, and what it has applied stays as it is.
        Returns seconds until the next try."""
        first, key = desired.errors[0], kustomization.key
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
        return self._patience.until_retry(kustomization)


def is_for_good(error: GitsyncError) -> bool:
    """Whether only a change of the Kustomization, or of what it names, can help. Pure."""
    return isinstance(error, FieldNotSupported | FieldErrors | DependencyCycle | CrossNamespaceRefused)


def reason_of(error: GitsyncError) -> str:
    """The reason that a condition gives for an error. Pure."""
    return next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), RECONCILIATION_FAILED)
