"""What is done about a failure: the failed release is rolled back or uninstalled before the next try.

The condition Remediated says how that went, in helm-controller's words (internal/reconcile/rollback_remediation.go,
uninstall_remediation.go). A rollback goes to the newest revision that was good, and only when its record still holds
what it held when it was written: the HelmRelease's status keeps its digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import (
    REMEDIATED,
    ROLLBACK_FAILED,
    ROLLBACK_SUCCEEDED,
    UNINSTALL_FAILED,
    UNINSTALL_SUCCEEDED,
)
from gitsync.errors import PASSING, GitsyncError, NotFound, ReleaseError, TerminalError, UninstallFailed
from gitsync.release.action.deploy import Deployer
from gitsync.release.action.options import uninstall_options
from gitsync.release.action.uninstall import Uninstaller
from gitsync.release.masking import without_secrets
from gitsync.release.reconcile.test import TESTS
from gitsync.release.revision import ActionOptions, Deployed, ReleaseRef, RevisionContent, content_of
from gitsync.release.status.events import named
from gitsync.release.status.status import StatusData, running, succeeded
from gitsync.release.storage.record import Record, RecordError, Summary, checksum
from gitsync.release.storage.store import RecordStore

if TYPE_CHECKING:
    from gitsync.release.desired import DesiredRelease
    from gitsync.release.reconcile.request import ReconcileRequest
    from gitsync.release.wanted import WantedObjects
    from gitsync.runtime.interrupt import Interrupt


class Remediation:
    """Rolls back and uninstalls what has failed."""

    def __init__(
        self, records: RecordStore, deployer: Deployer, uninstaller: Uninstaller, wanted: WantedObjects
    ) -> None:
        self._records = records
        self._deployer = deployer
        self._uninstaller = uninstaller
        self._wanted = wanted

    async def uninstall(
        self, request: ReconcileRequest, release: HelmRelease, ref: ReleaseRef, interrupt: Interrupt
    ) -> None:
        """Uninstall the failed release.

        Raises: UninstallFailed, RetryableError and what is PASSING: to be called again; Superseded.
        """
        before = request.status.old
        what = named(before)
        if not request.status.remedy_failed(UNINSTALL_FAILED):
            request.log.info("uninstalling the failed release before the next try")
            await request.write(request.status.remedying(running("uninstall", release.spec.timeout_of("uninstall"))))
        try:
            await self._uninstaller.uninstall(
                ref, uninstall_options(release, False, self._wanted.of(release).others), interrupt
            )
        except PASSING:
            raise
        except TerminalError as error:
            text = f"Helm uninstall remediation for release {what} failed: {error.message}"
            raise UninstallFailed(text, hint=error.hint, condition=REMEDIATED) from error
        text = f"Helm uninstall remediation for release {what} succeeded"
        past = request.status.forgotten()
        await request.write(request.status.remedied(before, True, UNINSTALL_SUCCEEDED, text, past))

    async def roll_back(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        target: DesiredRelease,
        options: ActionOptions,
        interrupt: Interrupt,
    ) -> None:
        """Roll back to the last good revision, or say why that could not be: it is not tried again.

        Raises: RetryableError and what is PASSING: to be called again; Superseded.
        """
        before, past, ref = request.status.old, None, target.ref
        await request.write(request.status.remedying(running("rollback", release.spec.timeout_of("rollback"))))
        try:
            past = await self._begun(ref) or await self._good(request, release, ref)
            deployed = await self._deploy(request, ref, past, options, interrupt)
        except PASSING:
            raise
        except TerminalError as error:
            last = release.spec.upgrade.remediation.exhausted(before.get("upgradeFailures", 0))
            await self._failed(request, ref, before, past, without_secrets(error, target.secrets), last=last)
            return
        record = deployed.record
        request.log.info("failed upgrade rolled back", revision=record.version, to_revision=_goal(past))
        text = f"Helm rollback to previous release {_described(past)} succeeded"
        remembered = request.status.remembered(record, ref.storage)
        remembered |= {"inventory": (await self._deployer.found(ref, record)).inventory}
        await request.write(request.status.remedied(before, True, ROLLBACK_SUCCEEDED, text, remembered))

    async def confirmed(self, request: ReconcileRequest, record: Record, ref: ReleaseRef) -> None:
        """A rollback that was not ready in time has become ready."""
        status = request.status
        text = f"{succeeded('rollback', record)}, after its deadline"
        remembered = status.remembered(record, ref.storage)
        remembered |= {"inventory": (await self._deployer.found(ref, record)).inventory}
        await request.write(status.remedied(status.old, True, ROLLBACK_SUCCEEDED, text, remembered))

    async def _begun(self, ref: ReleaseRef) -> Record | None:
        """A rollback that was cut short; its own record holds all that it brings back."""
        latest = self._records.latest(ref.storage, ref.name)
        if latest is None or latest.status != "pending-rollback":
            return None
        return await self._records.read(ref.storage, ref.name, latest.version)

    async def _good(self, request: ReconcileRequest, release: HelmRelease, ref: ReleaseRef) -> Record:
        """The newest revision to roll back to. Raises: ReleaseError when there is none."""
        untested = release.spec.upgrade.remediation.ignores_test_failures(release.spec.test)
        refused = []
        for item in candidates(self._records.revisions(ref.storage, ref.name), failed_tests=untested):
            try:
                record = await self._records.read(ref.storage, ref.name, item.version)
                why = mismatch(record, request.status.digest_of(item.version))
            except (NotFound, RecordError) as error:
                why = error.message
            if not why:
                return record
            request.log.warning("revision cannot be rolled back to", revision=item.version, why=why)
            refused.append(f"revision {item.version}: {why}")
        reasons = f" ({'; '.join(refused)})" if refused else ""
        raise ReleaseError(f"there is no good revision to roll back to{reasons}", action="rollback")

    async def _deploy(
        self, request: ReconcileRequest, ref: ReleaseRef, past: Record, options: ActionOptions, interrupt: Interrupt
    ) -> Deployed:
        request.log.info("rolling back the failed upgrade", to_revision=_goal(past))

        async def content(revision: int) -> RevisionContent:
            return content_of(past)

        if past.status == "pending-rollback":
            return await self._deployer.resume(ref, content, options, interrupt)
        return await self._deployer.deploy(ref, "rollback", content, options, interrupt)

    async def _failed(
        self,
        request: ReconcileRequest,
        ref: ReleaseRef,
        before: StatusData,
        past: Record | None,
        error: GitsyncError,
        *,
        last: bool,
    ) -> None:
        latest = self._records.latest(ref.storage, ref.name)
        remembered: StatusData = {}
        if latest is not None and latest.version > request.status.last_revision:
            failed = await self._records.read(ref.storage, ref.name, latest.version)
            remembered = request.status.remembered(failed, ref.storage)
        target = f" to previous release {_described(past)}" if past else ""
        then = "nothing more is tried" if last else "the upgrade is tried again"
        hint = error.hint or "the next commit that changes this release tries again"
        request.log.error("rollback failed", error=error, hint=hint, then=then)
        text = f"Helm rollback{target} failed: {error.message}"
        await request.write(request.status.remedied(before, False, ROLLBACK_FAILED, text, remembered))


def candidates(revisions: Sequence[Summary], *, failed_tests: bool) -> list[Summary]:
    """The revisions that a rollback may go to, the best first: the one that is deployed, then those that were, the
    newest first. One whose tests failed is none, unless ``failed_tests`` says that they do not count.
    """
    newest = sorted(revisions, key=lambda item: -item.version)
    passed = [item for item in newest if failed_tests or item.annotations.get(TESTS) != "Failed"]
    return [item for status in ("deployed", "superseded") for item in passed if item.status == status]


def mismatch(record: Record, digest: str) -> str:
    """Why a record cannot be trusted, ``digest`` being that of the revision as it was written; "" when it can. Of a
    revision that somebody else deployed there is none.
    """
    if not digest:
        return "the HelmRelease's history does not have it"
    return "" if checksum(record) == digest else "its record was changed since"


def _goal(past: Record) -> str:
    """The revision that is gone back to: of a rollback that was cut short, Helm's words in its description say it."""
    return past.description.rpartition(" ")[2] if past.status == "pending-rollback" else str(past.version)


def _described(past: Record) -> str:
    return f"{past.namespace}/{past.name}.v{_goal(past)} with chart {past.chart_name}@{past.chart_version}"
