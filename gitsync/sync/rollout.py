"""A plan on its way into the cluster: objects applied, waited for, and what left Git deleted, each as soon as what it
needs is there.

Every wait here holds up only what it is about. A step that cannot be taken yet (its kind is still to be installed, its
predecessor is still being deleted, a release has yet to let go of it) counts as tried, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api import drop_nulls
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.api.kinds import is_own_kind, is_release, is_unserved
from gitsync.api.names import FIELD_MANAGER, SYNC_LABEL
from gitsync.apply.applier import Applied, Applier
from gitsync.apply.crds import CRD_TIMEOUT, await_kind, await_served
from gitsync.apply.delete import wait_deleted
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import (
    ApiError,
    KindUnknown,
    NotFound,
    NotReadyInTime,
    ObjectFailed,
    OwnedByAnother,
    WebhookUnavailable,
)
from gitsync.manifests import DesiredObject
from gitsync.release.dependencies.index import ReleaseIndex, commit_of
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import reporting
from gitsync.runtime.together import together
from gitsync.sync.inventory import Entry
from gitsync.sync.outcome import Hopeless, Outcomes, ReleasesSettling
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import Step, SyncPlan, defined_kind, prune_prerequisites
from gitsync.sync.prune import Pruner
from gitsync.sync.report import Report

if TYPE_CHECKING:
    from gitsync.apply.claims import ObjectClaims
    from gitsync.cluster import Cluster
    from gitsync.sources.artifacts import SyncedRepository

#: Seconds for the predecessor of an object, which is being deleted, to be gone.
GONE_TIMEOUT = 60.0
#: Seconds to look whether a release that has just become ready has brought a kind.
JUST_BROUGHT = 3.0
#: What a release of the same commit may bring: the kind of an object, its namespace, a webhook that has to be asked.
_MAY_COME = (KindUnknown, NotFound, WebhookUnavailable)


@dataclass
class Rollout:
    """One sync's plan, carried out once. ``run`` returns when everything is settled and deleted, or has failed; what
    came of it is in the report, in ``applied`` (the API server's answers) and in ``forgotten`` (entries of the
    inventory that need not be remembered)."""

    cluster: Cluster
    index: ReleaseIndex
    owner: Owner
    claims: ObjectClaims
    repository: SyncedRepository
    pruner: Pruner
    plan: SyncPlan
    report: Report
    slots: asyncio.Semaphore
    settle_timeout: float
    hopeless: Hopeless | None = None
    applied: dict[ObjectKey, Manifest] = field(default_factory=dict)
    forgotten: list[ObjectKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._applier = Applier(self.cluster, FIELD_MANAGER, OWNERS)
        self._steps = [step for stage in self.plan.stages for step in stage]
        #: Set when a step has been taken, has failed, or waits for something: what comes after it need not wait more.
        self._tried = {step.key: asyncio.Event() for step in self._steps}
        #: Set when nothing more will be done about a step.
        self._over = {step.key: asyncio.Event() for step in self._steps}
        #: By namespace ("" for cluster-scoped objects): set when all that was applied there is ready, or has failed.
        self._settled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._gone = {entry.key: asyncio.Event() for entry in self.plan.prune}
        self._kinds = {kind: step.key for step in self._steps if (kind := defined_kind(step.desired.manifest))}
        self._served = {step.key: asyncio.Event() for step in self._steps if defined_kind(step.desired.manifest)}
        releases = [key for key in self.plan.desired.helm_releases if self.cluster.serves(key)]
        self._releases = ReleasesSettling(self.index, releases)

    async def run(self, interrupt: Interrupt) -> None:
        """Carry the plan out. Raises: ClusterUnavailable and other RetryableErrors, with the rest given up."""
        releases = [step.key for step in self._steps if is_release(step.key)]

        async def log_reason(reason: str) -> None:
            self.report.log.info("waiting", **{"for": reason})

        with self.index.expecting(releases) as arrived, reporting(log_reason):
            await together(
                *(self._take(stage, before, arrived, interrupt) for before, stage in self._stages()),
                self._settle_releases(releases),
                *(self._settle(namespace, interrupt) for namespace in self._namespaces()),
                *(self._prune(entry, needs) for entry, needs in self._entries()),
            )
        outcomes = Outcomes(self.index)
        for key in (key for key in releases if key in self.applied):
            outcome = outcomes.of(key)
            if outcome.phase in ("failed", "waiting", "moving"):
                self.report.outcome("failed" if outcome.phase == "failed" else "waiting", key, outcome.message)

    def _stages(self) -> Iterable[tuple[list[ObjectKey], Sequence[Step]]]:
        """Each stage, with the steps of all stages before it."""
        before: list[ObjectKey] = []
        for stage in self.plan.stages:
            yield list(before), stage
            before += [step.key for step in stage]

    def _namespaces(self) -> set[str]:
        return {step.key.namespace for step in self._steps} | {entry.key.namespace for entry in self.plan.prune}

    def _entries(self) -> Iterable[tuple[Entry, frozenset[ObjectKey]]]:
        needs = prune_prerequisites(self.plan.prune, self.index.graph, self._sources())
        return [(entry, needs[entry.key]) for entry in self.plan.prune]

    def _sources(self) -> dict[ObjectKey, ObjectKey]:
        return {release.key: release.source for release in self.index.releases()}

    async def _take(
        self,
        stage: Sequence[Step],
        before: Sequence[ObjectKey],
        arrived: Callable[[ObjectKey], None],
        interrupt: Interrupt,
    ) -> None:
        for key in before:
            await self._tried[key].wait()
        if interrupt.is_set:
            interrupt.check()

        async def take(step: Step) -> None:
            try:
                await self._until_applied(step)
            finally:
                for events in (self._tried, self._over, self._served):
                    if (event := events.get(step.key)) is not None:
                        event.set()
                arrived(step.key)

        await together(*(take(step) for step in stage))

    async def _until_applied(self, step: Step) -> None:
        """Apply one object, as soon as it can be. One that fails does not stop the others."""
        said = False
        origin = str(step.desired.origin)
        if (definition := self._kinds.get((step.key.group, step.key.kind))) is not None:
            self._tried[step.key].set()
            await self._served[definition].wait()
        while True:
            seen = self._releases.changes
            try:
                self._check_holder(step)
                await self._apply(step)
                return
            except (*_MAY_COME, OwnedByAnother) as error:
                self._tried[step.key].set()
                if not said and not self._releases.all_settled:
                    self.report.log.info("object has to wait", object=str(step.key), why=error.message, origin=origin)
                    said = True
                if not await self._releases.changed_since(seen):
                    self.report.failed(step.key, error, origin)
                    return
                if isinstance(error, KindUnknown):  # discovery says a little later what a release has brought
                    version = step.desired.manifest["apiVersion"].rpartition("/")[2]
                    await await_kind(self.cluster, step.key.group, step.key.kind, version, JUST_BROUGHT)
            except (ApiError, NotReadyInTime) as error:
                self.report.failed(step.key, error, origin)
                return

    def _check_holder(self, step: Step) -> None:
        """Raises: OwnedByAnother while a release that has the object goes on wanting it."""
        if step.holder is not None and step.holder in self.claims.claimants(step.key):
            raise OwnedByAnother(
                f"{step.key} is already managed by {step.holder}", hint="remove it from the chart or from Git"
            )

    async def _apply(self, step: Step) -> None:
        origin = step.desired.origin
        commit = _commit_for(step, self.report.commit)
        manifest = drop_nulls(stamped(step.desired.manifest, self.owner, commit, origin, edge_origins(step.desired)))
        async with self.slots:
            applied = await self._applier.send(manifest, step.live)
        while "deletionTimestamp" in applied.object["metadata"]:
            # An apply to what is on its way out would be lost with it.
            self._tried[step.key].set()
            await wait_deleted(self.cluster, [step.key], GONE_TIMEOUT)
            async with self.slots:
                applied = await self._applier.send(manifest, None)
        self._note(step, applied)
        if step.key in self._served:
            self._tried[step.key].set()
            await self._until_served(step.key, applied.object)

    def _note(self, step: Step, applied: Applied) -> None:
        live, answer, origin = step.live, applied.object, str(step.desired.origin)
        if live is None and not applied.taken_from and _only_by(FIELD_MANAGER, answer):
            self.report.done("created", step.key, origin)
        elif live is None:
            self.report.done("changed", step.key, origin, "adopted: was in the cluster already")
        elif answer["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            self.report.done("changed", step.key, origin, step.why)
        else:
            self.report.unchanged(1)
        self.applied[step.key] = answer
        if is_release(step.key):
            self.repository.reached(step.key)
            self.index.update(step.key, _without_managed_fields(answer))

    async def _until_served(self, key: ObjectKey, crd: Manifest) -> None:
        try:
            await wait_ready(self.cluster, WaitFor({key: crd}, labels="", timeout=CRD_TIMEOUT), Interrupt())
            await await_served(self.cluster, [crd])
        except (NotReadyInTime, ObjectFailed) as error:
            self.report.not_ready(error)
        finally:
            self._served[key].set()

    async def _settle_releases(self, releases: Sequence[ObjectKey]) -> None:
        """Follow the commit's releases, from when they have been applied."""
        for key in releases:
            await self._tried[key].wait()
        await self._releases.follow(self.settle_timeout, self.hopeless)

    async def _settle(self, namespace: str, interrupt: Interrupt) -> None:
        """Wait until what was applied in a namespace is ready, or has failed."""
        mine = [step.key for step in self._steps if step.key.namespace == namespace]
        for key in mine:
            await self._over[key].wait()
        plain = {key: self.applied[key] for key in mine if key in self.applied and self._is_waited_for(key)}
        want = WaitFor(plain, SYNC_LABEL, self.settle_timeout)
        try:
            await wait_ready(self.cluster, want, interrupt)
        except (NotReadyInTime, ObjectFailed) as error:
            self.report.not_ready(error)
        await self._releases.settled(key for key in mine if is_release(key))
        self._settled[namespace].set()

    def _is_waited_for(self, key: ObjectKey) -> bool:
        """Of what is no release: not what nobody gives a status."""
        return not (is_release(key) or is_unserved(key) or (self.hopeless is not None and is_own_kind(key)))

    async def _prune(self, entry: Entry, needs: frozenset[ObjectKey]) -> None:
        """Delete what left Git, after what depends on it, and not before what may take its place is ready: that is
        looked for in the same namespace."""
        try:
            for key in needs:
                await self._gone[key].wait()
            await self._settled[entry.key.namespace].wait()
            if await self.pruner.prune(entry, self.report):
                self.forgotten.append(entry.key)
        finally:
            self._gone[entry.key].set()


def edge_origins(item: DesiredObject) -> list[Origin]:
    """Where the dependsOn entries of a HelmRelease are written; none for another object."""
    if not is_release(item.key):
        return []
    count = len((item.manifest.get("spec") or {}).get("dependsOn") or ())
    return [item.field_origin(("spec", "dependsOn", number)) for number in range(count)]


def _commit_for(step: Step, commit: CommitInfo) -> CommitInfo:
    """The commit to stamp: this one, but for an object that merely drifted the one that brought its content."""
    drifted = commit_of(step.live) if step.verdict == "drifted" and step.live is not None else None
    return drifted or commit


def _only_by(manager: str, answer: Manifest) -> bool:
    """Whether nobody else has ever written to an object: the apply that it answers has created it."""
    return all(entry.get("manager") == manager for entry in answer["metadata"].get("managedFields") or ())


def _without_managed_fields(manifest: Manifest) -> Manifest:
    rest = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    return {**manifest, "metadata": rest}
