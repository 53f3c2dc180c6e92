"""What a HelmRelease's status says, as its facts: how often what failed, which revisions were there, what was asked
for.

Pure. Fields are helm-controller's. They are read from the JSON as it is, so that a status which somebody has edited by
hand never keeps a release from being reconciled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.api.conditions import Condition, get_condition
from gitsync.api.identity import Manifest
from gitsync.api.names import (
    FALSE,
    FORCE_AT_ANNOTATION,
    PROGRESSING_WITH_RETRY,
    RECONCILING,
    REMEDIATED,
    REQUESTED_AT_ANNOTATION,
    RESET_AT_ANNOTATION,
    STALLED,
    TRUE,
)
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.status.history import DIGEST_VERSION
from gitsync.release.storage.record import Digests

StatusData = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the status' fields lastAttempted... hold: failures are counted as long as none of this changes. ``revision``
    is the chart's version."""

    generation: int
    revision: str
    digests: Digests

    @property
    def fields(self) -> StatusData:
        """As a status has it."""
        return {
            "lastAttemptedGeneration": self.generation,
            "lastAttemptedRevision": self.revision,
            "lastAttemptedRevisionDigest": self.digests.chart,
            "lastAttemptedConfigDigest": self.digests.values,
        }


class ObservedStatus:
    """The status of one HelmRelease, as ``manifest`` has it."""

    def __init__(self, manifest: Manifest) -> None:
        self._metadata = manifest["metadata"]
        self.old: StatusData = manifest.get("status") or {}
        self._generation: int = self._metadata.get("generation", 0)

    def failures(self, action: CountedAction, attempt: Attempt) -> int:
        """How often ``action`` has failed for exactly this attempt; 0 when anything changed since."""
        same = not self.reset_requested and self.attempted(attempt)
        count: int = self.old.get(f"{action}Failures", 0) if same else 0
        return count

    def attempted(self, attempt: Attempt) -> bool:
        """Whether this is what was attempted last."""
        return all(self.old.get(name) == value for name, value in attempt.fields.items())

    @property
    def reset_requested(self) -> bool:
        """Somebody asked (resetAt) that failures be forgotten, and that was not dealt with yet."""
        return self._requested(RESET_AT_ANNOTATION, "lastHandledResetAt")

    @property
    def force_requested(self) -> bool:
        """Somebody asked (forceAt) for one more install or upgrade, and that was not dealt with yet."""
        return self._requested(FORCE_AT_ANNOTATION, "lastHandledForceAt")

    def _requested(self, annotation: str, handled: str) -> bool:
        annotations = self._metadata.get("annotations") or {}
        token = annotations.get(annotation)
        return bool(token) and token == annotations.get(REQUESTED_AT_ANNOTATION) and token != self.old.get(handled)

    @property
    def last_ref(self) -> ReleaseRef | None:
        """The release as it was last deployed; None before that."""
        if not self._snapshots:
            return None
        namespace = str(self._newest.get("namespace", ""))
        storage = str(self.old.get("storageNamespace") or namespace)
        return ReleaseRef(str(self._newest.get("name", "")), namespace, storage)

    def remediation_failed(self, reason: str) -> bool:
        """The last failure could not be remediated, for this reason: RollbackFailed or UninstallFailed."""
        remediated = self.condition(REMEDIATED) or {}
        return remediated.get("status") == FALSE and remediated.get("reason") == reason

    def digest_of(self, revision: int) -> str:
        """The digest of a revision as it was when it was written (see ``checksum``); "" when that is not known."""
        ours = (item for item in self._snapshots if item.get("apiVersion") == DIGEST_VERSION)
        return str(next((item.get("digest") for item in ours if item.get("version") == revision), None) or "")

    def knows(self, revision: int) -> bool:
        """Whether a revision is in the history: of gitsync, or of Flux, whose digests are other ones."""
        return any(item.get("version") == revision for item in self._snapshots)

    @property
    def is_stalled(self) -> bool:
        """Stalled at the present generation."""
        is_current = self.old.get("observedGeneration") == self._generation
        return is_current and (self.condition(STALLED) or {}).get("status") == TRUE

    @property
    def is_retrying(self) -> bool:
        """The environment was at fault the last time, and that was said."""
        return (self.condition(RECONCILING) or {}).get("reason") == PROGRESSING_WITH_RETRY

    @property
    def is_deployed(self) -> bool:
        """The newest revision that the status knows of is in the cluster, as far as we had to do with it."""
        return bool(self._newest.get("status") == "deployed")

    @property
    def is_uninstalled(self) -> bool:
        """The newest revision that the status knows of was taken out of the cluster again, by us."""
        return bool(self._newest.get("status") == "uninstalled")

    @property
    def was_deployed(self) -> bool:
        """Of the revisions that the status knows of, one was deployed."""
        return any(item.get("status") in ("deployed", "superseded") for item in self._snapshots)

    @property
    def was_attempted(self) -> bool:
        """An install or upgrade was begun at some time."""
        return "lastAttemptedGeneration" in self.old

    @property
    def last_revision(self) -> int:
        """The newest revision that the status knows of; 0 when it knows none."""
        return int(self._newest.get("version", 0))

    @property
    def last_chart(self) -> str:
        """Name of the chart of the newest revision; "" before that."""
        return str(self._newest.get("chartName", ""))

    @property
    def last_action(self) -> CountedAction:
        """The action attempted last."""
        return "upgrade" if self.old.get("lastAttemptedReleaseAction") == "upgrade" else "install"

    def condition(self, kind: str) -> Condition | None:
        """One of the conditions, None when it is not there."""
        return get_condition(self.conditions, kind)

    @property
    def conditions(self) -> Sequence[Condition]:
        """All conditions."""
        found: Sequence[Condition] = self.old.get("conditions") or ()
        return found

    @property
    def _snapshots(self) -> Sequence[dict[str, Any]]:
        found: Sequence[dict[str, Any]] = self.old.get("history") or ()
        return found

    @property
    def _newest(self) -> dict[str, Any]:
        return self._snapshots[0] if self._snapshots else {}
