"""What of an object is its author's, without what the server and we ourselves write into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitsync.api.names import (
    COMMIT_ANNOTATION,
    COMMIT_AUTHOR_ANNOTATION,
    COMMIT_SUBJECT_ANNOTATION,
    DEPENDS_ON_ORIGIN_ANNOTATION,
    LEFTOVERS_ANNOTATION,
    ORIGIN_ANNOTATION,
    SERVER_SET_METADATA,
    TAKEN_OVER_ANNOTATION,
    VALUES_ORIGIN_ANNOTATION,
)
from gitsync.diff.secret import LAST_APPLIED

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: Of metadata: what only the server sets.
SERVER_SET: Final = frozenset(SERVER_SET_METADATA)
#: Annotations that say who applied an object last and why, and nothing about what it is.
BOOKKEEPING: Final = frozenset(
    {
        COMMIT_ANNOTATION,
        COMMIT_AUTHOR_ANNOTATION,
        COMMIT_SUBJECT_ANNOTATION,
        DEPENDS_ON_ORIGIN_ANNOTATION,
        ORIGIN_ANNOTATION,
        LAST_APPLIED,
        LEFTOVERS_ANNOTATION,
        TAKEN_OVER_ANNOTATION,
        VALUES_ORIGIN_ANNOTATION,
    }
)


def normalised(manifest: Manifest, *, bookkeeping: bool = False) -> Manifest:
    """The object without its status and what the server sets in its metadata; with ``bookkeeping`` also without our
    annotations of commit and origin and kubectl's copy of what it applied. The argument is left as it is, and parts of
    it are shared.
    """
    kept = {name: value for name, value in manifest.items() if name != "status"}
    metadata = kept.get("metadata")
    if not isinstance(metadata, dict):
        return kept
    metadata = {name: value for name, value in metadata.items() if name not in SERVER_SET}
    annotations = metadata.get("annotations")
    if bookkeeping and isinstance(annotations, dict):
        metadata["annotations"] = {name: value for name, value in annotations.items() if name not in BOOKKEEPING}
        if not metadata["annotations"]:
            del metadata["annotations"]
    return kept | {"metadata": metadata}
