"""Which changes of a Kustomization matter, and to whom. Pure."""

from __future__ import annotations

from typing import NamedTuple

from gitsync.api.conditions import is_ready, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import REQUESTED_AT_ANNOTATION
from gitsync.sync.kustomization.waiting.order import waits_inside


class Asked(NamedTuple):
    """What somebody asks of an object: its spec (by generation), its deletion, a requested reconciliation. If it
    differs, there is something new to do."""

    generation: object
    deleted: object
    requested: object

    def since(self, before: Asked) -> str:
        """What has happened, in words."""
        if self.deleted != before.deleted:
            return "it is being removed"
        return "its spec was changed" if self.generation != before.generation else "it was asked for"


class Seen(NamedTuple):
    """The parts of a Kustomization whose changes matter: ``asked`` to itself; that and ``inside``, the objects that it
    waits for once it is applied, to the graph of dependencies; all of it to those that wait for it."""

    asked: Asked
    inside: tuple[ObjectKey, ...]
    is_ready: bool
    reason: tuple[object, ...]
    revision: object


def asked_of(manifest: Manifest) -> Asked:
    """What an object asks for."""
    metadata = manifest["metadata"]
    notes = metadata.get("annotations") or {}
    return Asked(metadata.get("generation"), metadata.get("deletionTimestamp"), notes.get(REQUESTED_AT_ANNOTATION))


def seen_of(manifest: Manifest, kustomization: Kustomization | None) -> Seen:
    """These parts of a Kustomization as it is now; ``kustomization`` is None when it cannot be read."""
    ready = ready_of(manifest)
    return Seen(
        asked_of(manifest),
        tuple(waits_inside(kustomization)) if kustomization is not None else (),
        is_ready(manifest),
        (ready.get("status"), ready.get("reason")),
        (manifest.get("status") or {}).get("lastAppliedRevision"),
    )
