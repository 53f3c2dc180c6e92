"""Carrying out a decision about a release: one function for each action."""

from __future__ import annotations

from gitsync.release.desired import DesiredRelease
from gitsync.release.reconcile.adopt import confirm
from gitsync.release.reconcile.chart_tests import run_chart_tests
from gitsync.release.reconcile.decide import NextAction
from gitsync.release.reconcile.engine import Engine
from gitsync.release.reconcile.install import install_or_upgrade
from gitsync.release.reconcile.remediation import roll_back, uninstall_failed
from gitsync.release.reconcile.request import ReconcileRequest


async def run_action(
    engine: Engine, request: ReconcileRequest, desired: DesiredRelease, action: NextAction
) -> float | None:
    """Carry out an action on the release itself, and report it in status and log. Returns seconds until the next pass,
    None for when woken.

    Raises: RetryableError and what is PASSING: to be done again; Superseded; ChartError before anything was changed.
    """
    match action:
        case NextAction.UNLOCK:
            await unlock(engine, request, desired)
        case NextAction.UNINSTALL_AND_RETRY:
            await uninstall_failed(engine, request, desired)
        case NextAction.ROLLBACK_AND_RETRY:
            await roll_back(engine, request, desired)
        case NextAction.TEST:
            return await run_chart_tests(engine, request, desired)
        case NextAction.STALL:
            if not await confirm(engine, request, desired):
                await stall(engine, request, desired)
                return None
        case NextAction.INSTALL | NextAction.UPGRADE | NextAction.RESUME | NextAction.RETRY:
            return await install_or_upgrade(engine, request, desired, action)
        case _:
            raise ValueError(f"{action} is no action on a release")
    return 0.0


async def unlock(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> None:
    """Mark a pending revision that nobody works on as failed."""
    newest = engine.records.latest(desired.ref.storage, desired.ref.name)
    request.log.warning("release was left locked, going on", revision=newest.version if newest else 0)
    await engine.deployer.unlock(desired.ref, "interrupted; gitsync went on with what is wanted now")


async def stall(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> None:
    """No retry is left: keep the status that was written when the last one failed."""
    await engine.writer.write(request, request.status.still_stalled(request.status.last_action, desired.attempt))
