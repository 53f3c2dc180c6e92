"""Conditions of a status: pure helpers on the raw list, by the rules of Kubernetes' ``meta.SetStatusCondition``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitsync.api.names import READY, TRUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gitsync.api.identity import Manifest

#: {type, status, reason, message, observedGeneration, lastTransitionTime}, as JSON.
Condition = dict[str, Any]

_MAX_MESSAGE = 32768  # what the API takes
_CUT = " ... (cut)"


def get_condition(conditions: Iterable[Condition] | None, kind: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((condition for condition in conditions or () if condition.get("type") == kind), None)


def set_condition(
    conditions: Sequence[Condition] | None,
    kind: str,
    status: str,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """A new list in which the condition of type ``kind`` says this; the given list and its members stay as they are.

    ``status`` is "True", "False" or "Unknown". lastTransitionTime becomes ``now`` only when the status changes. When
    nothing changes, the answer equals the input, so that a caller can leave out the write. A message longer than the
    API takes is cut.
    """
    if len(message) > _MAX_MESSAGE:
        message = message[: _MAX_MESSAGE - len(_CUT)] + _CUT
    old = get_condition(conditions, kind)
    moved = old is None or old.get("status") != status
    new: Condition = {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": rfc3339(now) if moved or old is None else old.get("lastTransitionTime") or rfc3339(now),
        "reason": reason,
        "message": message,
    }
    if old is None:
        return [*(conditions or ()), new]
    return [new if condition is old else condition for condition in conditions or ()]


def remove_condition(conditions: Iterable[Condition] | None, *kinds: str) -> list[Condition]:
    """The list without the conditions of these types."""
    return [condition for condition in conditions or () if condition.get("type") not in kinds]


def is_ready(manifest: Manifest) -> bool:
    """Whether Ready is True and was said of the object's present generation (Flux's test of a dependency)."""
    status = manifest.get("status") or {}
    if status.get("observedGeneration") != manifest.get("metadata", {}).get("generation"):
        return False
    ready = get_condition(status.get("conditions"), READY)
    return ready is not None and ready.get("status") == TRUE


def rfc3339(moment: datetime) -> str:
    """As Kubernetes writes times: UTC, whole seconds. ``moment`` must know its time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
