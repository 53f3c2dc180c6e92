"""What holds for objects of every kind, and all that can be asked of one whose kind has no rules of its own (kstatus,
generic.go and status.go).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitsync.api.names import READY as READY_CONDITION
from gitsync.api.names import RECONCILING, STALLED
from gitsync.health.fields import condition, first_true, number, says, section, text
from gitsync.health.namespace import what_remains
from gitsync.health.verdict import READY, Health, failed, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def unsettled(manifest: Manifest) -> Health | None:
    """What outweighs the rules of every kind; None when those are to be asked. In this order, as in kstatus: it is
    being deleted, its controller has not seen its generation, or a condition says Stalled or Reconciling.
    """
    return leaving(manifest) or unobserved(manifest) or abnormal(manifest)


def leaving(manifest: Manifest) -> Health | None:
    """An object with a deletionTimestamp is progressing, whatever else it says; with what still holds it."""
    metadata = section(manifest, "metadata")
    if not metadata.get("deletionTimestamp"):
        return None
    holding = metadata.get("finalizers")
    held = f"; finalizers: {', '.join(map(str, holding))}" if isinstance(holding, list) and holding else ""
    remains = what_remains(manifest) if text(manifest, "kind") == "Namespace" else ""
    return progressing("Terminating", f"is being deleted{held}" + (f"; {remains}" if remains else ""))


def unobserved(manifest: Manifest) -> Health | None:
    """Progressing when status.observedGeneration is another than metadata.generation; None when one of them is absent,
    for not every controller writes it.
    """
    metadata, status = section(manifest, "metadata"), section(manifest, "status")
    if "generation" not in metadata or "observedGeneration" not in status:
        return None
    return None if status["observedGeneration"] == metadata["generation"] else not_observed(manifest)


def not_observed(manifest: Manifest) -> Health:
    """Progressing: the object is newer than what its controller says of it."""
    if section(manifest, "spec").get("suspend") is True:  # Flux's kinds: nobody looks at it
        return progressing("Suspended", "suspended before this generation was reconciled")
    generation = number(manifest, "metadata", "generation")
    return progressing("GenerationNotObserved", f"generation {generation} has not been seen by its controller yet")


def abnormal(manifest: Manifest) -> Health | None:
    """The first condition that is Stalled (failed) or Reconciling (progressing); None when there is neither."""
    found = first_true(manifest, STALLED, RECONCILING)
    if text(found, "type") == STALLED:
        return failed(text(found, "reason") or STALLED, says(found) or "stalled")
    if not found:
        return None
    # What Ready says meanwhile is often the more telling of the two: the failure that is being retried.
    ready = condition(manifest, READY_CONDITION)
    speaking = ready if text(ready, "status") == "False" and text(ready, "message") else found
    return progressing(text(speaking, "reason") or RECONCILING, says(speaking) or "reconciling")


def ready_condition(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """A Ready condition decides. An object without one is ready, as nobody knows whether anybody will ever write a
    status to it.

    Beyond kstatus, a Ready condition of an older generation (the condition's own observedGeneration, which Kubernetes'
    API conventions define, and cert-manager and the Gateway API keep) is progressing.
    """
    ready = condition(manifest, READY_CONDITION)
    if _denies(ready):
        return progressing(text(ready, "reason") or "NotReady", says(ready) or "not ready")
    generation = number(manifest, "metadata", "generation")
    if text(ready, "status") == "True" and number(ready, "observedGeneration", default=generation) < generation:
        return progressing("GenerationNotObserved", f"was ready before generation {generation}, which is not seen yet")
    return READY


def _denies(ready: dict[str, Any]) -> bool:
    """Whether a Ready condition says that the object is not ready; one without a status says nothing."""
    status = ready.get("status", "")
    return status in ("False", "Unknown") or not isinstance(status, str)
