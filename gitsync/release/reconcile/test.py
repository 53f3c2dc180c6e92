"""The chart's tests: hooks for ``test``, run on a deployed revision (pkg/action/release_testing.go).

Their results stand in the release's record, where ``helm status`` shows them. An annotation of the record says in one
word how they went, so that a pass over a tested release reads nothing; a revision without it is tested, whatever ended
the process that deployed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gitsync.api.actions import HelmTestFilter
from gitsync.api.conditions import set_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import (
    FALSE,
    HELM_FIELD_MANAGER,
    PROGRESSING,
    READY,
    RECONCILING,
    TEST_FAILED,
    TEST_SUCCEEDED,
    TEST_SUCCESS,
    TRUE,
    UNKNOWN,
)
from gitsync.apply.applier import Applier
from gitsync.errors import GitsyncError, ReleaseError
from gitsync.release.action.hooks import HookData, HookFailed, HookRun, Hooks
from gitsync.release.reconcile.state import State
from gitsync.release.revision import Deployed, ReleaseRef
from gitsync.release.status.status import Attempt, CountedAction, StatusData, running, succeeded
from gitsync.release.storage.record import Record, Summary
from gitsync.release.storage.store import RecordStore

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.release.reconcile.request import ReconcileRequest
    from gitsync.runtime.interrupt import Interrupt

#: On a deployed record: how its tests went.
TESTS = "gitsync.dev/tests"
Phase = Literal["Succeeded", "Failed"]
_EVENT = "test"
_COUNTERS = ("failures", "installFailures", "upgradeFailures")


class ChartTestsFailed(ReleaseError):
    """A test that failed; ``record`` is the revision with how its tests went."""

    def __init__(self, error: GitsyncError, record: Record) -> None:
        super().__init__(error.message, action="test", hint=error.hint)
        self.record = record


def judged(state: State, latest: Summary | None, release: HelmRelease, verb: CountedAction) -> State:
    """The state of a release with its tests taken into account: not yet run, or failed where that counts. ``verb`` is
    the action that brought its revision about."""
    if state is not State.IN_SYNC or latest is None or not release.spec.test.enable:
        return state
    phase = latest.annotations.get(TESTS)
    if phase is None:
        return State.UNTESTED
    return State.FAILED if phase == "Failed" and not _ignored(release, verb) else State.IN_SYNC


class ChartTests:
    """Runs tests, and writes the status of what was deployed before and after them."""

    def __init__(self, cluster: Cluster, records: RecordStore) -> None:
        self._records = records
        self._hooks = Hooks(cluster, Applier(cluster, HELM_FIELD_MANAGER))

    async def deployed(
        self, request: ReconcileRequest, release: HelmRelease, deployed: Deployed, attempt: Attempt, verb: CountedAction
    ) -> float | None:
        """Say that a revision was deployed: Ready, or with its tests still to come. Returns seconds until they are."""
        record, storage = deployed.record, release.storage_namespace
        status = request.status.released(succeeded(verb, record), record, storage, attempt, verb)
        status |= {"inventory": deployed.inventory}
        if not release.spec.test.enable:
            await request.write(status)
            return None
        await request.write(_to_be_tested(request, status, running("test", release.spec.timeout_of("test"))))
        return 0.0

    async def run(
        self, request: ReconcileRequest, release: HelmRelease, attempt: Attempt, interrupt: Interrupt
    ) -> None:
        """Run the tests of the newest revision, unless they have been, and say how they went.

        Raises: ChartTestsFailed when that is a failure of the release; RetryableError and Superseded when they are
        still to be run.
        """
        ref = ReleaseRef(release.release_name, release.release_namespace, release.storage_namespace)
        verb = request.status.last_verb
        latest = self._records.latest(ref.storage, ref.name)
        assert latest is not None
        record = await self._records.read(ref.storage, ref.name, latest.version)
        timeout = release.spec.timeout_of("test")
        await request.write(request.status.progressing(running("test", timeout)))
        chosen = selected(record.hooks, release.spec.test.filters)
        ran = _ran(record, chosen)
        failed = next((hook for hook in ran if hook["last_run"].get("phase") == "Failed"), None)
        error: HookFailed | None = None
        if failed is not None:
            error = HookFailed(f"test hook {failed.get('path')} has failed", hooks=record.hooks)
        elif len(ran) < len(chosen):
            run = HookRun(_EVENT, ref, timeout, record.client_side)
            record, error = await self._run(record, chosen, run, interrupt)
        phase: Phase = "Failed" if error else "Succeeded"
        record = replace(record, annotations={**record.annotations, TESTS: phase})
        await self._records.update(record, ref.storage)
        request.log.info("release tested", revision=record.version, tests=len(chosen), result=phase.lower())
        if error is not None and not _ignored(release, verb):
            raise ChartTestsFailed(error, record) from error
        status = request.status.released(succeeded(verb, record), record, ref.storage, attempt, verb)
        await request.write(_tested(request, status, record, len(chosen), error))

    async def _run(
        self, record: Record, chosen: Sequence[HookData], run: HookRun, interrupt: Interrupt
    ) -> tuple[Record, HookFailed | None]:
        """The record with the results of the chosen hooks, and the failure of one."""
        error = None
        try:
            results = await self._hooks.run(chosen, run, interrupt)
        except HookFailed as failed:
            results, error = failed.hooks, failed
        after = {id(hook): result for hook, result in zip(chosen, results, strict=True)}
        return replace(record, hooks=[after.get(id(hook), hook) for hook in record.hooks]), error


def selected(hooks: Sequence[HookData], filters: Sequence[HelmTestFilter]) -> list[HookData]:
    """The test hooks to run: all, those named, or all but those excluded, as ``helm test --filter`` does."""
    included = {item.name for item in filters if not item.exclude}
    excluded = {item.name for item in filters if item.exclude}
    return [
        hook
        for hook in hooks
        if _EVENT in hook.get("events", ())
        and hook.get("name") not in excluded
        and (not included or hook.get("name") in included)
    ]


def _ran(record: Record, chosen: Sequence[HookData]) -> list[HookData]:
    """Those of which the record holds a result: by ``helm test``, or by an agent that was stopped right after. Results
    from before the revision was deployed are those of the one that it was rolled back to."""
    deployed = _moment(record.last_deployed)
    runs = [(hook, hook.get("last_run") or {}) for hook in chosen]
    return [hook for hook, run in runs if run.get("completed_at") and _moment(run.get("started_at", "")) >= deployed]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _ignored(release: HelmRelease, verb: CountedAction) -> bool:
    action = release.spec.install if verb == "install" else release.spec.upgrade
    return action.remediation.ignores_test_failures(release.spec.test)


def _to_be_tested(request: ReconcileRequest, released: StatusData, text: str) -> StatusData:
    """Released, but not Ready yet. Failures stay counted: a test that fails again must not be tried without end."""
    counted = {name: request.status.old[name] for name in _COUNTERS if name in request.status.old}
    status = {**released, **counted}
    return _said(request, status, (RECONCILING, TRUE, PROGRESSING, text), (READY, UNKNOWN, PROGRESSING, text))


def _tested(
    request: ReconcileRequest, released: StatusData, record: Record, count: int, error: GitsyncError | None
) -> StatusData:
    """Ready and tested; or tested in vain, where nobody minds."""
    if error is not None:
        return _said(request, released, (TEST_SUCCESS, FALSE, TEST_FAILED, error.message))
    hooks = "no test hooks" if not count else f"{count} test hook{'s' * (count > 1)} completed successfully"
    text = f"{succeeded('test', record)}: {hooks}"
    return _said(request, released, (READY, TRUE, TEST_SUCCEEDED, text), (TEST_SUCCESS, TRUE, TEST_SUCCEEDED, text))


def _said(request: ReconcileRequest, status: StatusData, *said: tuple[str, str, str, str]) -> StatusData:
    conditions = status["conditions"]
    generation, now = request.manifest["metadata"].get("generation", 0), datetime.now(UTC)
    for kind, value, reason, message in said:
        conditions = set_condition(conditions, kind, value, reason, message, generation, now)
    return {**status, "conditions": conditions}
