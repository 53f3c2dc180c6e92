"""Actions on a release, with what people see of them: status before and after, log lines, reasons while waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import ActionName, HelmRelease
from gitsync.api.names import RELEASED, UNINSTALL_SUCCEEDED
from gitsync.cel.expressions import Expressions
from gitsync.charts import ReleaseContext, Rendered
from gitsync.errors import (
    PASSING,
    GitsyncError,
    KindUnknown,
    NotFound,
    NotReadyInTime,
    RenderError,
    TerminalError,
    UninstallFailed,
    ValuesError,
)
from gitsync.release.action.deploy import Deployer
from gitsync.release.action.options import deploy_options, uninstall_options
from gitsync.release.action.uninstall import Uninstaller
from gitsync.release.desired import ref_of
from gitsync.release.masking import without_secrets
from gitsync.release.reconcile.remediation import Remediation
from gitsync.release.reconcile.retries import policy_of
from gitsync.release.reconcile.state import NextAction
from gitsync.release.reconcile.test import ChartTests, ChartTestsFailed
from gitsync.release.revision import (
    DeployAction,
    Deployed,
    ReleaseRef,
    RevisionContent,
    content_from,
    context_of,
    holds,
)
from gitsync.release.status.events import cause_of, named, uninstalled
from gitsync.release.status.status import Attempt, CountedAction, StatusBuilder, StatusData, running, succeeded
from gitsync.release.storage.record import FAILURE, Record, checksum, digests_of
from gitsync.release.storage.store import RecordStore
from gitsync.release.values.reuse import preserving
from gitsync.runtime.alongside import alongside
from gitsync.runtime.events import Event
from gitsync.runtime.progress import reporting
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.apply.delete import WantedBy
    from gitsync.release.desired import DesiredRelease
    from gitsync.release.reconcile.request import ReconcileRequest
    from gitsync.release.revision import Claim
    from gitsync.release.wanted import WantedObjects
    from gitsync.runtime.interrupt import Interrupt

#: Renders a target as one revision of its release.
Render = Callable[["DesiredRelease", ReleaseContext], Awaitable[Rendered]]
#: Seconds between two status writes about the same wait.
REASON_INTERVAL = 5.0


@dataclass
class ActionRunner:
    """Carries out what was decided for one release, and says so."""

    records: RecordStore
    deployer: Deployer
    uninstaller: Uninstaller
    render: Render
    tests: ChartTests
    expressions: Expressions
    wanted: WantedObjects

    def __post_init__(self) -> None:
        self._remedies = Remediation(self.records, self.deployer, self.uninstaller, self.wanted)

    async def unlock(self, request: ReconcileRequest, ref: ReleaseRef) -> None:
        """Free a release whose pending record nobody works on."""
        latest = self.records.latest(ref.storage, ref.name)
        request.log.warning("release was left locked, going on", revision=latest.version if latest else 0)
        await self.deployer.unlock(ref, "interrupted; gitsync went on with what is wanted now")

    async def newest(self, ref: ReleaseRef) -> Record:
        """The newest revision, with its payload. Raises: NotFound when it has gone meanwhile; RecordError."""
        latest = self.records.latest(ref.storage, ref.name)
        return await self.records.read(ref.storage, ref.name, latest.version if latest else 0)

    async def take_over(
        self, request: ReconcileRequest, release: HelmRelease, target: DesiredRelease, attempt: Attempt, record: Record
    ) -> bool:
        """Take a revision over that somebody else wrote or changed, if it is exactly what is wanted; True if so."""
        if record.status != "deployed":
            return False
        # Helm numbers from 1, so that any later revision was an upgrade (or came after a history that was kept).
        verb: CountedAction = "install" if record.version == 1 else "upgrade"
        rendered = await self.render(target, context_of(target.ref, record.version, verb))
        if not await asyncio.to_thread(holds, record, rendered, target.values):
            return False
        await self.records.mark(record, target.ref.storage, target.digests)
        if request.status.digest_of(record.version) != checksum(
            record
        ):  # else only its labels were touched, or the like
            request.log.info("release taken over as it is", revision=record.version)
            found = await self.deployer.found(target.ref, record)
            await self.tests.deployed(request, release, found, attempt, verb)
        return True

    async def confirm(
        self, request: ReconcileRequest, release: HelmRelease, target: DesiredRelease, attempt: Attempt
    ) -> bool:
        """Take a release that was not ready in time as deployed, when it has become ready since; True when it was."""
        latest = self.records.latest(target.ref.storage, target.ref.name)
        if latest is None or latest.annotations.get(FAILURE) != NotReadyInTime.__name__:
            return False
        rolled_back = digests_of(latest) != target.digests
        verb: DeployAction = "rollback" if rolled_back else request.status.last_verb
        options = deploy_options(release, verb, "ready after its deadline", self.expressions)
        record = await self.deployer.confirm(target.ref, verb, options)
        if record is None:
            return False
        request.log.info("release has become ready after its deadline", revision=record.version)
        if rolled_back:
            await self._remedies.confirmed(request, record, target.ref)
        else:
            found = await self.deployer.found(target.ref, record)
            await self.tests.deployed(request, release, found, attempt, request.status.last_verb)
        return True

    async def perform(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        target: DesiredRelease,
        attempt: Attempt,
        action: NextAction,
        interrupt: Interrupt,
    ) -> float | None:
        """Carry out an action that changes the cluster. Returns seconds until the next pass, None for when woken.

        Raises: RetryableError, Superseded; ValuesError and RenderError before anything was changed.
        """
        if action is NextAction.UNINSTALL_AND_RETRY:
            with self._telling(request, release, "uninstall", StatusBuilder.remedying):
                await self._remedies.uninstall(request, release, target.ref, interrupt)
            return 0.0
        if action is NextAction.ROLLBACK_AND_RETRY:
            options = deploy_options(
                release, "rollback", cause_of(request.commit), self.expressions, *self._claims(release)
            )
            with self._telling(request, release, "rollback", StatusBuilder.remedying):
                await self._remedies.roll_back(request, release, target, options, interrupt)
            return 0.0
        verb = self._verb(target.ref, action)
        underway = request.status.progressing(running(verb, release.spec.timeout_of(verb)), attempt, verb)
        started = time.monotonic()
        if request.status.is_stalled:  # by a template that fails, and will again: nothing is said as long as it does
            revisions = self.records.revisions(target.ref.storage, target.ref.name)
            await self._content(target, verb)(1 + max((item.version for item in revisions), default=0))
        if action is NextAction.RESUME and not request.status.is_retrying:  # else it was said why it is tried again
            request.log.info("taking up what was interrupted", action=verb)
        try:
            async with alongside(request.write(underway)):  # said while the first steps are taken already
                with self._telling(request, release, verb):
                    deployed = await self._deploy(request, release, target, action, verb, interrupt)
        except (ValuesError, RenderError, KindUnknown, NotFound, *PASSING):
            raise
        except TerminalError as error:
            return await self._failed(request, release, target, verb, attempt, error)
        self._log_success(request, verb, deployed, time.monotonic() - started)
        again = await self.tests.deployed(request, release, deployed, attempt, verb)
        # Drift is looked for in passes that find the release in sync, the first of them at once.
        return again if release.spec.drift_detection.mode == "disabled" else 0.0

    async def test(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        target: DesiredRelease,
        attempt: Attempt,
        interrupt: Interrupt,
    ) -> float | None:
        """Run the chart's tests on the deployed revision. Returns seconds until the next pass, as ``perform``."""
        try:
            with self._telling(request, release, "test"):
                await self.tests.run(request, release, attempt, interrupt)
        except ChartTestsFailed as error:
            return await self._failed(request, release, target, request.status.last_verb, attempt, error)
        return 0.0

    async def recall(self, request: ReconcileRequest, target: DesiredRelease, attempt: Attempt) -> None:
        """Write a deployed revision into a status that does not know it: the process ended between the record and the
        status, or somebody else deployed it."""
        ref = target.ref
        latest = self.records.latest(ref.storage, ref.name)
        assert latest is not None
        record = await self.records.read(ref.storage, ref.name, latest.version)
        verb: CountedAction = "install" if record.version == 1 else "upgrade"
        status = request.status.released(succeeded(verb, record), record, ref.storage, attempt, verb)
        await request.write(status | {"inventory": (await self.deployer.found(ref, record)).inventory})

    async def uninstall(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        ref: ReleaseRef,
        interrupt: Interrupt,
        *,
        in_a_hurry: bool = False,
    ) -> None:
        """Uninstall for good, and say what stays; ``in_a_hurry`` without hooks and without waiting.

        Raises: UninstallFailed, RetryableError and what is PASSING: to be called again; NotFound, Superseded.
        """
        started, status = time.monotonic(), request.status.old
        claims = self.wanted.of(release)
        others = claims.others if ref == ref_of(release) else claims.renamed
        options = uninstall_options(release, release.spec.uninstall.keep_history, others)
        if in_a_hurry:
            options = replace(options, hooks=False, wait=False)
        try:
            with self._telling(request, release, "uninstall"):
                result = await self.uninstaller.uninstall(ref, options, interrupt)
        except (NotFound, *PASSING):
            raise
        except TerminalError as error:
            text = f"Helm uninstall failed for release {named(status) or ref}: {error.message}"
            raise UninstallFailed(text, hint=error.hint, condition=RELEASED) from error
        if result.deleted and (text := uninstalled(status)):
            request.tell(Event("Normal", UNINSTALL_SUCCEEDED, text))
        request.log.info(
            "release uninstalled",
            deleted=len(result.deleted),
            **({"kept": listed(result.kept)} if result.kept else {}),
            took=time.monotonic() - started,
        )

    async def move(
        self, request: ReconcileRequest, release: HelmRelease, old: ReleaseRef, interrupt: Interrupt
    ) -> None:
        """The release has another name or namespace now: uninstall what it was before (as Flux does)."""
        request.log.warning("release has another name or namespace, uninstalling it under the old one", old=str(old))
        await self.uninstall(request, release, old, interrupt)
        await request.write(request.status.old | request.status.forgotten())

    async def _deploy(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        target: DesiredRelease,
        action: NextAction,
        verb: CountedAction,
        interrupt: Interrupt,
    ) -> Deployed:
        options = deploy_options(release, verb, cause_of(request.commit), self.expressions, *self._claims(release))
        content = self._content(target, verb)
        try:
            if action is NextAction.RESUME:
                return await self.deployer.resume(target.ref, content, options, interrupt)
            return await self.deployer.deploy(target.ref, verb, content, options, interrupt)
        except GitsyncError as error:
            raise without_secrets(error, target.secrets)  # noqa: B904  # the same error, with fewer words

    def _claims(self, release: HelmRelease) -> tuple[WantedBy, Claim]:
        claims = self.wanted.of(release)
        return claims.others, claims.claim

    def _content(self, target: DesiredRelease, verb: CountedAction) -> Callable[[int], Awaitable[RevisionContent]]:
        """What makes the content of a revision with a number."""

        async def content(revision: int) -> RevisionContent:
            try:
                wanted = target
                if target.preserve_values and verb == "upgrade":
                    wanted = await preserving(self.records, target)
                rendered = await self.render(wanted, context_of(target.ref, revision, verb))
            except GitsyncError as error:
                raise without_secrets(error, target.secrets)  # noqa: B904  # the same error, with fewer words
            return content_from(rendered, wanted)

        return content

    def _verb(self, ref: ReleaseRef, action: NextAction) -> CountedAction:
        latest = self.records.latest(ref.storage, ref.name)
        if action is NextAction.INSTALL or latest is None:
            return "install"
        return "install" if action is NextAction.RESUME and latest.status == "pending-install" else "upgrade"

    def _telling(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        doing: ActionName,
        say: Callable[[StatusBuilder, str], StatusData] = StatusBuilder.progressing,
    ) -> AbstractContextManager[None]:
        """Inside, the log is told each new reason to wait, and the status at intervals the newest."""
        message = running(doing, release.spec.timeout_of(doing))
        logged, written = "", 0.0

        async def report(reason: str) -> bool:
            nonlocal logged, written
            if reason != logged:
                logged = reason
                request.log.info("waiting", **{"for": reason})
            if time.monotonic() - written < REASON_INTERVAL:
                return True
            written = time.monotonic()
            await request.write(say(request.status, f"{message}; waiting for {reason}"))
            return False

        return reporting(report)

    def _log_success(self, request: ReconcileRequest, verb: CountedAction, deployed: Deployed, took: float) -> None:
        record, delta = deployed.record, deployed.delta
        # Said before the status is written: that wakes dependents, and theirs are the lines after this one.
        request.log.info(
            f"release {verb}{'ed' if verb == 'install' else 'd'}",
            revision=record.version,
            chart=f"{record.chart_name}-{record.chart_version}",
            created=len(delta.created),
            changed=len(delta.changed),
            deleted=len(delta.removed),
            **({"kept": listed(delta.kept)} if delta.kept else {}),
            took=took,
        )

    async def _failed(
        self,
        request: ReconcileRequest,
        release: HelmRelease,
        target: DesiredRelease,
        verb: CountedAction,
        attempt: Attempt,
        error: TerminalError,
    ) -> float | None:
        action = policy_of(release, request.status, verb)
        failures = request.status.failures(verb, attempt) + 1
        forever = action.strategy.retries_forever
        exhausted = not forever and action.remediation.exhausted(failures)
        tests = isinstance(error, ChartTestsFailed)
        past = await self._past(request, target, error)
        status = request.status.failed(verb, error.told, attempt, past, exhausted=exhausted, tests=tests)
        hint = error.hint or ("the next commit that changes this release tries again" if exhausted else "")
        request.log.error(
            f"{verb} retries exhausted" if exhausted else f"{verb} failed, will be tried again",
            error=error,
            tries=failures,
            **({"hint": hint} if hint else {}),
        )
        await request.write(status)
        if forever:
            return action.strategy.retry_interval
        return None if exhausted and not action.remediation.remediates_last_failure() else 0.0

    async def _past(self, request: ReconcileRequest, target: DesiredRelease, error: TerminalError) -> StatusData:
        """What the status remembers of a revision that has just failed: a release is moved by that, too."""
        ref = target.ref
        if isinstance(error, ChartTestsFailed):
            return request.status.remembered(error.record, ref.storage)
        latest = self.records.latest(ref.storage, ref.name)
        if latest is None or latest.status != "failed":
            return {}
        return request.status.remembered(await self.records.read(ref.storage, ref.name, latest.version), ref.storage)
