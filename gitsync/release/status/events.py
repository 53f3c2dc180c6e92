"""The Kubernetes Events for a change of a HelmRelease's status. Pure.

Reasons and words are those of the conditions, so that ``kubectl describe`` and ``kubectl get events`` say the same.
"""

from __future__ import annotations

from typing import Literal

from gitsync.api.conditions import find_condition
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
from gitsync.api.status import Condition, HelmReleaseStatus
from gitsync.runtime.event import Event
from gitsync.text import shorten

#: Seconds that a release must be held up before there is an Event of it: mostly it goes on at once, and then only the
#: result is worth one.
HINDRANCE_DELAY = 5.0
_LONGEST_CAUSE = 200
_PASSING = frozenset({DEPENDENCY_NOT_READY, SOURCE_NOT_READY, RECONCILIATION_FAILED})


def news(old: HelmReleaseStatus, new: HelmReleaseStatus) -> list[Event]:
    """The Events for what has happened between two statuses: a revision was deployed or tested, an attempt has failed,
    something new holds the release up."""
    found = []
    for kind in (REMEDIATED, RELEASED, TEST_SUCCESS):
        said = find_condition(new.conditions, kind)
        if said and _differs(said, find_condition(old.conditions, kind)):
            found.append(Event("Normal" if said.status == TRUE else "Warning", said.reason, said.message))
            if kind == REMEDIATED:
                return found
    if new.failures > old.failures:
        return [_failure(new)]
    ready = find_condition(new.conditions, READY)
    if ready and ready.status == FALSE and _is_new_hindrance(ready, find_condition(old.conditions, READY)):
        hindrance = _hindrance(ready)
        return found if any(item.message == hindrance.message for item in found) else [*found, hindrance]
    return found


def uninstalled(status: HelmReleaseStatus) -> str:
    """What was uninstalled, as the status remembers it; "" when nothing was ever deployed."""
    name = named(status)
    return f"Helm uninstall succeeded for release {name}" if name else ""


def named(status: HelmReleaseStatus) -> str:
    """``default/redis.v3 with chart redis@17.3.14``: the newest revision that the status knows of; "" for none."""
    if not status.history:
        return ""
    last = status.history[0]
    return f"{last.namespace}/{last.name}.v{last.version} with chart {last.chart_name}@{last.chart_version}"


def cause_of(commit: CommitInfo | None) -> str:
    """The commit in words: ``commit 3f2a91c by Ann: redis: persistence off``; "" when no commit is behind it."""
    return shorten(f"commit {commit.short} by {commit.author}: {commit.subject}", _LONGEST_CAUSE) if commit else ""


def _failure(new: HelmReleaseStatus) -> Event:
    """The Event of a failed attempt. The same failure again has the same words: only Ready counts the attempts."""
    said = ready = find_condition(new.conditions, READY)
    assert ready is not None
    if find_condition(new.conditions, STALLED) is None:
        causes = (find_condition(new.conditions, kind) for kind in (TEST_SUCCESS, RELEASED))
        said = next((item for item in causes if item and item.reason == ready.reason), ready)
    assert said is not None
    return Event("Warning", ready.reason, said.message)


def _hindrance(ready: Condition) -> Event:
    reason = ready.reason
    kind: Literal["Normal", "Warning"] = "Normal" if reason == DEPENDENCY_NOT_READY else "Warning"
    return Event(kind, reason, ready.message, HINDRANCE_DELAY if reason in _PASSING else 0.0)


def _is_new_hindrance(ready: Condition, before: Condition | None) -> bool:
    """Another reason, or other words; but one dependency less to wait for is no news."""
    if before is None or before.status != FALSE or before.reason != ready.reason:
        return True
    return bool(ready.reason != DEPENDENCY_NOT_READY and before.message != ready.message)


def _differs(said: Condition, before: Condition | None) -> bool:
    return before is None or any(
        getattr(said, name) != getattr(before, name) for name in ("status", "reason", "message")
    )
