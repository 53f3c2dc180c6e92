"""Marks on an object that say whose it is (a release's, a sync's), and that it is to be kept. Pure."""

from __future__ import annotations

from gitsync.api.identity import Manifest, says
from gitsync.api.names import (
    FIELD_MANAGER,
    KUSTOMIZE_PRUNE_ANNOTATION,
    KUSTOMIZE_RECONCILE_ANNOTATION,
    LEFT_TO_ANNOTATION,
    OWNER_ANNOTATION,
    PRUNE_ANNOTATION,
    PRUNE_DISABLED,
    SYNC_MARKS,
    TAKEN_OVER_ANNOTATION,
    sync_of,
)
from gitsync.text import whole_number

MANAGED_BY = "app.kubernetes.io/managed-by"
#: Selects what Helm (or gitsync in its stead) manages: Helm puts this label on every object since 3.2.
HELM_OBJECTS = f"{MANAGED_BY}=Helm"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
RESOURCE_POLICY = "helm.sh/resource-policy"
KEPT_BY_POLICY = f"its {RESOURCE_POLICY} says keep"
#: In the note of a take-over, before who had the object; and before that, when it was a sync.
_FORMER = " from "
OF_SYNC = "sync "
_MARKS = SYNC_MARKS | {RELEASE_NAME, RELEASE_NAMESPACE, TAKEN_OVER_ANNOTATION, LEFT_TO_ANNOTATION}


def owned(manifest: Manifest, release: str, namespace: str) -> Manifest:
    """The object with Helm's ownership label and annotations, as Helm sets them when it applies (action/validate.go).

    The record keeps the rendered text without them. The input is not changed.
    """
    metadata = dict(manifest.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY: "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        RELEASE_NAME: release,
        RELEASE_NAMESPACE: namespace,
    }
    return {**manifest, "metadata": metadata}


def belongs_to(live: Manifest, release: str, namespace: str) -> bool:
    """Whether a live object is marked as this release's. One that is not is never deleted with the release."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return annotations.get(RELEASE_NAME) == release and annotations.get(RELEASE_NAMESPACE) == namespace


def release_of(live: Manifest) -> str:
    """The release that a live object is marked as belonging to, as ``namespace/name``; "" for none."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    name, namespace = annotations.get(RELEASE_NAME), annotations.get(RELEASE_NAMESPACE)
    return f"{namespace}/{name}" if name and namespace else ""


def taken_by_helm(live: Manifest) -> str:
    """The release, as ``namespace/name``, into which the helm CLI has taken a live object of a sync since the sync
    applied it (an apply of the sync takes Helm's marks off, unless Git has them). "" for none."""
    mark = f"f:{RELEASE_NAME}"
    entries = live["metadata"].get("managedFields") or ()
    written = (
        ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
        for entry in entries
        if entry.get("manager") == FIELD_MANAGER
    )
    return "" if any(mark in annotations for annotations in written) else release_of(live)


def taken_over(manifest: Manifest, release: str, namespace: str, revision: int, former: str = "") -> Manifest:
    """The object with a note (TAKEN_OVER_ANNOTATION) that it was there before this revision of a release took it over,
    and, in ``former``, whose it was: "apps/old" or "sync flux-system/apps". The input is not changed."""
    metadata = dict(manifest.get("metadata") or {})
    note = f"{namespace}/{release}.v{revision}" + (f"{_FORMER}{former}" if former else "")
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TAKEN_OVER_ANNOTATION: note}
    return {**manifest, "metadata": metadata}


def taken_over_in(live: Manifest, release: str, namespace: str) -> int:
    """The revision of this release that took a live object over; 0 when nothing says that one did."""
    whose, _, revision = _note_of(live).partition(_FORMER)[0].rpartition(".v")
    return (whole_number(revision) or 0) if whose == f"{namespace}/{release}" else 0


def former_owner(live: Manifest) -> str:
    """Whose a live object is, or was before other releases took it over: a release as ``namespace/name``, a sync with
    OF_SYNC before that. "" when it was nobody's, or a sync's that does not prune it."""
    if note := _note_of(live):
        return note.partition(_FORMER)[2]
    return release_of(live) or _sync_that_prunes(live)


def _sync_that_prunes(live: Manifest) -> str:
    """The sync that a live object belongs to, unless an annotation says that it is not to be pruned."""
    is_marked = OWNER_ANNOTATION in (live["metadata"].get("annotations") or {})
    sync = sync_of(live["metadata"].get("labels") or {})
    return f"{OF_SYNC}{sync}" if is_marked and sync and not prune_disabled(live) else ""


def _note_of(live: Manifest) -> str:
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(TAKEN_OVER_ANNOTATION, ""))


def is_marked(live: Manifest) -> bool:
    """Whether a live object is marked as some sync's or some release's."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return OWNER_ANNOTATION in annotations or RELEASE_NAME in annotations


def note_of_heir(live: Manifest, heir: str) -> str:
    """The value of LEFT_TO_ANNOTATION that a release writes on an object of its own that it leaves to ``heir``."""
    return f"{heir}{_FORMER}{release_of(live)}"


def is_left_to(live: Manifest, heir: str) -> bool:
    """Whether a release has left a live object to ``heir``, and nobody has taken it since."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    return annotations.get(LEFT_TO_ANNOTATION) == note_of_heir(live, heir) and OWNER_ANNOTATION not in annotations


def marks_of(live: Manifest) -> list[Manifest]:
    """All marks of a live object, as a manifest that has nothing else: with that as an earlier manifest, a three-way
    merge takes off those that are not given again. Empty when there are none."""
    metadata = {}
    for field in ("annotations", "labels"):
        found = (live["metadata"].get(field) or {}).items()
        if marks := {name: value for name, value in found if name in _MARKS or (name, value) == (MANAGED_BY, "Helm")}:
            metadata[field] = marks
    return [{"metadata": metadata}] if metadata else []


def without_marks(live: Manifest) -> Manifest:
    """The JSON merge patch that takes all marks off a live object, if it is still as it was read."""
    metadata = live["metadata"]
    patch: Manifest = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    for marks in marks_of(live):
        patch |= {field: dict.fromkeys(found) for field, found in marks["metadata"].items()}
    return {"metadata": patch}


def kept(manifest: Manifest) -> bool:
    """``helm.sh/resource-policy: keep``: the object outlives its release."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(RESOURCE_POLICY, "")).strip().lower() == "keep"


def prune_disabled(live: Manifest) -> bool:
    """Whether an object is not to be pruned, by its annotations and labels: see ``why_not_pruned``."""
    return bool(why_not_pruned(live))


def why_not_pruned(live: Manifest) -> str:
    """Why an object stays when it leaves Git: ``gitsync.dev/prune: disabled``, or one of Flux's own annotations or
    labels. "" when it does not stay."""
    for name in (PRUNE_ANNOTATION, KUSTOMIZE_PRUNE_ANNOTATION):
        if says(live, name, PRUNE_DISABLED):
            return "its prune annotation says disabled"
    if says(live, KUSTOMIZE_RECONCILE_ANNOTATION, PRUNE_DISABLED):
        return "its reconcile annotation says disabled"
    return ""
