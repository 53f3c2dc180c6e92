"""Looks for drift of a release that is in sync, and reports what was found."""

from __future__ import annotations

from gitsync.api.names import DRIFT_CORRECTED, DRIFT_DETECTED, DRIFTED
from gitsync.metering import METER
from gitsync.release.drift.correct import Drift, named_drift
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.runtime.event import Event


async def look_for_drift(drift: Drift, writer: StatusWriter, request: ReconcileRequest) -> float | None:
    """Look for drift, correct it if the release asks for that, and report it. Returns seconds until the next look, None
    for when woken.

    Raises: ApiError, ClusterUnavailable, Superseded.
    """
    report = await drift.check(request.target, request.release, request.interrupt)
    text = f"the cluster differs from the release: {named_drift(report.left)}" if report.left else ""
    said = request.status.condition(DRIFTED)
    if text and (said is None or said.message != text):
        request.log.warning("release has drifted", objects=named_drift(report.left))
        writer.tell(request, Event("Warning", DRIFT_DETECTED, text))
    METER.drift["left"] += len(report.left)
    METER.drift["corrected"] += len(report.corrected)
    await writer.write(request, request.status.drifted(text))
    for item in report.conflicts:
        hint = "driftDetection.ignore lets the other win"
        request.log.warning("drift comes back", object=str(item), hint=hint)
        text = f"somebody changes {item} again and again; it is left alone for a while"
        writer.tell(request, Event("Warning", DRIFT_DETECTED, text))
    if report.corrected:
        request.log.info("drift corrected", objects=named_drift(report.corrected))
        text = f"put back as the release has it: {named_drift(report.corrected)}"
        writer.tell(request, Event("Normal", DRIFT_CORRECTED, text))
    return report.again
