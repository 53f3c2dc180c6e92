"""Conditions of a status, typed and as JSON: pure helpers, by the rules of Kubernetes' ``meta.SetStatusCondition``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitsync.api.names import PROGRESSING_WITH_RETRY, READY, RECONCILING, TRUE
from gitsync.api.status import Condition, ConditionStatus
from gitsync.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gitsync.api.identity import Manifest

#: Type, status, reason and message of a condition.
Said = tuple[str, ConditionStatus, str, str]
#: A condition of any object, as JSON.
RawCondition = dict[str, Any]

_MAX_MESSAGE = 32768  # what the API takes


def get_condition(conditions: Iterable[RawCondition] | None, kind: str) -> RawCondition | None:
    """The condition of this type, or None."""
    return next((condition for condition in conditions or () if condition.get("type") == kind), None)


def condition_of(manifest: Manifest | None, kind: str) -> RawCondition:
    """The condition of this type in an object's status; empty when there is none."""
    return get_condition(((manifest or {}).get("status") or {}).get("conditions"), kind) or {}


def ready_of(manifest: Manifest | None) -> RawCondition:
    """The condition Ready of an object; empty when there is none."""
    return condition_of(manifest, READY)


def find_condition(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((condition for condition in conditions if condition.type == kind), None)


def set_condition(
    conditions: Sequence[Condition],
    kind: str,
    status: ConditionStatus,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions, that of type ``kind`` saying this.

    lastTransitionTime becomes ``now`` only when the status changes. When nothing changes, the answer equals the input,
    so that a caller can leave out the write. A message longer than the API takes is cut.
    """
    message = shorten(message, _MAX_MESSAGE)
    old = find_condition(conditions, kind)
    since = rfc3339(now) if old is None or old.status != status else old.last_transition_time or rfc3339(now)
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    new = Condition.model_validate({**said, "observedGeneration": generation, "lastTransitionTime": since})
    if old is None:
        return (*conditions, new)
    return tuple(new if condition is old else condition for condition in conditions)


def remove_condition(conditions: Iterable[Condition], *kinds: str) -> tuple[Condition, ...]:
    """The conditions without those of these types."""
    return tuple(condition for condition in conditions if condition.type not in kinds)


def is_ready(manifest: Manifest) -> bool:
    """Whether Ready is True and was said of the object's present generation (Flux's test of a dependency)."""
    status = manifest.get("status") or {}
    if status.get("observedGeneration") != manifest.get("metadata", {}).get("generation"):
        return False
    return bool(ready_of(manifest).get("status") == TRUE)


def has_tried(manifest: Manifest) -> bool:
    """Whether an object that is not ready has failed at something itself, and tries again, rather than waits."""
    return bool(condition_of(manifest, RECONCILING).get("reason") == PROGRESSING_WITH_RETRY)


def held_for(condition: Condition, now: datetime) -> float | None:
    """Seconds since a condition has had its status; None when it does not say."""
    try:
        since = datetime.fromisoformat(condition.last_transition_time).astimezone(UTC)
    except (ValueError, OverflowError):  # the first and last days of all years have no time in UTC
        return None
    return max((now - since).total_seconds(), 0.0)


def rfc3339(moment: datetime) -> str:
    """As Kubernetes writes times: UTC, whole seconds. ``moment`` must know its time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
