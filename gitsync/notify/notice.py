"""One event about one object, of which services may be notified. Plain data, in the shape of Flux's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from gitsync.api.conditions import rfc3339
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.names import DEPENDENCY_NOT_READY, HELM_RELEASE, KUSTOMIZATION, PROGRESSING
from gitsync.runtime.event import Event
from gitsync.text import printable, shorten

Severity = Literal["info", "error"]
#: How a commit stands by what an object says.
State = Literal["pending", "success", "failure"]
CONTROLLER: Final = "gitsync"
#: Characters of a message that are passed on; what matches expressions is that long at most.
MOST_CHARACTERS = 16_000
_MOST_WORDS = 300
#: Reasons of events about work that is under way.
_PENDING = frozenset({PROGRESSING, DEPENDENCY_NOT_READY})


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. ``revision`` is what it is about, as Flux writes it ("" for none), ``commit`` the one behind it;
    ``metadata`` is what an Alert adds, and ``summary`` its words. A ``quiet`` one only says how a commit stands."""

    key: ObjectKey
    api_version: str
    uid: str
    severity: Severity
    reason: str
    message: str
    at: datetime
    revision: str = ""
    commit: CommitInfo | None = None
    quiet: bool = False
    instance: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)
    summary: str = ""

    @property
    def about(self) -> str:
        """The object for people: ``helmrelease/apps/redis``."""
        return f"{self.key.kind.lower()}/{self.key.namespaced_name}"

    @property
    def state(self) -> State:
        """The state of the commit by this event."""
        if self.severity == "error":
            return "failure"
        return "pending" if self.reason in _PENDING else "success"

    def facts(self) -> dict[str, str]:
        """What an Alert adds, and the revision, the commit, its author and its subject, as far as they are known. What
        the event says itself counts, as with Flux."""
        found = {name: _line(value) for name, value in self.metadata.items()}
        if self.summary:
            found["summary"] = self.summary
        if self.revision:
            found["revision"] = self.revision
        if self.commit is not None and self.commit.id:
            found["commit"] = self.commit.id
            found |= {"author": self.commit.author} if self.commit.author else {}
            found |= {"subject": self.commit.subject} if self.commit.subject else {}
        return found

    def as_json(self) -> dict[str, Any]:
        """The event as Flux's notification-controller takes and sends it; metadata of the object's own controller has
        its API group before it."""
        facts = self.facts()
        if self.revision:
            facts[f"{self.key.group}/revision"] = facts.pop("revision")
        return {
            "involvedObject": {
                "apiVersion": self.api_version,
                "kind": self.key.kind,
                "name": self.key.name,
                "namespace": self.key.namespace,
                "uid": self.uid,
            },
            "severity": self.severity,
            "timestamp": rfc3339(self.at),
            "message": self.message,
            "reason": self.reason,
            "metadata": facts,
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance,
        }


def notice_of(about: Manifest, event: Event, instance: str) -> Notice:
    """The Notice of ``event`` about an object; its texts within bounds, and without control characters."""
    metadata = about["metadata"]
    return Notice(
        key=ObjectKey.of(about),
        api_version=about["apiVersion"],
        uid=metadata.get("uid", ""),
        severity="info" if event.kind == "Normal" else "error",
        reason=event.reason,
        message=clean(event.message),
        at=datetime.now(UTC),
        revision=_line(event.revision or _attempted(about)),
        commit=_cleaned(event.commit),
        quiet=event.quiet,
        instance=instance,
        labels=metadata.get("labels") or {},
    )


def clean(text: str) -> str:
    """A text of several lines that steers nothing, within bounds."""
    lines = shorten(text, MOST_CHARACTERS).splitlines()
    return "\n".join(printable(line.replace("\t", " ")) for line in lines).strip()


def _attempted(about: Manifest) -> str:
    """The revision that a HelmRelease or Kustomization last attempted."""
    if about["kind"] not in (HELM_RELEASE, KUSTOMIZATION):
        return ""
    return str((about.get("status") or {}).get("lastAttemptedRevision") or "")


def _cleaned(commit: CommitInfo | None) -> CommitInfo | None:
    if commit is None:
        return None
    return replace(commit, id=_line(commit.id), author=_line(commit.author), subject=_line(commit.subject))


def _line(text: str) -> str:
    return printable(shorten(str(text), _MOST_WORDS))
