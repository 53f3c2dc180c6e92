"""The marks that a sync writes on everything that it applies: whose it is, and which commit brought it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    COMMIT_AUTHOR_ANNOTATION,
    COMMIT_SUBJECT_ANNOTATION,
    DEPENDS_ON_ORIGIN_ANNOTATION,
    FINALIZER,
    KUSTOMIZE_NAME_LABEL,
    KUSTOMIZE_NAMESPACE_LABEL,
    ORIGIN_ANNOTATION,
    OWNER_ANNOTATION,
    SYNC_LABEL,
    SYNC_NAMESPACE_LABEL,
    VALUES_ORIGIN_ANNOTATION,
    sync_name,
)
from gitsync.apply.claimant import Claimant
from gitsync.apply.ownership import is_left_to
from gitsync.text import shorten

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Owner:
    """A sync: its name, the namespace of its inventory, and where it reads (repository and path, without credentials).
    ``kustomization`` is the Kustomization that it is, or that stands for it; None without one. Objects that Flux has
    applied for that Kustomization are the sync's, too."""

    name: str
    namespace: str
    repository: str
    path: str = ""
    kustomization: ObjectKey | None = None

    def mark(self, key: ObjectKey) -> str:
        """The owner annotation of one object of this sync.

        It depends on the object's own key, so an annotation that was copied along to another object owns nothing. It
        does not depend on the repository: a repository may move without its objects becoming foreign.
        """
        sync = (self.namespace, self.name) if self.namespace else (self.name,)
        text = "\0".join((*sync, key.group, key.kind, key.namespace, key.name))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def full_name(self) -> str:
        """``namespace/name``."""
        return sync_name(self.namespace, self.name)

    @property
    def labels(self) -> str:
        """Selects what it has applied."""
        return f"{SYNC_LABEL}={self.name},{SYNC_NAMESPACE_LABEL}={self.namespace}"

    @property
    def claimant(self) -> Claimant:
        """The sync as a claimant."""
        return Claimant("sync", self.full_name)

    def owns(self, live: Manifest) -> bool:
        """Whether a live object carries this sync's mark for exactly itself, also in the form of gitsync 0.1."""
        return _annotations(live).get(OWNER_ANNOTATION) == self.mark(ObjectKey.of(live)) or self.owned_in_0_1(live)

    def owned_in_0_1(self, live: Manifest) -> bool:
        """Whether its mark has the form of gitsync 0.1, without the namespace of the sync: then it is written anew."""
        old = replace(self, namespace="").mark(ObjectKey.of(live))
        return bool(self.namespace) and _annotations(live).get(OWNER_ANNOTATION) == old

    def has(self, live: Manifest) -> bool:
        """Whether a live object is this sync's, by one of these: its mark; the mark of the Kustomization that stands
        for this sync, written when that was still a sync of its own; Flux's labels, if no sync has marked the object
        yet; the note of a release that has left it to this sync."""
        if self.owns(live) or is_left_to(live, self.claimant.written) or self._as_kustomization.owns(live):
            return True
        is_marked = OWNER_ANNOTATION in _annotations(live) or SYNC_LABEL in _labels(live)
        return bool(self.flux_labels) and not is_marked and self.is_labelled(live)

    @property
    def flux_labels(self) -> dict[str, str]:
        """The labels that Flux writes on the objects of its Kustomization, and without which it deletes none; empty
        without a Kustomization."""
        key = self.kustomization
        return {} if key is None else {KUSTOMIZE_NAME_LABEL: key.name, KUSTOMIZE_NAMESPACE_LABEL: key.namespace}

    def is_labelled(self, live: Manifest) -> bool:
        """Whether a live object carries all of ``flux_labels``."""
        return self.flux_labels.items() <= _labels(live).items()

    def other(self, live: Manifest) -> str:
        """``namespace/name`` of another sync that owns a live object, "" when none does."""
        labels = _labels(live)
        other = Owner(labels.get(SYNC_LABEL, ""), labels.get(SYNC_NAMESPACE_LABEL, ""), "")
        is_us = other.name == self.name and other.namespace in (self.namespace, "")
        is_us |= other.full_name == self._as_kustomization.full_name
        return other.full_name if other.name and not is_us and other.owns(live) else ""

    @property
    def _as_kustomization(self) -> Owner:
        """The sync that the Kustomization which stands for this one would be by itself; without one, this sync."""
        key = self.kustomization
        return self if key is None else Owner(key.name, key.namespace, "")


def stamped(
    manifest: Manifest,
    owner: Owner,
    commit: CommitInfo,
    origin: Origin,
    edges: Sequence[Origin] = (),
    finalized: bool = False,
    values_origin: str = "",
) -> Manifest:
    """The object as it is applied: with its owner, the commit and the place it comes from.

    ``edges`` are the places of a HelmRelease's dependsOn entries, ``values_origin`` says where its values are written.
    ``finalized``: it gets the agent's finalizer, so that what it has is deleted before it is gone. The input is not
    changed.
    """
    key = ObjectKey.of(manifest)
    metadata: dict[str, Any] = dict(manifest["metadata"])
    annotations = {
        **(metadata.get("annotations") or {}),
        OWNER_ANNOTATION: owner.mark(key),
        COMMIT_ANNOTATION: commit.id,
        COMMIT_AUTHOR_ANNOTATION: shorten(commit.author, _LONGEST_TEXT),
        COMMIT_SUBJECT_ANNOTATION: shorten(commit.subject, _LONGEST_TEXT),
        ORIGIN_ANNOTATION: str(origin),
    }
    if edges:
        annotations[DEPENDS_ON_ORIGIN_ANNOTATION] = "\n".join(f"{edge.path}:{edge.line}" for edge in edges)
    if values_origin:
        annotations[VALUES_ORIGIN_ANNOTATION] = values_origin
    metadata["annotations"] = annotations
    sync = {SYNC_LABEL: owner.name, SYNC_NAMESPACE_LABEL: owner.namespace}
    metadata["labels"] = {**(metadata.get("labels") or {}), **sync, **owner.flux_labels}
    if finalized:
        metadata["finalizers"] = [*dict.fromkeys([*(metadata.get("finalizers") or ()), FINALIZER])]
    return {**manifest, "metadata": metadata}


def _annotations(manifest: Manifest) -> dict[str, str]:
    annotations: dict[str, str] = manifest["metadata"].get("annotations") or {}
    return annotations


def _labels(manifest: Manifest) -> dict[str, str]:
    labels: dict[str, str] = manifest["metadata"].get("labels") or {}
    return labels
