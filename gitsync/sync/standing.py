"""How the sync of the settings stands: a commit is applied, or why not. For statuses and Events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitsync.api.identity import CommitInfo
from gitsync.api.names import (
    ARTIFACT_FAILED,
    BUILD_FAILED,
    COMMIT_HELD,
    HEALTH_CHECK_FAILED,
    PROGRESSING,
    RECONCILIATION_FAILED,
    RECONCILIATION_SUCCEEDED,
    VERIFICATION_ERROR,
)
from gitsync.errors import GitsyncError, KindUnknown, NotVerified, RetryableError
from gitsync.manifests import Desired
from gitsync.sync.apply import SyncResult
from gitsync.text import listed

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """``reason`` and ``message`` are those of a condition; ``commit`` and ``revision`` are what it is about.
    ``passing``: it mostly passes at once; ``of_source``: the repository is at fault, so that it is shown by its
    GitRepository, if there is one; ``quiet``: nothing in the cluster has changed, so that there is no Event."""

    reason: str
    message: str
    commit: CommitInfo | None = None
    revision: str = ""
    origin: str = ""
    is_failure: bool = True
    passing: bool = False
    of_source: bool = False
    quiet: bool = False


def sync_began(commit: CommitInfo, revision: str) -> Standing:
    """A new commit is being applied."""
    return Standing(PROGRESSING, "Applying the revision", commit, revision, is_failure=False, quiet=True)


def sync_applied(commit: CommitInfo, revision: str) -> Standing:
    """All of a commit is applied, though its objects may not be ready yet."""
    return Standing(
        RECONCILIATION_SUCCEEDED, f"Applied revision: {revision}", commit, revision, is_failure=False, quiet=True
    )


def source_failed(error: GitsyncError) -> Standing:
    """The repository cannot be read, or its head is not signed as it must be."""
    reason = VERIFICATION_ERROR if isinstance(error, NotVerified) else ARTIFACT_FAILED
    return Standing(reason, error.told, of_source=True)


def sync_failed(error: GitsyncError, commit: CommitInfo, revision: str) -> Standing:
    """A sync has ended early, with an error."""
    passing = isinstance(error, RetryableError)
    return Standing(RECONCILIATION_FAILED, error.told, commit, revision, passing=passing)


def sync_ended(desired: Desired, result: SyncResult, revision: str) -> Standing:
    """A sync has come to its end. HelmReleases that have failed are no failure of the sync: they have statuses."""
    commit, problem = desired.commit, _of_files(desired)
    if problem is None and (result.result == "held" or result.problems or result.unready):
        problem = problem_of(result)
    if problem is None:
        message = f"Applied revision: {revision}"
        quiet = not result.changed
        return Standing(RECONCILIATION_SUCCEEDED, message, commit, revision, is_failure=False, quiet=quiet)
    return Standing(*problem, commit, revision)


def problem_of(result: SyncResult) -> tuple[str, str] | None:
    """Reason and message of what went wrong with a sync; None when nothing did."""
    if result.result == "succeeded" and not result.unready:
        return None
    if result.result == "held":
        return COMMIT_HELD, f"the commit is held until it is confirmed: {result.why}"
    if result.problems:
        return RECONCILIATION_FAILED, _told(result.problems)
    if result.unready:
        return HEALTH_CHECK_FAILED, _told(result.unready)
    return HEALTH_CHECK_FAILED, "not all of its objects have become ready"


def _told(problems: Sequence[GitsyncError]) -> str:
    """The errors of some objects in one text: kinds that are not served are listed together, and an error that many
    have in common is named once."""
    absent = [error for error in problems if isinstance(error, KindUnknown) and error.kind]
    texts = [error.message for error in problems if error not in absent]
    if len(absent) > 1:
        kinds = listed(dict.fromkeys(f"{error.kind}.{error.group}" for error in absent), _SHOWN)
        texts.insert(0, f"the API server does not serve the kinds of {len(absent)} objects: {kinds}")
    else:
        texts = [error.message for error in problems]
    return listed(dict.fromkeys(texts), _SHOWN)


def _of_files(desired: Desired) -> tuple[str, str] | None:
    if not desired.errors:
        return None
    first, others = desired.errors[0], len(desired.errors) - 1
    more = f" (and {others} more)" if others else ""
    return BUILD_FAILED, f"{first.origin}: {first.message}{more}"
