"""Any other kind, by the conventions of status conditions; Flux's kinds, which keep them strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api.names import READY as READY_CONDITION
from gitsync.api.names import RECONCILING, STALLED
from gitsync.health.fields import condition, number, says, section, text, unobserved
from gitsync.health.model import READY, Health, failed, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def generic(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """kstatus' rules: observedGeneration where it is kept, Stalled (failed), Reconciling (progressing), then Ready.
    Where there is no Ready condition Available is taken for it. An object that says nothing is ready, as nobody knows
    whether anybody will ever write a status to it.

    Beyond kstatus, a Ready condition of an older generation (the condition's own observedGeneration, as the Gateway API
    keeps it) is progressing.
    """
    unseen = unobserved(manifest, strict=False)
    if unseen:
        return unseen
    stalled = condition(manifest, STALLED)
    if text(stalled, "status") == "True":
        return failed(text(stalled, "reason") or STALLED, says(stalled) or "stalled")
    reconciling = condition(manifest, RECONCILING)
    ready = condition(manifest, READY_CONDITION) or condition(manifest, "Available")
    if text(reconciling, "status") == "True":
        # What Ready says meanwhile is often the more telling of the two: the failure that is being retried.
        speaking = ready if text(ready, "status") == "False" and text(ready, "message") else reconciling
        return progressing(text(speaking, "reason") or RECONCILING, says(speaking) or "reconciling")
    if not ready:
        return READY
    if text(ready, "status") != "True":
        return progressing(text(ready, "reason") or "NotReady", says(ready) or "not ready")
    generation = number(manifest, "metadata", "generation")
    if number(ready, "observedGeneration", default=generation) < generation:
        return progressing("GenerationNotObserved", f"was ready before generation {generation}, which is not seen yet")
    return READY


def flux(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """A HelmRelease or source: as ``generic``, but one that nobody has reconciled yet is progressing, not ready.

    A HelmRepository of type oci may stay without a status for ever (Flux keeps it as mere configuration) and is then
    ready.
    """
    unseen = unobserved(manifest, strict=True)
    if text(manifest, "spec", "type") == "oci" and not condition(manifest, READY_CONDITION):
        return READY
    if section(manifest, "spec").get("suspend") is True and (unseen or not condition(manifest, READY_CONDITION)):
        return progressing("Suspended", "suspended before this generation was reconciled")
    if unseen:
        return unseen
    health = generic(manifest)
    if health.status == "ready" and not condition(manifest, READY_CONDITION):
        return progressing("NotReconciled", "not reconciled yet")
    return health
