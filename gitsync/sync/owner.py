"""Whose an object is, and which commit brought it: what sync writes on everything that it applies. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    COMMIT_AUTHOR_ANNOTATION,
    COMMIT_SUBJECT_ANNOTATION,
    DEPENDS_ON_ORIGIN_ANNOTATION,
    FINALIZER,
    HELM_RELEASE,
    KUSTOMIZE_PRUNE_ANNOTATION,
    ORIGIN_ANNOTATION,
    OWNER_ANNOTATION,
    PRUNE_ANNOTATION,
    PRUNE_DISABLED,
    SYNC_LABEL,
)
from gitsync.apply.claims import Claimant

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Owner:
    """A sync: its name, and where it reads (repository and path; credentials never)."""

    name: str
    repository: str
    path: str = ""

    def mark(self, key: ObjectKey) -> str:
        """The owner annotation of one object of this sync.

        It depends on the object's own key, so an annotation that was copied along to another object owns nothing. It
        does not depend on the repository: a repository may move without its objects becoming foreign.
        """
        text = "\0".join((self.name, key.group, key.kind, key.namespace, key.name))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def claimant(self) -> Claimant:
        """The sync among those who want objects."""
        return Claimant("sync", self.name)

    def owns(self, live: Manifest) -> bool:
        """Whether a live object carries this sync's mark for exactly itself."""
        return _annotations(live).get(OWNER_ANNOTATION) == self.mark(ObjectKey.of(live))

    def other(self, live: Manifest) -> str:
        """The name of another sync that owns a live object, "" when none does."""
        labels = live["metadata"].get("labels") or {}
        name: str = labels.get(SYNC_LABEL, "")
        if not name or name == self.name:
            return ""
        rightful = Owner(name, "").owns(live)
        return name if rightful else ""


def stamped(
    manifest: Manifest, owner: Owner, commit: CommitInfo, origin: Origin, edges: Sequence[Origin] = ()
) -> Manifest:
    """The object as it is applied: with its owner, the commit and the place it comes from.

    ``edges`` are the places of a HelmRelease's dependsOn entries. The input is not changed.
    """
    metadata: dict[str, Any] = dict(manifest["metadata"])
    annotations = {
        **(metadata.get("annotations") or {}),
        OWNER_ANNOTATION: owner.mark(ObjectKey.of(manifest)),
        COMMIT_ANNOTATION: commit.id,
        COMMIT_AUTHOR_ANNOTATION: commit.author[:_LONGEST_TEXT],
        COMMIT_SUBJECT_ANNOTATION: commit.subject[:_LONGEST_TEXT],
        ORIGIN_ANNOTATION: str(origin),
    }
    if edges:
        annotations[DEPENDS_ON_ORIGIN_ANNOTATION] = "\n".join(f"{edge.path}:{edge.line}" for edge in edges)
    metadata["annotations"] = annotations
    metadata["labels"] = {**(metadata.get("labels") or {}), SYNC_LABEL: owner.name}
    if manifest["kind"] == HELM_RELEASE:
        metadata["finalizers"] = [*dict.fromkeys([*(metadata.get("finalizers") or ()), FINALIZER])]
    return {**manifest, "metadata": metadata}


def prune_disabled(live: Manifest) -> bool:
    """``gitsync.dev/prune: disabled`` (or Flux's own annotation): the object stays when it leaves Git."""
    annotations = _annotations(live)
    return any(
        str(annotations.get(name, "")).lower() == PRUNE_DISABLED
        for name in (PRUNE_ANNOTATION, KUSTOMIZE_PRUNE_ANNOTATION)
    )


def _annotations(manifest: Manifest) -> dict[str, str]:
    annotations: dict[str, str] = manifest["metadata"].get("annotations") or {}
    return annotations
