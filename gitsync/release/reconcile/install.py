"""Install, upgrade, and resuming either of these."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from gitsync.errors import (
    PASSING,
    ChartError,
    GitsyncError,
    KindUnknown,
    MissingRight,
    NamespaceTerminating,
    NotFound,
    QuotaExceeded,
    ReleaseNotAllowed,
    TerminalError,
)
from gitsync.release.desired import DesiredRelease
from gitsync.release.masking import without_secrets
from gitsync.release.reconcile.decide import NextAction, made_by
from gitsync.release.reconcile.engine import Engine, write_deployed, write_failed
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.render import MakeContent
from gitsync.release.revision import CountedAction, Deployed, RevisionContent
from gitsync.release.status.history import running
from gitsync.runtime.together import alongside
from gitsync.text import listed


async def install_or_upgrade(
    engine: Engine, request: ReconcileRequest, desired: DesiredRelease, next_action: NextAction
) -> float | None:
    """Make a revision of what is desired. Returns seconds until the next pass, None for when woken.

    Raises: ChartError (ValuesError, RenderError) before anything was changed; RetryableError, with the record left
    pending (ReleaseNotAllowed for want of a right); Superseded.
    """
    newest = engine.records.latest(desired.ref.storage, desired.ref.name)
    action, resume = made_by(next_action, newest), next_action is NextAction.RESUME
    revision = (0 if newest is None else newest.version) + (0 if resume else 1)
    chart = desired.chart.name, desired.chart.version
    begun = request.status.begun(desired.ref, revision, action, chart)
    message = running(action, request.release.spec.timeout_of(action))
    underway = request.status.progressing(message, desired.attempt, action, begun)
    started = time.monotonic()
    render = engine.renderer.content(request.target, desired, action)
    if request.status.is_stalled:  # a template has failed and may again: no progress is reported until it does not
        await render(revision)
    if resume and not request.status.is_retrying:  # else the reason for doing it again was logged already
        request.log.info("taking up what was interrupted", action=action)
    try:
        # The status is written while the first steps are taken.
        async with alongside(engine.writer.write(request, underway)) as said:
            with engine.writer.progress(request, action):
                content = _after(said, render)
                deployed = await _deploy(engine, request, desired, action, content, resume=resume)
    except (MissingRight, QuotaExceeded, NamespaceTerminating) as error:
        raise ReleaseNotAllowed(error.message, action=action, hint=error.hint) from error
    except (ChartError, KindUnknown, NotFound, *PASSING):
        raise
    except TerminalError as error:
        return await write_failed(engine, request, desired, action, error)
    _log_success(request, action, deployed, time.monotonic() - started)
    again = await write_deployed(engine, request, desired, deployed, action)
    # A further pass, at once, which finds the release in sync, looks for drift.
    return again if request.release.spec.drift_detection.mode == "disabled" else 0.0


def _after(said: asyncio.Future[Any], render: MakeContent) -> MakeContent:
    """As ``render``, but returns only once the status has been written: nothing is changed before that."""

    async def make(revision: int) -> RevisionContent:
        content = await render(revision)
        await asyncio.shield(said)
        return content

    return make


async def _deploy(
    engine: Engine,
    request: ReconcileRequest,
    desired: DesiredRelease,
    action: CountedAction,
    content: MakeContent,
    *,
    resume: bool,
) -> Deployed:
    options = engine.options(request, action)
    try:
        if resume:
            return await engine.deployer.resume(desired.ref, content, options, request.interrupt)
        return await engine.deployer.deploy(desired.ref, action, content, options, request.interrupt)
    except GitsyncError as error:
        raise without_secrets(error, desired.secrets)  # noqa: B904  # the same error, with fewer words


def _log_success(request: ReconcileRequest, action: CountedAction, deployed: Deployed, took: float) -> None:
    record, delta = deployed.record, deployed.delta
    # Logged before the status is written, which wakes dependents: their lines are to come after this one.
    request.log.info(
        f"release {action}{'ed' if action == 'install' else 'd'}",
        revision=record.version,
        chart=f"{record.chart_name}-{record.chart_version}",
        created=len(delta.created),
        **({"taken_over": len(delta.taken_over)} if delta.taken_over else {}),
        changed=len(delta.changed),
        deleted=len(delta.removed),
        **({"kept": listed(delta.kept)} if delta.kept else {}),
        took=took,
    )
