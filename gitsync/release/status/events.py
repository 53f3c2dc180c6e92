"""What a change of a HelmRelease's status tells people as Kubernetes Events. Pure.

Reasons and words are those of the conditions, so that ``kubectl describe`` and ``kubectl get events`` say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gitsync.api.conditions import Condition, get_condition
from gitsync.api.identity import CommitInfo
from gitsync.api.names import (
    DEPENDENCY_NOT_READY,
    FALSE,
    READY,
    RECONCILIATION_FAILED,
    RELEASED,
    REMEDIATED,
    SOURCE_NOT_READY,
    STALLED,
    TEST_SUCCESS,
    TRUE,
)
from gitsync.runtime.events import Event

#: Seconds that a release must be held up before that is worth an Event: mostly it goes on at once, and then what came
#: of it is all that anybody wants to read.
HINDRANCE_DELAY = 5.0
_PASSING = frozenset({DEPENDENCY_NOT_READY, SOURCE_NOT_READY, RECONCILIATION_FAILED})


def news(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Event]:
    """What has happened between two statuses: a revision was deployed or tested, an attempt failed, a new hindrance."""
    found = []
    for kind in (REMEDIATED, RELEASED, TEST_SUCCESS):
        said = _condition(new, kind)
        if said and _differs(said, _condition(old, kind)):
            found.append(Event("Normal" if said["status"] == TRUE else "Warning", said["reason"], said["message"]))
            if kind == REMEDIATED:
                return found
    if new.get("failures", 0) > old.get("failures", 0):
        return [_failure(new)]
    ready = _condition(new, READY)
    if ready and ready["status"] == FALSE and _is_new_hindrance(ready, _condition(old, READY)):
        hindrance = _hindrance(ready)
        return found if any(item.message == hindrance.message for item in found) else [*found, hindrance]
    return found


def uninstalled(status: Mapping[str, Any]) -> str:
    """What was uninstalled, as the status remembers it; "" when nothing was ever deployed."""
    name = named(status)
    return f"Helm uninstall succeeded for release {name}" if name else ""


def named(status: Mapping[str, Any]) -> str:
    """``default/redis.v3 with chart redis@17.3.14``: the newest revision that the status knows of; "" for none."""
    history = status.get("history") or ()
    if not history:
        return ""
    last = history[0]
    return (
        f"{last['namespace']}/{last['name']}.v{last['version']} with chart {last['chartName']}@{last['chartVersion']}"
    )


def cause_of(commit: CommitInfo | None) -> str:
    """The commit in words: ``commit 3f2a91c by Ann: redis: persistence off``; "" when no commit is behind it."""
    return f"commit {commit.short} by {commit.author}: {commit.subject}"[:200] if commit else ""


def _failure(new: Mapping[str, Any]) -> Event:
    """An attempt that failed. The same failure again has the same words, for Ready alone counts the attempts."""
    said = ready = _condition(new, READY)
    assert ready is not None
    if _condition(new, STALLED) is None:
        causes = (_condition(new, kind) for kind in (TEST_SUCCESS, RELEASED))
        said = next((item for item in causes if item and item["reason"] == ready["reason"]), ready)
    assert said is not None
    return Event("Warning", ready["reason"], said["message"])


def _hindrance(ready: Condition) -> Event:
    reason = ready["reason"]
    kind: Literal["Normal", "Warning"] = "Normal" if reason == DEPENDENCY_NOT_READY else "Warning"
    return Event(kind, reason, ready["message"], HINDRANCE_DELAY if reason in _PASSING else 0.0)


def _is_new_hindrance(ready: Condition, before: Condition | None) -> bool:
    """Another reason, or other words; but one dependency less to wait for is no news."""
    if before is None or before["status"] != FALSE or before["reason"] != ready["reason"]:
        return True
    return bool(ready["reason"] != DEPENDENCY_NOT_READY and before["message"] != ready["message"])


def _differs(said: Condition, before: Condition | None) -> bool:
    return before is None or any(said[name] != before.get(name) for name in ("status", "reason", "message"))


def _condition(status: Mapping[str, Any], kind: str) -> Condition | None:
    return get_condition(status.get("conditions"), kind)
