"""DaemonSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import number, section, text
from gitsync.health.generic import not_observed
from gitsync.health.pods import waiting
from gitsync.health.verdict import READY, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def daemon_set(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """kstatus' rules: its controller has seen it, and a pod of the present template is on every node that shall have
    one, available and ready.

    With updateStrategy OnDelete the pods may be of an older template (kstatus would wait for a person to delete them).
    """
    status = section(manifest, "status")
    seen = "observedGeneration" in status and "desiredNumberScheduled" in status
    if not seen or "generation" not in section(manifest, "metadata"):
        return not_observed(manifest)
    want = number(manifest, "status", "desiredNumberScheduled")
    scheduled = number(manifest, "status", "currentNumberScheduled")
    updated = number(manifest, "status", "updatedNumberScheduled")
    # numberUnavailable is what is missing from numberAvailable; older controllers leave out the latter at zero.
    good = min(number(manifest, "status", "numberAvailable"), number(manifest, "status", "numberReady"))
    if scheduled < want:
        return waiting("PodsNotScheduled", f"pods on {scheduled} of {want} nodes", pods)
    on_delete = text(manifest, "spec", "updateStrategy", "type") == "OnDelete"
    if updated < want and not on_delete:
        return waiting("PodsNotUpdated", f"{updated} of {want} pods updated", pods)
    if good < want:
        return waiting("PodsNotAvailable", f"{good} of {want} pods available", pods)
    return READY
