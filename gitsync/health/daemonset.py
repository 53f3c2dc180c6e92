"""DaemonSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import number, text, unobserved
from gitsync.health.model import READY, Health
from gitsync.health.pods import waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def daemon_set(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """A pod of the present template on every node that shall have one, available and ready (kstatus; Helm's watcher).

    With updateStrategy OnDelete it is ready as soon as its generation was seen (Helm 3; kstatus would wait for a person
    to delete the pods).
    """
    unseen = unobserved(manifest, strict=True)
    if unseen:
        return unseen
    if text(manifest, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    want = number(manifest, "status", "desiredNumberScheduled")
    scheduled = number(manifest, "status", "currentNumberScheduled")
    updated = number(manifest, "status", "updatedNumberScheduled")
    # numberUnavailable is what is missing from numberAvailable; older controllers leave out the latter at zero.
    good = min(number(manifest, "status", "numberAvailable"), number(manifest, "status", "numberReady"))
    if scheduled < want:
        return waiting("PodsNotScheduled", f"pods on {scheduled} of {want} nodes", pods)
    if updated < want:
        return waiting("PodsNotUpdated", f"{updated} of {want} pods updated", pods)
    if good < want:
        return waiting("PodsNotAvailable", f"{good} of {want} pods available", pods)
    return READY
