"""status.history: a snapshot of each revision, as helm-controller keeps them, and the words about revisions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gitsync.api.duration import format_duration
from gitsync.api.status import HookRun, Snapshot
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.storage.record import CHART_DIGEST, VALUES_DIGEST, Record, Status, checksum

#: Snapshots kept in status.history.
MAX_SNAPSHOTS = 5
#: ``apiVersion`` of a snapshot, which is there to say how its digest was calculated; Flux's have none.
DIGEST_VERSION = "gitsync.dev/v1"
#: The time for a record of somebody else that has none.
_NEVER = "1970-01-01T00:00:00Z"
#: As Kubernetes writes times.
_TIME = "%Y-%m-%dT%H:%M:%SZ"


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
    app_version = (record.chart.get("metadata") or {}).get("appVersion")
    return Snapshot(
        api_version=DIGEST_VERSION,
        digest=checksum(record),
        name=record.name,
        namespace=record.namespace,
        version=record.version,
        status=record.status,
        chart_name=record.chart_name,
        chart_version=record.chart_version,
        app_version=str(app_version) if app_version else "",
        config_digest=record.annotations.get(VALUES_DIGEST, ""),
        oci_digest=_oci_digest(record),
        first_deployed=_seconds(record.first_deployed) or _NEVER,
        last_deployed=_seconds(record.last_deployed) or _NEVER,
        test_hooks=_test_hooks(record) or None,
    )


def begun(ref: ReleaseRef, revision: int, action: CountedAction, chart: tuple[str, str], now: datetime) -> Snapshot:
    """A revision that has no record yet; ``chart`` are its name and version."""
    time = now.strftime(_TIME)
    return Snapshot(
        api_version=DIGEST_VERSION,
        digest="",
        name=ref.name,
        namespace=ref.namespace,
        version=revision,
        status=f"pending-{action}",
        chart_name=chart[0],
        chart_version=chart[1],
        config_digest="",
        first_deployed=time,
        last_deployed=time,
    )


#: How the digest of a chart begins that is a folder of a commit, or of a bucket.
_IN_GIT = "git:"


def _oci_digest(record: Record) -> str:
    """The digest of the OCI artifact that the chart came in, which the chart's digest begins with; "" for others."""
    manifest, plus, _ = record.annotations.get(CHART_DIGEST, "").partition("+")
    return manifest if plus and not manifest.startswith(_IN_GIT) else ""


def history(old: Sequence[Snapshot], new: Snapshot) -> tuple[Snapshot, ...]:
    """The history with a new snapshot, newest first. If the new revision is deployed, the one before is superseded.
    However many attempts fail, the last good revision stays in the history: a rollback compares its record with that.
    """
    rest = [item for item in old if item.version != new.version]
    if new.status == "deployed":
        rest = [with_status(item, "superseded") if item.status == "deployed" else item for item in rest]
    snapshots = (new, *rest)
    good = next((item for item in snapshots if item.status in ("deployed", "superseded")), new)
    newest = snapshots[:MAX_SNAPSHOTS]
    return newest if good in newest else (*newest[:-1], good)


def with_status(snapshot: Snapshot, status: Status) -> Snapshot:
    """The snapshot with another of Helm's statuses."""
    return snapshot.model_copy(update={"status": status})


def _test_hooks(record: Record) -> dict[str, HookRun]:
    """The results of a revision's tests that have run."""
    tests = [hook for hook in record.hooks if "test" in hook.get("events", ())]
    runs = {str(hook.get("name", "")): hook.get("last_run") or {} for hook in tests}
    return {name: _hook_run(run) for name, run in runs.items() if run.get("phase")}


def _hook_run(run: dict[str, Any]) -> HookRun:
    started, completed = _seconds(run.get("started_at", "")), _seconds(run.get("completed_at", ""))
    return HookRun(last_started=started, last_completed=completed, phase=run["phase"])


def _seconds(time: str) -> str:
    """An RFC 3339 time without its fraction, as Kubernetes writes times; "" for a text that is none, for which the API
    server would refuse the whole status."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC).strftime(_TIME)
    except (TypeError, ValueError, OverflowError):
        return ""
