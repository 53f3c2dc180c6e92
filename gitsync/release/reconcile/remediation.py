"""Remediation: a failed release is rolled back or uninstalled before the next attempt.
 The condition Remediated has the outcome, in helm-controller's words (internal/reconcile/rollback_remediation.go,
uninstall_remediation.go). A rollback goes to the newest good revision, and only if its record has not been changed
since it was written: the HelmRelease's status has its digest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import (
    REMEDIATED,
    ROLLBACK_FAILED,
    ROLLBACK_SUCCEEDED,
    UNINSTALL_FAILED,
    UNINSTALL_SUCCEEDED,
)
from gitsync.api.status import HelmReleaseStatus
from gitsync.errors import PASSING, GitsyncError, NotFound, ObjectTaken, ReleaseError, TerminalError, UninstallFailed
from gitsync.release.desired import DesiredRelease
from gitsync.release.masking import without_secrets
from gitsync.release.reconcile.engine import NEXT_TRY, Engine, revision_fields
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.revision import Deployed, ReleaseRef, RevisionContent, content_of
from gitsync.release.status.builder import RevisionFields, StatusBuilder
from gitsync.release.status.events import named
from gitsync.release.status.history import described, running, succeeded
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.storage.record import TESTS, Record, RecordError, Summary, checksum
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.release.storage.recordstore import RecordStore


async def uninstall_failed(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> None:
    """Uninstall the failed release; its history is kept if ``spec.uninstall.keepHistory`` says so.

    Raises: UninstallFailed, RetryableError and what is PASSING: to be called again; Superseded.
    """
    before, spec = request.status.old, request.release.spec
    what = named(before)
    if not request.status.remediation_failed(UNINSTALL_FAILED):
        request.log.info("uninstalling the failed release before the next try")
        message = running("uninstall", spec.timeout_of("uninstall"))
        await engine.writer.write(request, request.status.remediating(message))
    try:
        with engine.writer.progress(request, "uninstall", StatusBuilder.remediating):
            options = engine.uninstall_options(request)
            result = await engine.uninstaller.uninstall(desired.ref, options, request.interrupt)
    except PASSING:
        raise
    except TerminalError as error:
        text = f"Helm uninstall remediation for release {what} failed: {error.message}"
        raise UninstallFailed(text, hint=error.hint, condition=REMEDIATED) from error
    request.log.info("failed release uninstalled", deleted=len(result.deleted), **_named("objects", result.deleted))
    text = f"Helm uninstall remediation for release {what} succeeded"
    past = request.status.without_revision()
    await engine.writer.write(request, request.status.remediated(before, True, UNINSTALL_SUCCEEDED, text, past))


async def roll_back(engine: Engine, request: ReconcileRequest, desired: DesiredRelease) -> None:
    """Roll back to the last good revision, or write why that failed: it is not tried a second time.

    Raises: RetryableError and what is PASSING: to be called again; Superseded.
    """
    before, past, ref = request.status.old, None, desired.ref
    message = running("rollback", request.release.spec.timeout_of("rollback"))
    await engine.writer.write(request, request.status.remediating(message))
    try:
        with engine.writer.progress(request, "rollback", StatusBuilder.remediating):
            past = await _begun(engine.records, ref) or await _good(engine.records, request, ref)
            deployed = await _deploy(engine, request, ref, past)
    except PASSING:
        raise
    except (TerminalError, ObjectTaken) as error:
        await _write_failed(engine, request, ref, before, past, without_secrets(error, desired.secrets))
        return
    record = deployed.record
    removed = [ObjectKey.of(item) for item in deployed.delta.removed]
    request.log.info(
        "failed upgrade rolled back",
        revision=record.version,
        to_revision=_goal(past),
        deleted=len(removed),
        **_named("objects", removed),
    )
    text = f"Helm rollback to previous release {described(past, _goal(past))} succeeded"
    await _write_succeeded(engine, request, record, ref, before, text)


async def write_rolled_back(engine: Engine, request: ReconcileRequest, record: Record, ref: ReleaseRef) -> None:
    """Write that a rollback which was not ready in time has become ready."""
    text = f"{succeeded('rollback', record)}, after its deadline"
    await _write_succeeded(engine, request, record, ref, request.status.old, text)


async def rollback_target(
    records: RecordStore, release: HelmRelease, status: ObservedStatus, ref: ReleaseRef
) -> tuple[Record | None, dict[int, str]]:
    """The newest revision to roll back to, None when there is none; and newer ones that cannot be used, with the reason
    for each."""
    untested = release.spec.upgrade.remediation.ignores_test_failures(release.spec.test)
    refused: dict[int, str] = {}
    for item in candidates(records.revisions(ref.storage, ref.name), failed_tests=untested):
        try:
            record = await records.read(ref.storage, ref.name, item.version)
            why = await asyncio.to_thread(mismatch, record, status.digest_of(item.version))
        except (NotFound, RecordError) as error:
            why = error.message
        if not why:
            return record, refused
        refused[item.version] = why
    return None, refused


async def _begun(records: RecordStore, ref: ReleaseRef) -> Record | None:
    """The record of a rollback that was interrupted, which has all that it restores; None when there is none."""
    newest = records.latest(ref.storage, ref.name)
    if newest is None or newest.status != "pending-rollback":
        return None
    return await records.read(ref.storage, ref.name, newest.version)


async def _good(records: RecordStore, request: ReconcileRequest, ref: ReleaseRef) -> Record:
    """The newest revision to roll back to. Raises: ReleaseError when there is none."""
    found, refused = await rollback_target(records, request.release, request.status, ref)
    for revision, why in refused.items():
        request.log.warning("revision cannot be rolled back to", revision=revision, why=why)
    if found is not None:
        return found
    reasons = "; ".join(f"revision {revision}: {why}" for revision, why in refused.items())
    text = "there is no good revision to roll back to"
    hint = "push a commit that corrects the release, or let it be uninstalled (remediation.strategy: uninstall)"
    raise ReleaseError(f"{text} ({reasons})" if reasons else text, action="rollback", hint=hint)


async def _deploy(engine: Engine, request: ReconcileRequest, ref: ReleaseRef, past: Record) -> Deployed:
    request.log.info("rolling back the failed upgrade", to_revision=_goal(past))
    options = engine.options(request, "rollback")

    async def content(revision: int) -> RevisionContent:
        return await asyncio.to_thread(content_of, past)

    if past.status == "pending-rollback":
        return await engine.deployer.resume(ref, content, options, request.interrupt)
    return await engine.deployer.deploy(ref, "rollback", content, options, request.interrupt)


async def _write_succeeded(
    engine: Engine, request: ReconcileRequest, record: Record, ref: ReleaseRef, before: HelmReleaseStatus, text: str
) -> None:
    fields = await revision_fields(request, record, ref)
    fields["inventory"] = (await engine.deployer.found(ref, record)).inventory
    await engine.writer.write(request, request.status.remediated(before, True, ROLLBACK_SUCCEEDED, text, fields))


async def _write_failed(
    engine: Engine,
    request: ReconcileRequest,
    ref: ReleaseRef,
    before: HelmReleaseStatus,
    past: Record | None,
    error: GitsyncError,
) -> None:
    newest = engine.records.latest(ref.storage, ref.name)
    fields: RevisionFields = {}
    if newest is not None and newest.version > request.status.last_revision:
        failed = await engine.records.read(ref.storage, ref.name, newest.version)
        fields = await revision_fields(request, failed, ref)
    goal = f" to previous release {described(past, _goal(past))}" if past else ""
    last = request.release.spec.upgrade.remediation.exhausted(before.upgrade_failures)
    then = "nothing more is tried" if last else "the upgrade is tried again"
    hint = error.hint or NEXT_TRY
    request.log.error("rollback failed", error=error, hint=hint, then=then)
    text = f"Helm rollback{goal} failed: {error.message}"
    await engine.writer.write(request, request.status.remediated(before, False, ROLLBACK_FAILED, text, fields))


def candidates(revisions: Sequence[Summary], *, failed_tests: bool) -> list[Summary]:
    """The revisions that a rollback may go to, the best first: the one that is deployed, then those that were, the
    newest first. One whose tests failed is left out, unless ``failed_tests``: failures of tests do not count.
    """
    newest = sorted(revisions, key=lambda item: -item.version)
    passed = [item for item in newest if failed_tests or item.annotations.get(TESTS) != "Failed"]
    return [item for status in ("deployed", "superseded") for item in passed if item.status == status]


def mismatch(record: Record, digest: str) -> str:
    """Why a record cannot be trusted, "" when it can. ``digest`` is that of the revision when it was written, "" for
    one that somebody else deployed. Takes time that grows with the record: call it in a thread.
    """
    if not digest:
        return "the HelmRelease's history does not have it"
    return "" if checksum(record) == digest else "its record was changed since"


def _named(field: str, keys: Sequence[ObjectKey]) -> dict[str, str]:
    return {field: listed(keys)} if keys else {}


def _goal(past: Record) -> str:
    """The revision that is rolled back to; for a rollback that was interrupted, by the words in its description."""
    return past.description.rpartition(" ")[2] if past.status == "pending-rollback" else str(past.version)
