"""Actions on a release, with what people see of them: status before and after, log lines, reasons while waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import Action as ReleaseAction
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import RELEASED, UNINSTALL_SUCCEEDED
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
from gitsync.release.action.revision import content_from, context_of, holds
from gitsync.release.action.deploy import Content, Deployed, Deployer, ReleaseRef, Verb
from gitsync.release.status.events import Happening, cause_of, named, uninstalled
from gitsync.cel.expressions import Expressions
from gitsync.runtime.alongside import meanwhile
from gitsync.release.action.options import deploy_options, uninstall_options
from gitsync.release.reconcile.retries import policy_of
from gitsync.release.values.reuse import preserving
from gitsync.runtime.progress import telling
from gitsync.release.storage.record import FAILURE, Record, checksum
from gitsync.release.reconcile.remediation import Remedies
from gitsync.release.masking import without_secrets
from gitsync.release.reconcile.state import Action, digests_of
from gitsync.release.status.status import Attempt, StatusData, StatusWriter, running, succeeded
from gitsync.release.status.status import Verb as CountedVerb
from gitsync.release.storage.store import RecordStore
from gitsync.release.reconcile.test import ChartTests, ChartTestsFailed
from gitsync.release.action.uninstall import Uninstaller
from gitsync.apply.wait import names

if TYPE_CHECKING:
    from gitsync.runtime.interrupt import Interrupt
    from gitsync.release.desired import Target
    from gitsync.release.reconcile.request import Turn

#: Renders a target as one revision of its release.
Render = Callable[["Target", ReleaseContext], Awaitable[Rendered]]
#: Seconds between two status writes about the same wait.
REASON_INTERVAL = 5.0


@dataclass
class Performer:
    """Carries out what was decided for one release, and says so."""

    records: RecordStore
    deployer: Deployer
    uninstaller: Uninstaller
    render: Render
    tests: ChartTests
    expressions: Expressions

    def __post_init__(self) -> None:
        self._remedies = Remedies(self.records, self.deployer, self.uninstaller)

    async def unlock(self, turn: Turn, ref: ReleaseRef) -> None:
        """Free a release whose pending record nobody works on."""
        latest = self.records.latest(ref.storage, ref.name)
        turn.log.warning("release was left locked, going on", revision=latest.version if latest else 0)
        await self.deployer.unlock(ref, "interrupted; gitsync went on with what is wanted now")

    async def newest(self, ref: ReleaseRef) -> Record:
        """The newest revision, with its payload. Raises: NotFound when it has gone meanwhile; RecordError."""
        latest = self.records.latest(ref.storage, ref.name)
        return await self.records.read(ref.storage, ref.name, latest.version if latest else 0)

    async def take_over(
        self, turn: Turn, release: HelmRelease, target: Target, attempt: Attempt, record: Record
    ) -> bool:
        """Take a revision over that somebody else wrote or changed, if it is exactly what is wanted; True if so."""
        if record.status != "deployed":
            return False
        # Helm numbers from 1, so that any later revision was an upgrade (or came after a history that was kept).
        verb: CountedVerb = "install" if record.version == 1 else "upgrade"
        rendered = await self.render(target, context_of(target.ref, record.version, verb))
        if not await asyncio.to_thread(holds, record, rendered, target.values):
            return False
        await self.records.mark(record, target.ref.storage, target.digests)
        if turn.status.digest_of(record.version) != checksum(record):  # else only its labels were touched, or the like
            turn.log.info("release taken over as it is", revision=record.version)
            found = await self.deployer.found(target.ref, record)
            await self.tests.deployed(turn, release, found, attempt, verb)
        return True

    async def confirm(self, turn: Turn, release: HelmRelease, target: Target, attempt: Attempt) -> bool:
        """Take a release that was not ready in time as deployed, when it has become ready since; True when it was."""
        latest = self.records.latest(target.ref.storage, target.ref.name)
        if latest is None or latest.annotations.get(FAILURE) != NotReadyInTime.__name__:
            return False
        rolled_back = digests_of(latest) != target.digests
        verb: Verb = "rollback" if rolled_back else turn.status.last_verb
        options = deploy_options(release, verb, "ready after its deadline", self.expressions)
        record = await self.deployer.confirm(target.ref, verb, options)
        if record is None:
            return False
        turn.log.info("release has become ready after its deadline", revision=record.version)
        if rolled_back:
            await self._remedies.confirmed(turn, record, target.ref)
        else:
            found = await self.deployer.found(target.ref, record)
            await self.tests.deployed(turn, release, found, attempt, turn.status.last_verb)
        return True

    async def perform(
        self,
        turn: Turn,
        release: HelmRelease,
        target: Target,
        attempt: Attempt,
        action: Action,
        interrupt: Interrupt,
    ) -> float | None:
        """Carry out an action that changes the cluster. Returns seconds until the next pass, None for when woken.

        Raises: RetryableError, Superseded; ValuesError and RenderError before anything was changed.
        """
        if action is Action.UNINSTALL_AND_RETRY:
            with self._telling(turn, release, "uninstall", StatusWriter.remedying):
                await self._remedies.uninstall(turn, release, target.ref, interrupt)
            return 0.0
        if action is Action.ROLLBACK_AND_RETRY:
            options = deploy_options(release, "rollback", cause_of(turn.commit), self.expressions)
            with self._telling(turn, release, "rollback", StatusWriter.remedying):
                await self._remedies.roll_back(turn, release, target, options, interrupt)
            return 0.0
        verb = self._verb(target.ref, action)
        underway = turn.status.progressing(running(verb, release.spec.timeout_of(verb)), attempt, verb)
        started = time.monotonic()
        if turn.status.is_stalled:  # by a template that fails, and will again: nothing is said as long as it does
            revisions = self.records.revisions(target.ref.storage, target.ref.name)
            await self._content(target, verb)(1 + max((item.version for item in revisions), default=0))
        if action is Action.RESUME and not turn.status.is_retrying:  # else it was said why it is tried again
            turn.log.info("taking up what was interrupted", action=verb)
        try:
            async with meanwhile(turn.write(underway)):  # said while the first steps are taken already
                with self._telling(turn, release, verb):
                    deployed = await self._deploy(turn, release, target, action, verb, interrupt)
        except (ValuesError, RenderError, KindUnknown, NotFound, *PASSING):
            raise
        except TerminalError as error:
            return await self._failed(turn, release, target, verb, attempt, error)
        self._log_success(turn, verb, deployed, time.monotonic() - started)
        again = await self.tests.deployed(turn, release, deployed, attempt, verb)
        # Drift is looked for in passes that find the release in sync, the first of them at once.
        return again if release.spec.drift_detection.mode == "disabled" else 0.0

    async def test(
        self, turn: Turn, release: HelmRelease, target: Target, attempt: Attempt, interrupt: Interrupt
    ) -> float | None:
        """Run the chart's tests on the deployed revision. Returns seconds until the next pass, as ``perform``."""
        try:
            with self._telling(turn, release, "test"):
                await self.tests.run(turn, release, attempt, interrupt)
        except ChartTestsFailed as error:
            return await self._failed(turn, release, target, turn.status.last_verb, attempt, error)
        return 0.0

    async def recall(self, turn: Turn, target: Target, attempt: Attempt) -> None:
        """Write a deployed revision into a status that does not know it: the process ended between the record and the
        status, or somebody else deployed it."""
        ref = target.ref
        latest = self.records.latest(ref.storage, ref.name)
        assert latest is not None
        record = await self.records.read(ref.storage, ref.name, latest.version)
        verb: CountedVerb = "install" if record.version == 1 else "upgrade"
        status = turn.status.released(succeeded(verb, record), record, ref.storage, attempt, verb)
        await turn.write(status | {"inventory": (await self.deployer.found(ref, record)).inventory})

    async def uninstall(
        self, turn: Turn, release: HelmRelease, ref: ReleaseRef, interrupt: Interrupt, *, in_a_hurry: bool = False
    ) -> None:
        """Uninstall for good, and say what stays; ``in_a_hurry`` without hooks and without waiting.

        Raises: UninstallFailed, RetryableError and what is PASSING: to be called again; NotFound, Superseded.
        """
        started, status = time.monotonic(), turn.status.old
        options = uninstall_options(release, release.spec.uninstall.keep_history)
        if in_a_hurry:
            options = replace(options, hooks=False, wait=False)
        try:
            with self._telling(turn, release, "uninstall"):
                result = await self.uninstaller.uninstall(ref, options, interrupt)
        except (NotFound, *PASSING):
            raise
        except TerminalError as error:
            text = f"Helm uninstall failed for release {named(status) or ref}: {error.message}"
            raise UninstallFailed(text, hint=error.hint, condition=RELEASED) from error
        if result.deleted and (text := uninstalled(status)):
            turn.tell(Happening("Normal", UNINSTALL_SUCCEEDED, text))
        turn.log.info(
            "release uninstalled",
            deleted=len(result.deleted),
            **({"kept": names(result.kept)} if result.kept else {}),
            took=time.monotonic() - started,
        )

    async def move(self, turn: Turn, release: HelmRelease, old: ReleaseRef, interrupt: Interrupt) -> None:
        """The release has another name or namespace now: uninstall what it was before (as Flux does)."""
        turn.log.warning("release has another name or namespace, uninstalling it under the old one", old=str(old))
        await self.uninstall(turn, release, old, interrupt)
        await turn.write(turn.status.old | turn.status.forgotten())

    async def _deploy(
        self,
        turn: Turn,
        release: HelmRelease,
        target: Target,
        action: Action,
        verb: CountedVerb,
        interrupt: Interrupt,
    ) -> Deployed:
        options = deploy_options(release, verb, cause_of(turn.commit), self.expressions)
        content = self._content(target, verb)
        try:
            if action is Action.RESUME:
                return await self.deployer.resume(target.ref, content, options, interrupt)
            return await self.deployer.deploy(target.ref, verb, content, options, interrupt)
        except GitsyncError as error:
            raise without_secrets(error, target.secrets)  # noqa: B904  # the same error, with fewer words

    def _content(self, target: Target, verb: CountedVerb) -> Callable[[int], Awaitable[Content]]:
        """What makes the content of a revision with a number."""

        async def content(revision: int) -> Content:
            try:
                wanted = target
                if target.preserve_values and verb == "upgrade":
                    wanted = await preserving(self.records, target)
                rendered = await self.render(wanted, context_of(target.ref, revision, verb))
            except GitsyncError as error:
                raise without_secrets(error, target.secrets)  # noqa: B904  # the same error, with fewer words
            return content_from(rendered, wanted)

        return content

    def _verb(self, ref: ReleaseRef, action: Action) -> CountedVerb:
        latest = self.records.latest(ref.storage, ref.name)
        if action is Action.INSTALL or latest is None:
            return "install"
        return "install" if action is Action.RESUME and latest.status == "pending-install" else "upgrade"

    def _telling(
        self,
        turn: Turn,
        release: HelmRelease,
        doing: ReleaseAction,
        say: Callable[[StatusWriter, str], StatusData] = StatusWriter.progressing,
    ) -> AbstractContextManager[None]:
        """Inside, the log is told each new reason to wait, and the status at intervals the newest."""
        message = running(doing, release.spec.timeout_of(doing))
        logged, written = "", 0.0

        async def report(reason: str) -> bool:
            nonlocal logged, written
            if reason != logged:
                logged = reason
                turn.log.info("waiting", **{"for": reason})
            if time.monotonic() - written < REASON_INTERVAL:
                return True
            written = time.monotonic()
            await turn.write(say(turn.status, f"{message}; waiting for {reason}"))
            return False

        return telling(report)

    def _log_success(self, turn: Turn, verb: CountedVerb, deployed: Deployed, took: float) -> None:
        record, delta = deployed.record, deployed.delta
        # Said before the status is written: that wakes dependents, and theirs are the lines after this one.
        turn.log.info(
            f"release {verb}{'ed' if verb == 'install' else 'd'}",
            revision=record.version,
            chart=f"{record.chart_name}-{record.chart_version}",
            created=len(delta.created),
            changed=len(delta.changed),
            deleted=len(delta.removed),
            **({"kept": names(delta.kept)} if delta.kept else {}),
            took=took,
        )

    async def _failed(
        self,
        turn: Turn,
        release: HelmRelease,
        target: Target,
        verb: CountedVerb,
        attempt: Attempt,
        error: TerminalError,
    ) -> float | None:
        action = policy_of(release, turn.status, verb)
        failures = turn.status.failures(verb, attempt) + 1
        forever = action.strategy.retries_forever
        exhausted = not forever and action.remediation.exhausted(failures)
        tests = isinstance(error, ChartTestsFailed)
        past = await self._past(turn, target, error)
        status = turn.status.failed(verb, error.told, attempt, past, exhausted=exhausted, tests=tests)
        hint = error.hint or ("the next commit that changes this release tries again" if exhausted else "")
        turn.log.error(
            f"{verb} retries exhausted" if exhausted else f"{verb} failed, will be tried again",
            error=error,
            tries=failures,
            **({"hint": hint} if hint else {}),
        )
        await turn.write(status)
        if forever:
            return action.strategy.retry_interval
        return None if exhausted and not action.remediation.remediates_last_failure() else 0.0

    async def _past(self, turn: Turn, target: Target, error: TerminalError) -> StatusData:
        """What the status remembers of a revision that has just failed: a release is moved by that, too."""
        ref = target.ref
        if isinstance(error, ChartTestsFailed):
            return turn.status.remembered(error.record, ref.storage)
        latest = self.records.latest(ref.storage, ref.name)
        if latest is None or latest.status != "failed":
            return {}
        return turn.status.remembered(await self.records.read(ref.storage, ref.name, latest.version), ref.storage)
