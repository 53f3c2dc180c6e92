"""The chart's tests: hooks for ``test``, run on a deployed revision (pkg/action/release_testing.go).

Their results are kept in the release's record, where ``helm status`` shows them. An annotation of the record has the
outcome in one word, so that a pass over a tested release need not read the record. A revision without that is tested,
also if the process that deployed it was killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.api.parts.actions import HelmTestFilter
from gitsync.apply.applier import Applier
from gitsync.errors import ReleaseError
from gitsync.release.action.hooks import HookData, HookFailed, HookRun, Hooks
from gitsync.release.desired import DesiredRelease
from gitsync.release.reconcile.engine import Engine, deployed_revision, newest_record, write_failed
from gitsync.release.reconcile.facts import policy_of_tests
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.status.history import running, succeeded
from gitsync.release.storage.record import TESTS, Record

if TYPE_CHECKING:
    from gitsync.runtime.interrupt import Interrupt

_EVENT = "test"


@dataclass(frozen=True, slots=True)
class ChartTestOutcome:
    """The outcome of the tests: the ``record`` with their results, their number, and the failure of one, "" for
    none."""

    record: Record
    count: int
    failure: str = ""
    hint: str = ""


async def run_chart_tests(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> float | None:
    """Run the tests of the newest revision, unless they have run, and write the outcome. Returns seconds until the next
    pass.

    Raises: RetryableError and Superseded when they are still to be run.
    """
    action, timeout = request.status.last_action, request.release.spec.timeout_of("test")
    record = await newest_record(engine, desired.ref)
    await engine.writer.write(request, request.status.progressing(running("test", timeout)))
    with engine.writer.progress(request, "test"):
        run = HookRun(_EVENT, desired.ref, timeout, record.client_side)
        outcome = await _run(engine, record, run, request.release.spec.test.filters, request.interrupt)
    tested = outcome.record
    await engine.records.update(tested, desired.ref.storage)
    result = "failed" if outcome.failure else "succeeded"
    request.log.info("release tested", revision=tested.version, tests=outcome.count, result=result)
    if outcome.failure and policy_of_tests(request.release, action) == "counted":
        error = ReleaseError(outcome.failure, action="test", hint=outcome.hint)
        return await write_failed(engine, request, desired, action, error, tested)
    hooks = "no test hooks"
    if outcome.count:
        hooks = f"{outcome.count} test hook{'s' * (outcome.count > 1)} completed successfully"
    message = f"{succeeded('test', tested)}: {hooks}"
    revision = await deployed_revision(tested, desired, action)
    await engine.writer.write(request, request.status.tested(revision, message, outcome.failure))
    return 0.0


async def _run(
    engine: Engine, record: Record, run: HookRun, filters: Sequence[HelmTestFilter], interrupt: Interrupt
) -> ChartTestOutcome:
    """Run the tests that have no result yet. The outcome has the record with the results, which is not stored yet."""
    chosen = selected(record.hooks, filters)
    ran = _ran(record, chosen)
    broken = next((hook for hook in ran if hook["last_run"].get("phase") == "Failed"), None)
    failure = hint = ""
    if broken is not None:
        failure = f"test hook {broken.get('path')} has failed"
    elif len(ran) < len(chosen):
        cluster = engine.target.cluster
        try:
            results = await Hooks(cluster, Applier(cluster, HELM_FIELD_MANAGER)).run(chosen, run, interrupt)
        except HookFailed as failed:
            results, failure, hint = failed.hooks, failed.message, failed.hint
        after = {id(hook): result for hook, result in zip(chosen, results, strict=True)}
        record = replace(record, hooks=[after.get(id(hook), hook) for hook in record.hooks])
    annotations = {**record.annotations, TESTS: "Failed" if failure else "Succeeded"}
    return ChartTestOutcome(replace(record, annotations=annotations), len(chosen), failure, hint)


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
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)
