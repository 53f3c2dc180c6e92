"""status.history: a snapshot of each revision, as helm-controller keeps them, and the words about revisions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gitsync.api.duration import format_duration
from gitsync.release.storage.record import VALUES_DIGEST, Record, checksum

#: One revision, as status.history has it.
Snapshot = dict[str, Any]
#: Snapshots kept in status.history.
MAX_SNAPSHOTS = 5
#: ``apiVersion`` of a snapshot, which is there to say how its digest was calculated; Flux's have none.
DIGEST_VERSION = "gitsync.dev/v1"
#: For a record of somebody else that does not say when it was deployed.
_NEVER = "1970-01-01T00:00:00Z"


def running(action: str, timeout: float) -> str:
    """``Running 'install' action with timeout of 5m0s``, in Flux's words."""
    return f"Running '{action}' action with timeout of {format_duration(timeout)}"


def succeeded(action: str, record: Record) -> str:
    """``Helm install succeeded for release default/redis.v1 with chart redis@17.3.14``, in Flux's words."""
    return f"Helm {action} succeeded for release {described(record, record.version)}"


def described(record: Record, revision: int | str) -> str:
    """``default/redis.v3 with chart redis@17.3.14``: a revision of the record's release, with the record's chart."""
    return f"{record.namespace}/{record.name}.v{revision} with chart {record.chart_name}@{record.chart_version}"


def snapshot_of(record: Record) -> Snapshot:
    """One revision for status.history. Takes time that grows with the record: call it in a thread."""
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
        "firstDeployed": _seconds(record.first_deployed) or _NEVER,
        "lastDeployed": _seconds(record.last_deployed) or _NEVER,
    }
    if tests := _test_hooks(record):
        data["testHooks"] = tests
    app_version = (record.chart.get("metadata") or {}).get("appVersion")
    return {**data, "appVersion": str(app_version)} if app_version else data


def history(old: Sequence[Snapshot], new: Snapshot) -> list[Snapshot]:
    """Newest first; what was deployed before is superseded once the new one is. However many attempts have failed
    since, the last good revision stays among them: a rollback's record is compared with its snapshot.
    """
    rest = [item for item in old if item.get("version") != new["version"]]
    if new.get("status") == "deployed":
        rest = [{**item, "status": "superseded"} if item.get("status") == "deployed" else item for item in rest]
    snapshots = [new, *rest]
    good = next((item for item in snapshots if item.get("status") in ("deployed", "superseded")), new)
    newest = snapshots[:MAX_SNAPSHOTS]
    return newest if good in newest else [*newest[:-1], good]


def _test_hooks(record: Record) -> dict[str, Any]:
    """How the tests of a revision went, those that ran."""
    tests = [hook for hook in record.hooks if "test" in hook.get("events", ())]
    runs = {str(hook.get("name", "")): hook.get("last_run") or {} for hook in tests}
    return {name: _hook_run(run) for name, run in runs.items() if run.get("phase")}


def _hook_run(run: dict[str, Any]) -> dict[str, str]:
    times = {"lastStarted": run.get("started_at", ""), "lastCompleted": run.get("completed_at", "")}
    return {name: time for name, text in times.items() if (time := _seconds(text))} | {"phase": run["phase"]}


def _seconds(time: str) -> str:
    """An RFC 3339 time without its fraction, as Kubernetes' own times are; "" for what is none, which the API server
    would refuse the whole status for."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError):
        return ""
