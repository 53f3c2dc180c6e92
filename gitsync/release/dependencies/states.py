"""Which state of a HelmRelease is wanted, by which commit, and whether it has come to that. Pure."""

from __future__ import annotations

from gitsync.api.conditions import is_ready
from gitsync.api.identity import CommitInfo, Manifest
from gitsync.api.names import COMMIT_ANNOTATION, COMMIT_AUTHOR_ANNOTATION, COMMIT_SUBJECT_ANNOTATION

#: Generation and commit of a HelmRelease.
State = tuple[int, str]


def state_of(manifest: Manifest) -> State:
    """Which state of a release is wanted. The commit counts because a chart in the repository changes without a change
    of the HelmRelease."""
    metadata = manifest["metadata"]
    return metadata.get("generation", 0), (metadata.get("annotations") or {}).get(COMMIT_ANNOTATION, "")


def is_current(manifest: Manifest) -> bool:
    """Ready, at its present generation, and at the commit that last changed it.

    The commit counts because a chart in the repository changes without a change of the HelmRelease.
    """
    if not is_ready(manifest) or "deletionTimestamp" in manifest["metadata"]:
        return False
    stamp = (manifest["metadata"].get("annotations") or {}).get(COMMIT_ANNOTATION)
    handled = (manifest.get("status") or {}).get("lastHandledCommit")
    return not stamp or not handled or stamp == handled


def commit_of(manifest: Manifest) -> CommitInfo | None:
    """The commit that last changed an object, from the stamp that sync left on it."""
    annotations = manifest["metadata"].get("annotations") or {}
    if COMMIT_ANNOTATION not in annotations:
        return None
    return CommitInfo(
        id=annotations[COMMIT_ANNOTATION],
        author=annotations.get(COMMIT_AUTHOR_ANNOTATION, ""),
        subject=annotations.get(COMMIT_SUBJECT_ANNOTATION, ""),
    )
