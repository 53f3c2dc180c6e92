"""The Kustomizations that are in the cluster, typed. State only; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.errors import FieldErrors
from gitsync.release.wanted.claims import kustomization_of

if TYPE_CHECKING:
    from gitsync.cluster import Informer


class PresentKustomizations:
    """The Kustomizations on ``watch``; none before it has been entered (``is_watching``)."""

    def __init__(self, watch: Informer) -> None:
        self._watch = watch
        self.is_watching = False
        #: Each as it was read, None for one that cannot be read.
        self._read: dict[ObjectKey, tuple[Manifest, Kustomization | None]] = {}

    def all(self) -> dict[ObjectKey, Kustomization]:
        """All that can be read."""
        if not self.is_watching:
            return {}
        found = {key: self.typed(key, manifest) for key, manifest in self._watch.items()}
        return {key: kustomization for key, kustomization in found.items() if kustomization is not None}

    def typed(self, key: ObjectKey, manifest: Manifest) -> Kustomization | None:
        """A Kustomization, typed, parsed once for each state of it; None when it cannot be read. Its
        ``status.inventory`` is left out, and is in the manifest only."""
        known = self._read.get(key)
        if known is not None and known[0] is manifest:
            return known[1]
        try:
            kustomization = _without_inventory(Kustomization.parse(manifest))
        except FieldErrors:
            kustomization = None  # its own reconciliation reports that
        self._read[key] = manifest, kustomization
        return kustomization

    def named(self, name: str) -> Kustomization | None:
        """The Kustomization of a ``namespace/name``; None when there is none."""
        key = kustomization_of(name)
        manifest = self._watch.get(key) if self.is_watching else None
        return self.typed(key, manifest) if manifest is not None else None

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._read.pop(key, None)


def _without_inventory(kustomization: Kustomization) -> Kustomization:
    """The inventory is half of what a Kustomization takes in memory, and is not needed typed."""
    status = kustomization.status.model_copy(update={"inventory": None})
    return kustomization.model_copy(update={"status": status})
