"""PersistentVolumeClaim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import text
from gitsync.health.pods import waiting
from gitsync.health.verdict import READY, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def persistent_volume_claim(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Bound is ready, all else progressing (kstatus, Helm): of a Lost claim, too, the volume may come back.

    A claim whose storage class binds on first use (WaitForFirstConsumer) stays Pending until a pod mounts it. The claim
    does not say which class that is, so one that nothing mounts is waited for, just as Helm does; the message gives the
    hint.
    """
    phase = text(manifest, "status", "phase")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return waiting("ClaimLost", f"the volume {text(manifest, 'spec', 'volumeName')} is lost", pods)
    hint = "" if pods else " (a storage class with WaitForFirstConsumer binds once a pod mounts it)"
    return waiting("ClaimNotBound", f"not bound, phase {phase or 'unknown'}{hint}", pods)
