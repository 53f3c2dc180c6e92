"""How many releases and Kustomizations are ready, wait, and have failed, for the status line. Pure.

They are counted as they change, so that asking often costs nothing. Whether a wait is in vain is not asked here: that
is what ``outcome`` is for.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from gitsync.api.conditions import has_tried, is_ready, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import ARTIFACT_FAILED, DEPENDENCY_MISSING, DEPENDENCY_NOT_READY, FALSE
from gitsync.release.dependencies.states import is_current
from gitsync.sync.outcome import is_stalled

Standing = Literal["ready", "waiting", "failed"]
#: Reasons for which a Kustomization is not ready, but has not failed.
_WAITS = (ARTIFACT_FAILED, DEPENDENCY_MISSING, DEPENDENCY_NOT_READY)


class Tally:
    """The counts of all objects that were ``set``."""

    def __init__(self) -> None:
        self._standings: dict[ObjectKey, Standing] = {}
        self._counts: Counter[Standing] = Counter()

    def set(self, key: ObjectKey, standing: Standing | None) -> None:
        """Note how an object stands now; None when it is gone or suspended, and does not count."""
        before = self._standings.pop(key, None)
        if before is not None:
            self._counts[before] -= 1
        if standing is not None:
            self._standings[key] = standing
            self._counts[standing] += 1

    def __str__(self) -> str:
        return ", ".join(f"{self._counts[standing]} {standing}" for standing in ("ready", "waiting", "failed"))


def standing_of_release(manifest: Manifest | None, *, at_work: bool) -> Standing | None:
    """How a HelmRelease stands. ``at_work``: the agent is acting on it, so that its status is about to change."""
    if manifest is None or _is_suspended(manifest):
        return None
    if is_current(manifest):
        return "ready"
    return "failed" if is_stalled(manifest) and not at_work else "waiting"


def standing_of_kustomization(manifest: Manifest | None) -> Standing | None:
    """How a Kustomization stands."""
    if manifest is None or _is_suspended(manifest):
        return None
    if is_ready(manifest):
        return "ready"
    ready = ready_of(manifest)
    is_told = (manifest.get("status") or {}).get("observedGeneration") == manifest["metadata"].get("generation")
    waits = ready.get("reason") in _WAITS and not has_tried(manifest)
    return "failed" if is_told and ready.get("status") == FALSE and not waits else "waiting"


def _is_suspended(manifest: Manifest) -> bool:
    return bool((manifest.get("spec") or {}).get("suspend"))
