"""A HelmRelease's next status: what each event of a reconciliation makes of the present one. Pure.

Conditions, reasons and fields are helm-controller's, so that ``kubectl wait``, kstatus and Flux's own tools read it.
Every method returns a new status; one that equals the old is not written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from gitsync.api.conditions import Said, remove_condition, set_condition
from gitsync.api.identity import Manifest
from gitsync.api.impliedchart import implied_key
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    DRIFT_DETECTED,
    DRIFTED,
    FALSE,
    PROGRESSING,
    PROGRESSING_WITH_RETRY,
    READY,
    RECONCILING,
    RELEASED,
    REMEDIATED,
    REQUESTED_AT_ANNOTATION,
    RETRIES_EXCEEDED,
    STALLED,
    SUSPENDED,
    TEST_FAILED,
    TEST_SUCCEEDED,
    TEST_SUCCESS,
    TRUE,
    UNKNOWN,
)
from gitsync.api.status import ConditionStatus, HelmReleaseStatus, ResourceInventory, Snapshot
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.status.history import begun, history, with_status
from gitsync.release.status.observed import Attempt, ObservedStatus

_NO_FAILURES = {"failures": 0, "install_failures": 0, "upgrade_failures": 0}


class RevisionFields(TypedDict, total=False):
    """The fields of a status about a release and its revisions; those that are not there stay as they are."""

    storage_namespace: str
    history: tuple[Snapshot, ...]
    inventory: ResourceInventory | None


@dataclass(frozen=True, slots=True)
class DeployedRevision:
    """A revision that was deployed, for the status. ``message`` says it in Flux's words, ``storage`` is the namespace
    of its record, ``action`` what brought it about.
    """

    message: str
    snapshot: Snapshot
    storage: str
    attempt: Attempt
    action: CountedAction


class StatusBuilder(ObservedStatus):
    """Builds the statuses of one HelmRelease. ``manifest`` is its present state, ``now`` the time of this pass."""

    def __init__(self, manifest: Manifest, now: datetime | None = None) -> None:
        super().__init__(manifest)
        self._now = now or datetime.now(UTC)

    def progressing(
        self,
        message: str,
        attempt: Attempt | None = None,
        action: CountedAction | None = None,
        begun: RevisionFields | None = None,
    ) -> HelmReleaseStatus:
        """An action is under way, or waits for something: Reconciling, Ready Unknown. ``begun`` are the fields about
        the revision that the action is about to make."""
        status = _with_fields(self._touched(), **begun or {})
        if attempt is not None and action is not None:
            status = self._attempted(status, attempt, action)
        return self._with(
            status, (RECONCILING, TRUE, PROGRESSING, message), (READY, UNKNOWN, PROGRESSING, message), drop=(STALLED,)
        )

    def blocked(self, reason: str, message: str) -> HelmReleaseStatus:
        """Held back by something else: Ready False with its reason, and Reconciling, for it will go on by itself."""
        return self._with(
            self._touched(), (RECONCILING, TRUE, PROGRESSING, message), (READY, FALSE, reason, message), drop=(STALLED,)
        )

    def retrying(self, reason: str, message: str, *outcome: Said) -> HelmReleaseStatus:
        """It will be tried again without spending a retry: the environment is at fault, or an uninstall has failed.
        ``outcome`` is a further condition that says so."""
        return self._with(
            self._touched(),
            (RECONCILING, TRUE, PROGRESSING_WITH_RETRY, message),
            (READY, FALSE, reason, message),
            *outcome,
            drop=(STALLED,),
        )

    def suspended(self) -> HelmReleaseStatus:
        """The release is suspended: it is neither Reconciling nor waiting any more. Anything else stays as it is."""
        ready = self.condition(READY)
        if ready is None or self.condition(RECONCILING) is None:
            return self.old
        message = f"suspended; before that: {ready.message}"
        return self._with(self._touched(), (READY, UNKNOWN, SUSPENDED, message), drop=(RECONCILING,))

    def remediating(self, message: str) -> HelmReleaseStatus:
        """A failure is being remediated: Reconciling, while Ready goes on saying what failed."""
        return self._with(self._touched(), (RECONCILING, TRUE, PROGRESSING, message), drop=(STALLED,))

    def remediated(
        self, before: HelmReleaseStatus, ok: bool, reason: str, message: str, past: RevisionFields
    ) -> HelmReleaseStatus:
        """A remediation has succeeded (``ok``) or failed. All else is as in ``before``, the status after the failure:
        the release is Stalled, or about to be tried again. ``past`` are the fields about the revision that the
        remediation made.
        """
        value: ConditionStatus = TRUE if ok else FALSE
        conditions = set_condition(before.conditions, REMEDIATED, value, reason, message, self._generation, self._now)
        failures = {} if ok else {"failures": before.failures + 1}
        return _with_fields(self.old, **past, **failures, conditions=conditions)

    def failed(
        self,
        action: CountedAction,
        message: str,
        attempt: Attempt,
        past: RevisionFields,
        *,
        exhausted: bool,
        tests: bool = False,
    ) -> HelmReleaseStatus:
        """An attempt failed. When no retry is left the release is Stalled, and the message says so first.

        ``past`` are the fields about the failed revision, {} when none was begun. With ``tests`` the revision was
        deployed, and its tests have failed.
        """
        reason = TEST_FAILED if tests else f"{action.capitalize()}Failed"
        outcome: Said = (TEST_SUCCESS if tests else RELEASED, FALSE, reason, message)
        failures = self.failures(action, attempt) + 1
        counted = {"failures": self.old.failures + 1, f"{action}_failures": failures}
        status = _with_fields(self._attempted(self._touched(), attempt, action), **past, **counted)
        if not exhausted:
            text = f"{message} (try {failures}, will be tried again)"
            return self._with(
                status,
                (RECONCILING, TRUE, PROGRESSING_WITH_RETRY, text),
                (READY, FALSE, reason, text),
                outcome,
                drop=(STALLED, REMEDIATED),
            )
        return self._with(
            _with_fields(status, **self._handled_requests()),
            *_exhausted(action, reason, message, failures),
            outcome,
            drop=(RECONCILING, REMEDIATED),
        )

    def stalled(self, reason: str, message: str) -> HelmReleaseStatus:
        """Only a change of HelmRelease, chart or values can help: Stalled, Ready False."""
        return self._with(
            self._handled(), (READY, FALSE, reason, message), (STALLED, TRUE, reason, message), drop=(RECONCILING,)
        )

    def still_stalled(self, action: CountedAction, attempt: Attempt) -> HelmReleaseStatus:
        """No retry is left, as the status has said since the last one failed. Said again if the status said something
        else meanwhile that is over: that a rollback was under way, or the environment at fault.
        """
        status = _with_fields(self.old, **self._handled_requests())
        if self.condition(STALLED) is not None:
            return status
        said = (self.condition(kind) for kind in (TEST_SUCCESS, RELEASED, READY))
        outcome = next((item for item in said if item is not None and item.status == FALSE), None)
        reason, message = (outcome.reason, outcome.message) if outcome else (f"{action.capitalize()}Failed", "")
        exhausted = _exhausted(action, reason, message, self.failures(action, attempt))
        status = _with_fields(status, observed_generation=self._generation)
        return self._with(status, *exhausted, drop=(RECONCILING,))

    def released(self, revision: DeployedRevision, inventory: ResourceInventory | None = None) -> HelmReleaseStatus:
        """A revision was deployed: Ready and Released True, counters back to 0, its snapshot first. ``inventory`` are
        its objects in the cluster, None to keep those of the status."""
        reason = f"{revision.action.capitalize()}Succeeded"
        status = self._attempted(self._handled(), revision.attempt, revision.action)
        fields = self.with_revision(revision.snapshot, revision.storage)
        if inventory is not None:
            fields["inventory"] = inventory
        status = _with_fields(status, **_NO_FAILURES, **fields)
        return self._with(
            status,
            (READY, TRUE, reason, f"Release reconciliation succeeded: {revision.message}"),
            (RELEASED, TRUE, reason, revision.message),
            drop=(RECONCILING, STALLED, TEST_SUCCESS, REMEDIATED),
        )

    def testing(self, revision: DeployedRevision, inventory: ResourceInventory, message: str) -> HelmReleaseStatus:
        """A revision was deployed, and its tests are next: Released, but not Ready yet. Failures stay counted, for a
        test that fails again must not be retried without end."""
        counted = {name: getattr(self.old, name) for name in _NO_FAILURES}
        status = _with_fields(self.released(revision, inventory), **counted)
        return self._say(status, (RECONCILING, TRUE, PROGRESSING, message), (READY, UNKNOWN, PROGRESSING, message))

    def tested(self, revision: DeployedRevision, message: str, failure: str = "") -> HelmReleaseStatus:
        """The tests of the deployed revision succeeded: ``message`` says how many there were; or one has failed, for
        the reason ``failure``, where HelmRelease's ignoreTestFailures says that this does not count.
        """
        status = self.released(revision)
        if failure:
            return self._say(status, (TEST_SUCCESS, FALSE, TEST_FAILED, failure))
        return self._say(status, (READY, TRUE, TEST_SUCCEEDED, message), (TEST_SUCCESS, TRUE, TEST_SUCCEEDED, message))

    def with_revision(self, snapshot: Snapshot, storage: str) -> RevisionFields:
        """The fields about a release and its revisions, after one more; ``storage`` is the namespace of its records."""
        old = () if snapshot.version == 1 else self.old.history
        return {"storage_namespace": storage, "history": history(old, snapshot)}

    def begun(self, ref: ReleaseRef, revision: int, action: CountedAction, chart: tuple[str, str]) -> RevisionFields:
        """The fields about the first revision of a release, or of another chart, before it is made; none for other
        revisions. So if it is interrupted, it is known what there is to uninstall, also when the HelmRelease then names
        another release."""
        if ref == self.last_ref and not self.is_uninstalled:
            return {}
        return self.with_revision(begun(ref, revision, action, chart, self._now), ref.storage)

    def without_revision(self) -> RevisionFields:
        """The fields about a release and its revisions after the newest one was uninstalled."""
        if not self.old.history:
            return {}
        newest, *rest = self.old.history
        return {"history": (with_status(newest, "uninstalled"), *rest), "inventory": None}

    def uninstalled(self) -> HelmReleaseStatus:
        """The newest revision was uninstalled, since the HelmRelease is to be another release."""
        return _with_fields(self.old, **self.without_revision())

    def in_sync(self, reason: str, message: str) -> HelmReleaseStatus:
        """Nothing had to be done. A Ready that was true before keeps its words."""
        status = _with_fields(self._handled(), **_NO_FAILURES)
        ready, released = self.condition(READY), self.condition(RELEASED)
        said: list[Said] = [(READY, TRUE, reason, f"Release reconciliation succeeded: {message}")]
        if ready is not None and ready.status == TRUE:
            said = [(READY, TRUE, ready.reason, ready.message)]
        if released is not None and released.status != TRUE:  # a rollback has brought what is wanted now
            said.append((RELEASED, TRUE, reason, message))
        return self._with(status, *said, drop=(RECONCILING, STALLED, REMEDIATED))

    def drifted(self, message: str) -> HelmReleaseStatus:
        """Objects differ from the release, and are not corrected; "" for ``message`` when there are none any more."""
        if message:
            return self._with(self.old, (DRIFTED, TRUE, DRIFT_DETECTED, message), drop=())
        return self.old if self.condition(DRIFTED) is None else self._with(self.old, drop=(DRIFTED,))

    def _attempted(self, status: HelmReleaseStatus, attempt: Attempt, action: CountedAction) -> HelmReleaseStatus:
        failures = {} if self.attempted(attempt) else _NO_FAILURES
        return _with_fields(status, **attempt.fields, **failures, last_attempted_release_action=action)

    def _touched(self) -> HelmReleaseStatus:
        chart = implied_key(self._manifest)
        named = chart.namespaced_name if chart is not None else ""
        return _with_fields(self.old, observed_generation=self._generation, helm_chart=named)

    def _handled(self) -> HelmReleaseStatus:
        """Touched, with the requests and the commit that this pass answers."""
        return _with_fields(self._touched(), **self._handled_requests())

    def _handled_requests(self) -> dict[str, str]:
        handled: dict[str, str] = {}
        annotations = self._metadata.get("annotations") or {}
        if requested := annotations.get(REQUESTED_AT_ANNOTATION):
            handled["last_handled_reconcile_at"] = requested
            if self.reset_requested:
                handled["last_handled_reset_at"] = requested
            if self.force_requested:
                handled["last_handled_force_at"] = requested
        if commit := annotations.get(COMMIT_ANNOTATION):
            handled["last_handled_commit"] = commit
        return handled

    def _with(self, status: HelmReleaseStatus, *said: Said, drop: tuple[str, ...]) -> HelmReleaseStatus:
        return self._say(_with_fields(status, conditions=remove_condition(self.old.conditions, *drop)), *said)

    def _say(self, status: HelmReleaseStatus, *said: Said) -> HelmReleaseStatus:
        conditions = status.conditions
        for kind, value, reason, message in said:
            conditions = set_condition(conditions, kind, value, reason, message, self._generation, self._now)
        return _with_fields(status, conditions=conditions)


def _with_fields(status: HelmReleaseStatus, **fields: Any) -> HelmReleaseStatus:
    return status.model_copy(update=fields)


def _exhausted(action: CountedAction, reason: str, message: str, failures: int) -> tuple[Said, ...]:
    return (
        (READY, FALSE, reason, f"{action} retries exhausted: {message}"),
        (STALLED, TRUE, RETRIES_EXCEEDED, f"Failed to {action} after {failures} attempt(s)"),
    )
