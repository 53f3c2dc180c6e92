"""A HelmRelease's status as plain data: what each turn of events makes of it. Pure.

Conditions, reasons and fields are helm-controller's (flux-facts: status), so that ``kubectl wait``, kstatus and Flux's
own tools read it. Every function returns a new status; one that equals the old is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gitsync.api.conditions import Condition, get_condition, remove_condition, set_condition
from gitsync.api.duration import format_duration
from gitsync.api.identity import Manifest
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    FALSE,
    FORCE_AT_ANNOTATION,
    PROGRESSING,
    PROGRESSING_WITH_RETRY,
    READY,
    RECONCILING,
    RELEASED,
    REMEDIATED,
    REQUESTED_AT_ANNOTATION,
    RESET_AT_ANNOTATION,
    RETRIES_EXCEEDED,
    STALLED,
    SUSPENDED,
    TEST_FAILED,
    TEST_SUCCESS,
    TRUE,
    UNKNOWN,
)
from gitsync.release.storage.record import VALUES_DIGEST, Digests, Record, checksum

StatusData = dict[str, Any]
CountedAction = Literal["install", "upgrade"]
#: Snapshots kept in status.history.
MAX_SNAPSHOTS = 5
#: ``apiVersion`` of a snapshot, which is there to say how its digest was calculated; Flux's have none.
DIGEST_VERSION = "gitsync.dev/v1"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What identifies a try: failures are counted as long as none of this changes."""

    generation: int
    version: str
    digests: Digests


class StatusBuilder:
    """Builds the statuses of one HelmRelease. ``manifest`` is its present state, ``now`` the time of this turn."""

    def __init__(self, manifest: Manifest, now: datetime | None = None) -> None:
        self._metadata = manifest["metadata"]
        self.old: StatusData = manifest.get("status") or {}
        self._generation: int = self._metadata.get("generation", 0)
        self._now = now or datetime.now(UTC)

    def progressing(
        self, message: str, attempt: Attempt | None = None, verb: CountedAction | None = None
    ) -> StatusData:
        """An action is under way, or waits for something: Reconciling, Ready Unknown."""
        status = self._touched()
        if attempt is not None and verb is not None:
            status |= self._attempted(attempt, verb)
        return self._with(
            status, (RECONCILING, TRUE, PROGRESSING, message), (READY, UNKNOWN, PROGRESSING, message), drop=(STALLED,)
        )

    def blocked(self, reason: str, message: str) -> StatusData:
        """Held back by something else: Ready False with its reason, and Reconciling, for it will go on by itself."""
        return self._with(
            self._touched(), (RECONCILING, TRUE, PROGRESSING, message), (READY, FALSE, reason, message), drop=(STALLED,)
        )

    def retrying(self, reason: str, message: str, outcome: str = "") -> StatusData:
        """Tried again by itself, no try is spent: the environment is at fault, or an uninstall has failed. ``outcome``
        is the condition type that says so as well, "" for none.
        """
        return self._with(
            self._touched(),
            (RECONCILING, TRUE, PROGRESSING_WITH_RETRY, message),
            (READY, FALSE, reason, message),
            *([(outcome, FALSE, reason, message)] if outcome else []),
            drop=(STALLED,),
        )

    def suspended(self) -> StatusData:
        """Nobody goes on with what was under way, or waits for what was waited for. Anything else stays as it is."""
        ready = get_condition(self._conditions(), READY)
        if ready is None or get_condition(self._conditions(), RECONCILING) is None:
            return self.old
        message = f"suspended; before that: {ready['message']}"
        return self._with(self._touched(), (READY, UNKNOWN, SUSPENDED, message), drop=(RECONCILING,))

    def remedying(self, message: str) -> StatusData:
        """A failure is being remedied: Reconciling, while Ready goes on saying what failed."""
        return self._with(self._touched(), (RECONCILING, TRUE, PROGRESSING, message), drop=(STALLED,))

    def remedied(self, before: StatusData, ok: bool, reason: str, message: str, past: StatusData) -> StatusData:
        """It was, or could not be. What stays true is what ``before``, the status as the failure left it, says of that:
        the release is Stalled, or about to be tried again. ``past`` is what ``remembered`` says of what it made.
        """
        value = TRUE if ok else FALSE
        conditions = set_condition(
            before.get("conditions"), REMEDIATED, value, reason, message, self._generation, self._now
        )
        failures = {} if ok else {"failures": before.get("failures", 0) + 1}
        return {**self.old, **past, **failures, "conditions": conditions}

    def failed(
        self,
        verb: CountedAction,
        message: str,
        attempt: Attempt,
        past: StatusData,
        *,
        exhausted: bool,
        tests: bool = False,
    ) -> StatusData:
        """A try failed. When it was the last one the release is Stalled, and the message says so first.

        ``past`` is what ``remembered`` says of the failed revision, {} when none was begun. With ``tests`` the revision
        was deployed, and its tests have failed.
        """
        reason = TEST_FAILED if tests else f"{verb.capitalize()}Failed"
        outcome = (TEST_SUCCESS if tests else RELEASED, FALSE, reason, message)
        failures = self.failures(verb, attempt) + 1
        status = self._touched() | self._attempted(attempt, verb) | past
        status |= {"failures": self.old.get("failures", 0) + 1, f"{verb}Failures": failures}
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
            *_exhausted(verb, reason, message, failures),
            outcome,
            drop=(RECONCILING, REMEDIATED),
        )

    def stalled(self, reason: str, message: str) -> StatusData:
        """Nothing but a change of the input helps: Stalled, Ready False."""
        return self._with(
            self._handled(), (READY, FALSE, reason, message), (STALLED, TRUE, reason, message), drop=(RECONCILING,)
        )

    def released(self, message: str, record: Record, storage: str, attempt: Attempt, verb: CountedAction) -> StatusData:
        """A revision was deployed: Ready and Released True, counters back to nothing, its snapshot first.

        ``storage`` is the namespace that keeps the record.
        """
        reason = f"{verb.capitalize()}Succeeded"
        status = self._handled() | self._attempted(attempt, verb)
        for counter in ("failures", "installFailures", "upgradeFailures"):
            status.pop(counter, None)
        status |= self.remembered(record, storage)
        return self._with(
            status,
            (READY, TRUE, reason, f"Release reconciliation succeeded: {message}"),
            (RELEASED, TRUE, reason, message),
            drop=(RECONCILING, STALLED, TEST_SUCCESS, REMEDIATED),
        )

    def remembered(self, record: Record, storage: str) -> StatusData:
        """The fields that say which release this is and which revisions it has had; ``storage`` keeps its records."""
        old = () if record.version == 1 else self.old.get("history") or ()
        return {"storageNamespace": storage, "history": history(old, snapshot(record))}

    def forgotten(self) -> StatusData:
        """The newest revision was uninstalled, by us."""
        newest, *rest = self.old.get("history") or ({},)
        return {"history": [{**newest, "status": "uninstalled"}, *rest], "inventory": None} if newest else {}

    def in_sync(self, reason: str, message: str) -> StatusData:
        """Nothing had to be done. A Ready that was true before keeps its words."""
        status = self._handled()
        for counter in ("failures", "installFailures", "upgradeFailures"):
            status.pop(counter, None)
        ready, released = (get_condition(self._conditions(), kind) for kind in (READY, RELEASED))
        said = [(READY, TRUE, reason, f"Release reconciliation succeeded: {message}")]
        if ready is not None and ready["status"] == TRUE:
            said = [(READY, TRUE, ready["reason"], ready["message"])]
        if released is not None and released["status"] != TRUE:  # a rollback has brought what is wanted now
            said.append((RELEASED, TRUE, reason, message))
        return self._with(status, *said, drop=(RECONCILING, STALLED, REMEDIATED))

    def failures(self, verb: CountedAction, attempt: Attempt) -> int:
        """How often exactly this has failed. 0 when anything changed since."""
        same = (
            not self.reset_requested
            and self.old.get("lastAttemptedGeneration") == attempt.generation
            and self.old.get("lastAttemptedRevision") == attempt.version
            and self.old.get("lastAttemptedRevisionDigest") == attempt.digests.chart
            and self.old.get("lastAttemptedConfigDigest") == attempt.digests.values
        )
        count: int = self.old.get(f"{verb}Failures", 0) if same else 0
        return count

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

    def acknowledged(self, verb: CountedAction, attempt: Attempt) -> StatusData:
        """No try is left, as was said when the last one failed, unless something else was said since that is over now:
        that a rollback is under way, or the environment at fault.
        """
        status = self.old | self._handled_requests()
        if get_condition(self._conditions(), STALLED) is not None:
            return status
        said = (get_condition(self._conditions(), kind) for kind in (TEST_SUCCESS, RELEASED, READY))
        outcome = next((item for item in said if item is not None and item["status"] == FALSE), {})
        reason, message = outcome.get("reason", f"{verb.capitalize()}Failed"), outcome.get("message", "")
        exhausted = _exhausted(verb, reason, message, self.failures(verb, attempt))
        return self._with(status | {"observedGeneration": self._generation}, *exhausted, drop=(RECONCILING,))

    @property
    def last_ref(self) -> tuple[str, str, str] | None:
        """Name, namespace and storage namespace of the release as it was last deployed; None before that."""
        snapshots = self.old.get("history") or ()
        if not snapshots:
            return None
        namespace = str(snapshots[0].get("namespace", ""))
        return str(snapshots[0].get("name", "")), namespace, str(self.old.get("storageNamespace") or namespace)

    def remedy_failed(self, reason: str) -> bool:
        """The last failure could not be remedied, for this reason: RollbackFailed or UninstallFailed."""
        remediated = get_condition(self._conditions(), REMEDIATED) or {}
        return remediated.get("status") == FALSE and remediated.get("reason") == reason

    def digest_of(self, revision: int) -> str:
        """The digest of a revision as it was when it was written (see ``checksum``); "" when that is not known."""
        snapshots = [item for item in self.old.get("history") or () if item.get("apiVersion") == DIGEST_VERSION]
        return str(next((item.get("digest") for item in snapshots if item.get("version") == revision), None) or "")

    def knows(self, revision: int) -> bool:
        """Whether a revision is in the history: of gitsync, or of Flux, whose digests are other ones."""
        return any(item.get("version") == revision for item in self.old.get("history") or ())

    @property
    def is_stalled(self) -> bool:
        """Stalled at the present generation."""
        is_current = self.old.get("observedGeneration") == self._generation
        return is_current and (get_condition(self._conditions(), STALLED) or {}).get("status") == TRUE

    @property
    def is_retrying(self) -> bool:
        """The environment was at fault the last time, and that was said."""
        return (get_condition(self._conditions(), RECONCILING) or {}).get("reason") == PROGRESSING_WITH_RETRY

    @property
    def is_deployed(self) -> bool:
        """The newest revision that the status knows of is in the cluster, as far as we had to do with it."""
        snapshots: Sequence[dict[str, Any]] = self.old.get("history") or ({},)
        return bool(snapshots[0].get("status") == "deployed")

    @property
    def is_uninstalled(self) -> bool:
        """The newest revision that the status knows of was taken out of the cluster again, by us."""
        snapshots: Sequence[dict[str, Any]] = self.old.get("history") or ({},)
        return bool(snapshots[0].get("status") == "uninstalled")

    @property
    def was_good(self) -> bool:
        """Of the revisions that the status knows of, one was deployed."""
        return any(item.get("status") in ("deployed", "superseded") for item in self.old.get("history") or ())

    @property
    def last_revision(self) -> int:
        """The newest revision that the status knows of; 0 when it knows none."""
        snapshots = self.old.get("history") or ()
        return int(snapshots[0].get("version", 0)) if snapshots else 0

    @property
    def last_chart(self) -> str:
        """Name of the chart that was tried last; "" before that."""
        snapshots = self.old.get("history") or ()
        return str(snapshots[0].get("chartName", "")) if snapshots else ""

    @property
    def last_verb(self) -> CountedAction:
        """The action tried last."""
        return "upgrade" if self.old.get("lastAttemptedReleaseAction") == "upgrade" else "install"

    def _attempted(self, attempt: Attempt, verb: CountedAction) -> StatusData:
        changed: StatusData = {
            "lastAttemptedGeneration": attempt.generation,
            "lastAttemptedRevision": attempt.version,
            "lastAttemptedRevisionDigest": attempt.digests.chart,
            "lastAttemptedConfigDigest": attempt.digests.values,
            "lastAttemptedReleaseAction": verb,
        }
        if any(self.old.get(key) != value for key, value in changed.items() if key != "lastAttemptedReleaseAction"):
            changed |= {"failures": 0, "installFailures": 0, "upgradeFailures": 0}
        return changed

    def _touched(self) -> StatusData:
        return {**self.old, "observedGeneration": self._generation}

    def _handled(self) -> StatusData:
        """Touched, with the requests and the commit that this turn answers."""
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

    def _conditions(self) -> Sequence[Condition]:
        conditions: Sequence[Condition] = self.old.get("conditions") or ()
        return conditions

    def _with(self, status: StatusData, *said: tuple[str, str, str, str], drop: tuple[str, ...]) -> StatusData:
        conditions: list[Condition] = remove_condition(self._conditions(), *drop)
        for kind, value, reason, message in said:
            conditions = set_condition(conditions, kind, value, reason, message, self._generation, self._now)
        return {**status, "conditions": conditions}


def _exhausted(verb: CountedAction, reason: str, message: str, failures: int) -> tuple[tuple[str, str, str, str], ...]:
    return (
        (READY, FALSE, reason, f"{verb} retries exhausted: {message}"),
        (STALLED, TRUE, RETRIES_EXCEEDED, f"Failed to {verb} after {failures} attempt(s)"),
    )


def running(verb: str, timeout: float) -> str:
    """``Running 'install' action with timeout of 5m0s``, in Flux's words."""
    return f"Running '{verb}' action with timeout of {format_duration(timeout)}"


def succeeded(verb: str, record: Record) -> str:
    """``Helm install succeeded for release default/redis.v1 with chart redis@17.3.14``, in Flux's words."""
    return (
        f"Helm {verb} succeeded for release {record.namespace}/{record.name}.v{record.version} "
        f"with chart {record.chart_name}@{record.chart_version}"
    )


def snapshot(record: Record) -> dict[str, Any]:
    """One revision for status.history."""
    data = {
        "apiVersion": DIGEST_VERSION,
        "name": record.name,
        "namespace": record.namespace,
        "version": record.version,
        "status": record.status,
        "digest": checksum(record),
        "configDigest": record.annotations.get(VALUES_DIGEST, ""),
        "chartName": record.chart_name,
        "chartVersion": record.chart_version,
        "firstDeployed": _seconds(record.first_deployed),
        "lastDeployed": _seconds(record.last_deployed),
    }
    if tests := _test_hooks(record):
        data["testHooks"] = tests
    app_version = (record.chart.get("metadata") or {}).get("appVersion")
    return {**data, "appVersion": str(app_version)} if app_version else data


def _test_hooks(record: Record) -> dict[str, Any]:
    """How the tests of a revision went, those that ran."""
    tests = [hook for hook in record.hooks if "test" in hook.get("events", ())]
    return {
        str(hook.get("name", "")): {
            "lastStarted": _seconds(hook["last_run"].get("started_at", "")),
            "lastCompleted": _seconds(hook["last_run"].get("completed_at", "")),
            "phase": hook["last_run"]["phase"],
        }
        for hook in tests
        if (hook.get("last_run") or {}).get("phase")
    }


def history(old: Sequence[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Newest first; what was deployed before is superseded once the new one is. However many tries have failed since,
    the last good revision stays among them: it is what a rollback is held against.
    """
    rest = [item for item in old if item.get("version") != new["version"]]
    if new.get("status") == "deployed":
        rest = [{**item, "status": "superseded"} if item.get("status") == "deployed" else item for item in rest]
    snapshots = [new, *rest]
    good = next((item for item in snapshots if item.get("status") in ("deployed", "superseded")), new)
    newest = snapshots[:MAX_SNAPSHOTS]
    return newest if good in newest else [*newest[:-1], good]


def _seconds(time: str) -> str:
    """An RFC 3339 time without its fraction, as Kubernetes' own times are."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return time
