"""Taking a revision as it is: one that somebody else wrote, one that was not ready in time, one that the status does
not have. The release's objects are not changed."""

from __future__ import annotations

import asyncio

from gitsync.errors import NotReadyInTime
from gitsync.release.desired import DesiredRelease
from gitsync.release.reconcile.engine import Engine, deployed_revision, newest_record, write_deployed
from gitsync.release.reconcile.remediation import write_rolled_back
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.revision import DeployAction, action_of
from gitsync.release.storage.record import FAILURE, Record, checksum, digests_of


async def adopt(engine: Engine, request: ReconcileRequest, desired: DesiredRelease, record: Record) -> None:
    """Take over a revision that somebody else wrote or changed, and that is exactly what is wanted."""
    await engine.records.mark(record, desired.ref.storage, desired.digests)
    known = request.status.digest_of(record.version)
    if not known or known != await asyncio.to_thread(checksum, record):  # else the content is as this agent wrote it
        request.log.info("release taken over as it is", revision=record.version)
        found = await engine.deployer.found(desired.ref, record)
        await write_deployed(engine, request, desired, found, action_of(record))


async def confirm(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> bool:
    """If a release that was not ready in time has become ready since, take it as deployed. Returns whether it has."""
    ref = desired.ref
    newest = engine.records.latest(ref.storage, ref.name)
    if newest is None or newest.annotations.get(FAILURE) != NotReadyInTime.__name__:
        return False
    rolled_back = digests_of(newest) != desired.digests
    action: DeployAction = "rollback" if rolled_back else request.status.last_action
    options = engine.options(request, action, "ready after its deadline")
    record = await engine.deployer.confirm(ref, action, options)
    if record is None:
        return False
    request.log.info("release has become ready after its deadline", revision=record.version)
    if rolled_back:
        await write_rolled_back(engine, request, record, ref)
    else:
        found = await engine.deployer.found(ref, record)
        await write_deployed(engine, request, desired, found, request.status.last_action)
    return True


async def note_revision(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> None:
    """Write a deployed revision into a status that does not have it: the process ended between record and status, or
    somebody else has deployed it."""
    record = await newest_record(engine, desired.ref)
    revision = await deployed_revision(record, desired, action_of(record))
    inventory = (await engine.deployer.found(desired.ref, record)).inventory
    await engine.writer.write(request, request.status.released(revision, inventory))
