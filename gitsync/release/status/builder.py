"""A HelmRelease's next status as plain data: what each event of a reconciliation makes of the present one. Pure.

Conditions, reasons and fields are helm-controller's, so that ``kubectl wait``, kstatus and Flux's own tools read it.
Every method returns a new status; one that equals the old is not written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gitsync.api.conditions import Condition, remove_condition, set_condition
from gitsync.api.identity import Manifest
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
from gitsync.release.revision import CountedAction
from gitsync.release.status.history import Snapshot, history
from gitsync.release.status.observed import Attempt, ObservedStatus, StatusData

#: Type, status, reason and message of a condition.
Said = tuple[str, str, str, str]
_COUNTERS = ("failures", "installFailures", "upgradeFailures")


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
        self, message: str, attempt: Attempt | None = None, action: CountedAction | None = None
    ) -> StatusData:
        """An action is under way, or waits for something: Reconciling, Ready Unknown."""
        status = self._touched()
        if attempt is not None and action is not None:
            status |= self._attempted(attempt, action)
        return self._with(
            status, (RECONCILING, TRUE, PROGRESSING, message), (READY, UNKNOWN, PROGRESSING, message), drop=(STALLED,)
        )

    def blocked(self, reason: str, message: str) -> StatusData:
        """Held back by something else: Ready False with its reason, and Reconciling, for it will go on by itself."""
        return self._with(
            self._touched(), (RECONCILING, TRUE, PROGRESSING, message), (READY, FALSE, reason, message), drop=(STALLED,)
        )

    def retrying(self, reason: str, message: str, *outcome: Said) -> StatusData:
        """Done again by itself, without spending a retry: the environment is at fault, or an uninstall has failed.
        ``outcome`` is the condition that says so as well."""
        return self._with(
            self._touched(),
            (RECONCILING, TRUE, PROGRESSING_WITH_RETRY, message),
            (READY, FALSE, reason, message),
            *outcome,
            drop=(STALLED,),
        )

    def suspended(self) -> StatusData:
        """Nobody goes on with what was under way, or waits for what was waited for. Anything else stays as it is."""
        ready = self.condition(READY)
        if ready is None or self.condition(RECONCILING) is None:
            return self.old
        message = f"suspended; before that: {ready['message']}"
        return self._with(self._touched(), (READY, UNKNOWN, SUSPENDED, message), drop=(RECONCILING,))

    def remediating(self, message: str) -> StatusData:
        """A failure is being remediated: Reconciling, while Ready goes on saying what failed."""
        return self._with(self._touched(), (RECONCILING, TRUE, PROGRESSING, message), drop=(STALLED,))

    def remediated(self, before: StatusData, ok: bool, reason: str, message: str, past: StatusData) -> StatusData:
        """It was, or could not be. Everything else is as ``before``, the status that the failure left: the release is
        Stalled, or about to be attempted again. ``past`` are the fields about the revision that it made.
        """
        value = TRUE if ok else FALSE
        conditions = set_condition(
            before.get("conditions"), REMEDIATED, value, reason, message, self._generation, self._now
        )
        failures = {} if ok else {"failures": before.get("failures", 0) + 1}
        return {**self.old, **past, **failures, "conditions": conditions}

    def failed(
        self,
        action: CountedAction,
        message: str,
        attempt: Attempt,
        past: StatusData,
        *,
        exhausted: bool,
        tests: bool = False,
    ) -> StatusData:
        """An attempt failed. When no retry is left the release is Stalled, and the message says so first.

        ``past`` are the fields about the failed revision, {} when none was begun. With ``tests`` the revision was
        deployed, and its tests have failed.
        """
        reason = TEST_FAILED if tests else f"{action.capitalize()}Failed"
        outcome = (TEST_SUCCESS if tests else RELEASED, FALSE, reason, message)
        failures = self.failures(action, attempt) + 1
        status = self._touched() | self._attempted(attempt, action) | past
        status |= {"failures": self.old.get("failures", 0) + 1, f"{action}Failures": failures}
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
            status | self._handled_requests(),
            *_exhausted(action, reason, message, failures),
            outcome,
            drop=(RECONCILING, REMEDIATED),
        )

    def stalled(self, reason: str, message: str) -> StatusData:
        """Nothing but a change of the input helps: Stalled, Ready False."""
        return self._with(
            self._handled(), (READY, FALSE, reason, message), (STALLED, TRUE, reason, message), drop=(RECONCILING,)
        )

    def still_stalled(self, action: CountedAction, attempt: Attempt) -> StatusData:
        """No retry is left, as was said when the last one failed; said again when something else was said since that is
        over now: that a rollback is under way, or the environment at fault.
        """
        status = self.old | self._handled_requests()
        if self.condition(STALLED) is not None:
            return status
        said = (self.condition(kind) for kind in (TEST_SUCCESS, RELEASED, READY))
        outcome = next((item for item in said if item is not None and item["status"] == FALSE), {})
        reason, message = outcome.get("reason", f"{action.capitalize()}Failed"), outcome.get("message", "")
        exhausted = _exhausted(action, reason, message, self.failures(action, attempt))
        return self._with(status | {"observedGeneration": self._generation}, *exhausted, drop=(RECONCILING,))

    def released(self, revision: DeployedRevision, inventory: StatusData | None = None) -> StatusData:
        """A revision was deployed: Ready and Released True, counters back to nothing, its snapshot first. ``inventory``
        is what of it is in the cluster, None for what the status has of that."""
        reason = f"{revision.action.capitalize()}Succeeded"
        status = self._handled() | self._attempted(revision.attempt, revision.action)
        for counter in _COUNTERS:
            status.pop(counter, None)
        status |= self.with_revision(revision.snapshot, revision.storage)
        if inventory is not None:
            status["inventory"] = inventory
        return self._with(
            status,
            (READY, TRUE, reason, f"Release reconciliation succeeded: {revision.message}"),
            (RELEASED, TRUE, reason, revision.message),
            drop=(RECONCILING, STALLED, TEST_SUCCESS, REMEDIATED),
        )

    def testing(self, revision: DeployedRevision, inventory: StatusData, message: str) -> StatusData:
        """A revision was deployed, and its tests are next: Released, but not Ready yet. Failures stay counted, for a
        test that fails again must not be retried without end."""
        counted = {name: self.old[name] for name in _COUNTERS if name in self.old}
        status = {**self.released(revision, inventory), **counted}
        return self._say(status, (RECONCILING, TRUE, PROGRESSING, message), (READY, UNKNOWN, PROGRESSING, message))

    def tested(self, revision: DeployedRevision, message: str, failure: str = "") -> StatusData:
        """The tests of the deployed revision succeeded: ``message`` says how many there were; or one has failed, for
        the reason ``failure``, where HelmRelease's ignoreTestFailures says that this does not count.
        """
        status = self.released(revision)
        if failure:
            return self._say(status, (TEST_SUCCESS, FALSE, TEST_FAILED, failure))
        return self._say(status, (READY, TRUE, TEST_SUCCEEDED, message), (TEST_SUCCESS, TRUE, TEST_SUCCEEDED, message))

    def with_revision(self, snapshot: Snapshot, storage: str) -> StatusData:
        """The fields about a release and its revisions, after one more; ``storage`` is the namespace of its records."""
        old = () if snapshot["version"] == 1 else self._snapshots
        return {"storageNamespace": storage, "history": history(old, snapshot)}

    def without_revision(self) -> StatusData:
        """The same fields after the newest revision was uninstalled."""
        if not self._snapshots:
            return {}
        newest, *rest = self._snapshots
        return {"history": [{**newest, "status": "uninstalled"}, *rest], "inventory": None}

    def in_sync(self, reason: str, message: str) -> StatusData:
        """Nothing had to be done. A Ready that was true before keeps its words."""
        status = self._handled()
        for counter in _COUNTERS:
            status.pop(counter, None)
        ready, released = self.condition(READY), self.condition(RELEASED)
        said = [(READY, TRUE, reason, f"Release reconciliation succeeded: {message}")]
        if ready is not None and ready["status"] == TRUE:
            said = [(READY, TRUE, ready["reason"], ready["message"])]
        if released is not None and released["status"] != TRUE:  # a rollback has brought what is wanted now
            said.append((RELEASED, TRUE, reason, message))
        return self._with(status, *said, drop=(RECONCILING, STALLED, REMEDIATED))

    def drifted(self, message: str) -> StatusData:
        """Objects differ from the release, and are not corrected; "" for ``message`` when there are none any more."""
        if message:
            return self._with(self.old, (DRIFTED, TRUE, DRIFT_DETECTED, message), drop=())
        return self.old if self.condition(DRIFTED) is None else self._with(self.old, drop=(DRIFTED,))

    def _attempted(self, attempt: Attempt, action: CountedAction) -> StatusData:
        changed = {**attempt.fields, "lastAttemptedReleaseAction": action}
        return changed if self.attempted(attempt) else changed | dict.fromkeys(_COUNTERS, 0)

    def _touched(self) -> StatusData:
        return {**self.old, "observedGeneration": self._generation}

    def _handled(self) -> StatusData:
        """Touched, with the requests and the commit that this pass answers."""
        return self._touched() | self._handled_requests()

    def _handled_requests(self) -> StatusData:
        status: StatusData = {}
        annotations = self._metadata.get("annotations") or {}
        if requested := annotations.get(REQUESTED_AT_ANNOTATION):
            status["lastHandledReconcileAt"] = requested
        if self.reset_requested:
            status["lastHandledResetAt"] = requested
        if self.force_requested:
            status["lastHandledForceAt"] = requested
        if commit := annotations.get(COMMIT_ANNOTATION):
            status["lastHandledCommit"] = commit
        return status

    def _with(self, status: StatusData, *said: Said, drop: tuple[str, ...]) -> StatusData:
        return self._say({**status, "conditions": remove_condition(self.conditions, *drop)}, *said)

    def _say(self, status: StatusData, *said: Said) -> StatusData:
        conditions: list[Condition] = status["conditions"]
        for kind, value, reason, message in said:
            conditions = set_condition(conditions, kind, value, reason, message, self._generation, self._now)
        return {**status, "conditions": conditions}


def _exhausted(action: CountedAction, reason: str, message: str, failures: int) -> tuple[Said, ...]:
    return (
        (READY, FALSE, reason, f"{action} retries exhausted: {message}"),
        (STALLED, TRUE, RETRIES_EXCEEDED, f"Failed to {action} after {failures} attempt(s)"),
    )
