"""The wanted state of a HelmRelease, and whether it has come to that. Pure."""

from __future__ import annotations

from gitsync.api.conditions import is_ready
from gitsync.api.identity import CommitInfo, Manifest
from gitsync.api.names import COMMIT_ANNOTATION, COMMIT_AUTHOR_ANNOTATION, COMMIT_SUBJECT_ANNOTATION

#: Generation and commit of a HelmRelease.
State = tuple[int, str]


def state_of(manifest: Manifest) -> State:
    """The wanted state of a release. The commit is a part of it, since a chart in the repository may change without a
    change of the HelmRelease."""
    metadata = manifest["metadata"]
    return metadata.get("generation", 0), (metadata.get("annotations") or {}).get(COMMIT_ANNOTATION, "")


def is_current(manifest: Manifest) -> bool:
    """Whether a release is Ready at its present generation, and at the commit that last changed it (see
    ``state_of``)."""
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
