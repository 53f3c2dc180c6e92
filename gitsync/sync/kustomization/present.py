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
    """What ``watch`` has. There are none as long as that is not followed (``is_watching``)."""

    def __init__(self, watch: Informer) -> None:
        self._watch = watch
        self.is_watching = False
        #: What each was read as, None for one that cannot be read.
        self._read: dict[ObjectKey, tuple[Manifest, Kustomization | None]] = {}

    def all(self) -> dict[ObjectKey, Kustomization]:
        """Every one that can be read."""
        if not self.is_watching:
            return {}
        found = {key: self.typed(key, manifest) for key, manifest in self._watch.items()}
        return {key: kustomization for key, kustomization in found.items() if kustomization is not None}

    def typed(self, key: ObjectKey, manifest: Manifest) -> Kustomization | None:
        """One as it is in this manifest, read once for each state of it; None when it cannot be read. What objects its
        status names is in the manifest only."""
        known = self._read.get(key)
        if known is not None and known[0] is manifest:
            return known[1]
        try:
            kustomization = _without_inventory(Kustomization.parse(manifest))
        except FieldErrors:
            kustomization = None  # its own pass says so
        self._read[key] = manifest, kustomization
        return kustomization

    def named(self, name: str) -> Kustomization | None:
        """The one of a ``namespace/name``."""
        key = kustomization_of(name)
        manifest = self._watch.get(key) if self.is_watching else None
        return self.typed(key, manifest) if manifest is not None else None

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._read.pop(key, None)


def _without_inventory(kustomization: Kustomization) -> Kustomization:
    """Half of what one takes in memory, and nobody asks for it here."""
    status = kustomization.status.model_copy(update={"inventory": None})
    return kustomization.model_copy(update={"status": status})
