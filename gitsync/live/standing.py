"""The status of an object of our own kinds: ready, waiting, failed or suspended, and its message. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gitsync.api import names
from gitsync.api.conditions import condition_of, has_tried, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.health import assess
from gitsync.health.helmrepository import MERE_CONFIGURATION, is_mere_configuration
from gitsync.release.dependencies.states import is_current

Status = Literal["ready", "waiting", "failed", "suspended"]

#: Reasons of Ready that may end by themselves, when another object changes or work is done. All others need a change by
#: hand.
_PASSING = frozenset(
    {
        "",
        names.DEPENDENCY_NOT_READY,
        names.DEPENDENCY_MISSING,
        names.KIND_NOT_SERVED,
        names.NO_ARTIFACT,
        names.OWNED_BY_ANOTHER,
        names.PROGRESSING,
        names.PROGRESSING_WITH_RETRY,
        names.SOURCE_NOT_READY,
        names.SUSPENDED,
        "GenerationNotObserved",
        "Terminating",
    }
)


@dataclass(frozen=True, slots=True)
class Standing:
    """``since`` is RFC 3339, "" when nobody says; ``is_acting`` is whether the agent is at work on it."""

    status: Status
    reason: str = ""
    message: str = ""
    since: str = ""
    is_acting: bool = False


def standing(manifest: Manifest) -> Standing:
    """How an object stands. Ready is what is ready at its present generation and, of a HelmRelease, at its commit."""
    ready, health = ready_of(manifest), assess(manifest)
    since = text_of(ready, "lastTransitionTime")
    reason, message = text_of(ready, "reason"), text_of(ready, "message")
    acting = condition_of(manifest, names.RECONCILING).get("status") == names.TRUE and (
        ready.get("status") != names.FALSE or reason not in _PASSING | {names.DEPENDENCY_CYCLE}
    )
    if not is_release(ObjectKey.of(manifest)):
        acting = acting and not has_tried(manifest)
    if (manifest.get("spec") or {}).get("suspend") is True:
        return Standing("suspended", names.SUSPENDED, message, since)
    if is_mere_configuration(manifest) and health.status == "ready":
        return Standing("ready", "", MERE_CONFIGURATION)
    if not ready:
        return Standing(
            "waiting", "", "waiting to be reconciled", str(manifest["metadata"].get("creationTimestamp", ""))
        )
    if health.status == "ready" and (not is_release(ObjectKey.of(manifest)) or is_current(manifest)):
        return Standing("ready", reason, message, since)
    if health.status == "failed" or (ready.get("status") == names.FALSE and reason not in _PASSING):
        return Standing("failed", reason, message, since, acting)
    if ready.get("status") == names.TRUE:
        return Standing(
            "waiting", health.reason, health.message or "a new commit or generation is to be taken up", since, True
        )
    return Standing("waiting", reason or health.reason, message or health.message, since, acting)


def text_of(found: Mapping[str, Any], name: str) -> str:
    """A field that may hold anything, as text: "" of what is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""
