"""The parts that actions on the releases of one target cluster work with, and the statuses that several of them
write."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gitsync.apply.claimant import Claimant
from gitsync.apply.ownership import OF_SYNC
from gitsync.cel.expressions import Expressions
from gitsync.errors import TerminalError
from gitsync.release.action.deploy import Deployer
from gitsync.release.action.options import deploy_options, uninstall_options
from gitsync.release.action.uninstall import Uninstaller, UninstallOptions
from gitsync.release.clusters import TargetCluster
from gitsync.release.desired import DesiredRelease
from gitsync.release.leftovers import Leftovers, leftovers_of
from gitsync.release.reconcile.facts import policy_of
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.release.render import Renderer
from gitsync.release.revision import ActionOptions, CountedAction, DeployAction, Deployed
from gitsync.release.status.builder import DeployedRevision, RevisionFields
from gitsync.release.status.events import cause_of
from gitsync.release.status.history import running, snapshot_of, succeeded
from gitsync.release.storage.record import Record
from gitsync.release.wanted.releaseclaims import ReleaseClaims
from gitsync.release.wanted.wantedobjects import WantedObjects

if TYPE_CHECKING:
    from gitsync.release.revision import ReleaseRef
    from gitsync.release.storage.recordstore import RecordStore

#: The hint when no retry is left.
NEXT_TRY = "the next change of this release, its chart or its values tries again"


@dataclass(frozen=True)
class Engine:
    """The parts for one target cluster. They keep nothing of a release: all comes with the request."""

    target: TargetCluster
    deployer: Deployer
    uninstaller: Uninstaller
    renderer: Renderer
    writer: StatusWriter
    expressions: Expressions
    wanted: WantedObjects

    @property
    def records(self) -> RecordStore:
        """Helm's records in the target cluster."""
        return self.target.records

    def options(self, request: ReconcileRequest, action: DeployAction, cause: str = "") -> ActionOptions:
        """The options of an action; ``cause`` is the commit in words unless given."""
        claims = ReleaseClaims(self.wanted, request.release)
        cause = cause or cause_of(request.commit)
        leftovers = self.leftovers(request)
        return deploy_options(request.release, action, cause, self.expressions, claims.others, claims.claim, leftovers)

    def uninstall_options(
        self, request: ReconcileRequest, *, replaced: bool = False, for_good: bool = False
    ) -> UninstallOptions:
        """The options of an uninstall. ``replaced``: the HelmRelease is to be another Helm release, and objects that
        this one is to have are not deleted; ``for_good``: the HelmRelease is removed."""
        claims, leftovers = ReleaseClaims(self.wanted, request.release), self.leftovers(request)
        wanted_by = claims.renamed if replaced else claims.others
        return uninstall_options(request.release, wanted_by, leftovers, for_good=for_good)

    def leftovers(self, request: ReconcileRequest) -> Leftovers:
        """The leftovers of the HelmRelease."""
        claims = ReleaseClaims(self.wanted, request.release)
        return Leftovers(
            leftovers_of(request.manifest),
            claims.others_ever,
            partial(self.writer.note_leftovers, request),
            self._lets_go,
            Claimant.of_release(request.key),
        )

    def _lets_go(self, former: str) -> bool:
        """Whether a former owner of an object (see ``former_owner``) would delete it when nobody wants it: it is a sync
        of this agent that prunes, or a release that some HelmRelease here has, or had."""
        if (sync := former.removeprefix(OF_SYNC)) != former:
            return self.wanted.claims.prunes(sync)
        return self.wanted.is_managed(former) or not self.target.records.has(former)


@dataclass(frozen=True)
class Engines:
    """Makes an engine for each target cluster."""

    renderer: Renderer
    writer: StatusWriter
    expressions: Expressions
    wanted: WantedObjects

    def __call__(self, target: TargetCluster) -> Engine:
        """An engine; costs nothing, since all that is shared belongs to the target."""
        deployer = Deployer(target.cluster, target.records, target.slots)
        uninstaller = Uninstaller(target.cluster, target.records)
        return Engine(target, deployer, uninstaller, self.renderer, self.writer, self.expressions, self.wanted)


async def newest_record(engine: Engine, ref: ReleaseRef) -> Record:
    """The newest revision, with its payload. Raises: NotFound when it is gone by now; RecordError."""
    newest = engine.records.latest(ref.storage, ref.name)
    return await engine.records.read(ref.storage, ref.name, newest.version if newest else 0)


async def deployed_revision(record: Record, desired: DesiredRelease, action: CountedAction) -> DeployedRevision:
    """A revision for the status."""
    snapshot = await asyncio.to_thread(snapshot_of, record)
    return DeployedRevision(succeeded(action, record), snapshot, desired.ref.storage, desired.attempt, action)


async def write_deployed(
    engine: Engine, request: ReconcileRequest, desired: DesiredRelease, deployed: Deployed, action: CountedAction
) -> float | None:
    """Write that a revision was deployed: Ready, or with its tests next. Returns seconds until the next pass, for
    these."""
    revision = await deployed_revision(deployed.record, desired, action)
    spec = request.release.spec
    if not spec.test.enable:
        await engine.writer.write(request, request.status.released(revision, deployed.inventory))
        return None
    message = running("test", spec.timeout_of("test"))
    await engine.writer.write(request, request.status.testing(revision, deployed.inventory, message))
    return 0.0


async def write_failed(
    engine: Engine,
    request: ReconcileRequest,
    desired: DesiredRelease,
    action: CountedAction,
    error: TerminalError,
    tested: Record | None = None,
) -> float | None:
    """Write that an attempt failed; ``tested`` is the revision if its tests failed. Returns seconds until the next
    pass."""
    policy = policy_of(request.release, request.status, action)
    failures = request.status.failures(action, desired.attempt) + 1
    forever = policy.strategy.retries_forever
    exhausted = not forever and policy.remediation.exhausted(failures)
    record = tested or await _failed_record(engine, desired.ref)
    past = await revision_fields(request, record, desired.ref) if record is not None else {}
    status = request.status.failed(
        action, error.told, desired.attempt, past, exhausted=exhausted, tests=tested is not None
    )
    hint = error.hint or (NEXT_TRY if exhausted else "")
    request.log.error(
        f"{action} retries exhausted" if exhausted else f"{action} failed, will be tried again",
        error=error,
        tries=failures,
        **({"hint": hint} if hint else {}),
    )
    await engine.writer.write(request, status)
    if forever:
        return policy.strategy.retry_interval
    return None if exhausted and not policy.remediation.remediates_last_failure() else 0.0


async def revision_fields(request: ReconcileRequest, record: Record, ref: ReleaseRef) -> RevisionFields:
    """The status' fields about a release and its revisions, after a new one."""
    return request.status.with_revision(await asyncio.to_thread(snapshot_of, record), ref.storage)


async def _failed_record(engine: Engine, ref: ReleaseRef) -> Record | None:
    """The revision that has just failed, for the status: the release may have got its name or namespace by it. None
    when none was begun."""
    newest = engine.records.latest(ref.storage, ref.name)
    if newest is None or newest.status != "failed":
        return None
    return await engine.records.read(ref.storage, ref.name, newest.version)
