"""Reads a HelmRelease's status: how often what has failed, which revisions there were, what was requested.

Pure. Fields are helm-controller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from gitsync.api.conditions import find_condition
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
from gitsync.api.status import Condition, HelmReleaseStatus, Snapshot
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.status.history import DIGEST_VERSION
from gitsync.release.storage.record import Digests


class AttemptFields(TypedDict):
    """The fields of a HelmRelease's status about what was attempted last."""

    last_attempted_generation: int
    last_attempted_revision: str
    last_attempted_revision_digest: str
    last_attempted_config_digest: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The status' ``lastAttempted...`` fields: failures are counted as long as none of these changes. ``revision`` is
    the chart's version."""

    generation: int
    revision: str
    digests: Digests

    @property
    def fields(self) -> AttemptFields:
        """As a status has it."""
        return {
            "last_attempted_generation": self.generation,
            "last_attempted_revision": self.revision,
            "last_attempted_revision_digest": self.digests.artifact,
            "last_attempted_config_digest": self.digests.values,
        }


class ObservedStatus:
    """The status of one HelmRelease, as ``manifest`` has it."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._metadata = manifest["metadata"]
        self._generation: int = self._metadata.get("generation", 0)

    @cached_property
    def old(self) -> HelmReleaseStatus:
        """The status itself."""
        return HelmReleaseStatus.read(self._manifest.get("status"))

    def failures(self, action: CountedAction, attempt: Attempt) -> int:
        """How often ``action`` has failed for exactly this attempt; 0 when anything changed since."""
        if self.reset_requested or not self.attempted(attempt):
            return 0
        return self.old.install_failures if action == "install" else self.old.upgrade_failures

    def attempted(self, attempt: Attempt) -> bool:
        """Whether this is what was attempted last."""
        return all(getattr(self.old, name) == value for name, value in attempt.fields.items())

    @property
    def reset_requested(self) -> bool:
        """Whether somebody has requested (resetAt) that failures be forgotten, and that has yet to be done."""
        return self._requested(RESET_AT_ANNOTATION, self.old.last_handled_reset_at)

    @property
    def force_requested(self) -> bool:
        """Whether somebody has requested (forceAt) one more install or upgrade, and that has yet to be done."""
        return self._requested(FORCE_AT_ANNOTATION, self.old.last_handled_force_at)

    def _requested(self, annotation: str, handled: str) -> bool:
        annotations = self._metadata.get("annotations") or {}
        token = annotations.get(annotation)
        return bool(token) and token == annotations.get(REQUESTED_AT_ANNOTATION) and token != handled

    @property
    def last_ref(self) -> ReleaseRef | None:
        """The release as it was last deployed; None before that."""
        if (newest := self._newest) is None:
            return None
        return ReleaseRef(newest.name, newest.namespace, self.old.storage_namespace or newest.namespace)

    def remediation_failed(self, reason: str) -> bool:
        """Whether the last remediation has failed, with this reason: RollbackFailed or UninstallFailed."""
        remediated = self.condition(REMEDIATED)
        return remediated is not None and remediated.status == FALSE and remediated.reason == reason

    def digest_of(self, revision: int) -> str:
        """The digest of a revision as it was when it was written (see ``checksum``); "" when that is not known."""
        ours = (item for item in self.old.history if item.api_version == DIGEST_VERSION)
        return next((item.digest for item in ours if item.version == revision), "")

    def knows(self, revision: int) -> bool:
        """Whether a revision is in the history: of gitsync, or of Flux, whose digests are other ones."""
        return any(item.version == revision for item in self.old.history)

    @property
    def is_stalled(self) -> bool:
        """Whether it is Stalled at the present generation."""
        stalled = self.condition(STALLED)
        is_current = self.old.observed_generation == self._generation
        return is_current and stalled is not None and stalled.status == TRUE

    @property
    def is_retrying(self) -> bool:
        """Whether the status says that the environment was at fault the last time."""
        reconciling = self.condition(RECONCILING)
        return reconciling is not None and reconciling.reason == PROGRESSING_WITH_RETRY

    @property
    def is_deployed(self) -> bool:
        """Whether, by the status, the newest revision is deployed."""
        return self._newest is not None and self._newest.status == "deployed"

    @property
    def is_uninstalled(self) -> bool:
        """Whether, by the status, this agent has uninstalled the newest revision."""
        return self._newest is not None and self._newest.status == "uninstalled"

    @property
    def was_deployed(self) -> bool:
        """Whether one of the revisions in the status was deployed."""
        return any(item.status in ("deployed", "superseded") for item in self.old.history)

    @property
    def was_attempted(self) -> bool:
        """Whether an install or upgrade was ever begun."""
        return self.old.last_attempted_generation > 0

    @property
    def last_revision(self) -> int:
        """The newest revision that the status knows of; 0 when it knows none."""
        return 0 if self._newest is None else self._newest.version

    @property
    def last_chart(self) -> str:
        """Name of the chart of the newest revision; "" before that."""
        return "" if self._newest is None else self._newest.chart_name

    @property
    def last_action(self) -> CountedAction:
        """The action attempted last."""
        return self.old.last_attempted_release_action or "install"

    def condition(self, kind: str) -> Condition | None:
        """One of the conditions, None when it is not there."""
        return find_condition(self.old.conditions, kind)

    @property
    def _newest(self) -> Snapshot | None:
        return self.old.history[0] if self.old.history else None
