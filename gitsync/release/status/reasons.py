"""The reason that a condition gives for an error: one word, as helm-controller's where it has one. Pure."""

from __future__ import annotations

from gitsync.api.names import (
    ACCESS_DENIED,
    ARTIFACT_FAILED,
    DEPENDENCY_CYCLE,
    DEPENDENCY_MISSING,
    DEPENDENCY_NOT_READY,
    INVALID,
    OWNED_BY_ANOTHER,
    REST_CLIENT_ERROR,
    SOURCE_NOT_READY,
    VALUES_ERROR,
)
from gitsync.errors import (
    BlockedError,
    CrossNamespaceRefused,
    DependencyCycle,
    DependencyMissing,
    FieldErrors,
    FieldNotSupported,
    GitsyncError,
    KubeConfigMissing,
    KubeConfigRefused,
    ObjectTaken,
    ReleaseNameTaken,
    SourceNotReady,
    ValuesError,
    ValuesMissing,
)


def stalled_reason(error: GitsyncError) -> str:
    """The reason of Stalled."""
    if isinstance(error, FieldNotSupported | FieldErrors | ReleaseNameTaken):
        return INVALID
    if isinstance(error, KubeConfigRefused):
        return REST_CLIENT_ERROR
    if isinstance(error, CrossNamespaceRefused):
        return ACCESS_DENIED
    return VALUES_ERROR if isinstance(error, ValuesError) else ARTIFACT_FAILED


def blocked_reason(error: BlockedError) -> str:
    """The reason of Ready for a release that waits."""
    if isinstance(error, KubeConfigMissing):
        return REST_CLIENT_ERROR
    if isinstance(error, ObjectTaken):
        return OWNED_BY_ANOTHER
    if isinstance(error, DependencyCycle):
        return DEPENDENCY_CYCLE
    if isinstance(error, DependencyMissing):
        return DEPENDENCY_MISSING
    if isinstance(error, ValuesMissing):
        return VALUES_ERROR
    return SOURCE_NOT_READY if isinstance(error, SourceNotReady) else DEPENDENCY_NOT_READY
