"""Finds the facts about a release, in the order in which ``decide`` asks for them: for the agent and ``gitsync plan``.

Nothing here changes anything. An error of the release itself is a fact, too (``Facts.hindrance``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.errors import (
    BlockedError,
    ChartError,
    CrossNamespaceRefused,
    FieldErrors,
    FieldNotSupported,
    GitsyncError,
    KubeConfigRefused,
    ReleaseNameLeft,
    ReleaseNameTaken,
    RenderError,
    ValuesError,
)
from gitsync.release.access import AccessRules
from gitsync.release.clusters import TargetCluster
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.release_owners import ReleaseIdentity, ReleaseOwners
from gitsync.release.desired import DesiredRelease, desired_release, ref_of, replaced_release
from gitsync.release.readiness import check_expressions
from gitsync.release.reconcile.decide import Decision, Unknown, decide
from gitsync.release.reconcile.facts import (
    Facts,
    active_remediation,
    holders_of,
    install_retries_exhausted,
    policy_of_tests,
)
from gitsync.release.render import Renderer
from gitsync.release.revision import ReleaseRef, action_of, context_of, holds
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.storage.record import Record
from gitsync.release.unsupported import refused
from gitsync.sources.charts.chart import ChartArtifact

if TYPE_CHECKING:
    from gitsync.cel.expressions import Expressions

#: Errors that are facts about a HelmRelease, and not the environment's fault.
_HINDRANCES = (BlockedError, ChartError, CrossNamespaceRefused, KubeConfigRefused)


@dataclass(frozen=True)
class Lookups:
    """Where a release's facts come from: its target cluster, its chart, its values (with those that come from Secrets),
    and whether its dependencies are ready."""

    target: Callable[[HelmRelease], Awaitable[TargetCluster]]
    chart: Callable[[HelmRelease], Awaitable[ChartArtifact]]
    values: Callable[[HelmRelease], Awaitable[tuple[dict[str, Any], frozenset[str]]]]
    dependencies_ready: Callable[[HelmRelease], Awaitable[bool]]


@dataclass
class FactFinder:
    """Finds the facts about one release, for one decision. ``status`` is the HelmRelease's.

    ``desired``, ``target`` and ``compared`` are None until they are found; ``compared`` is the newest revision, if its
    payload was read. ``given_up_to`` is another HelmRelease that names the Helm release which this one is deployed as
    and gives up.
    """

    release: HelmRelease
    status: ObservedStatus
    lookups: Lookups
    renderer: Renderer
    owners: ReleaseOwners
    clock: Callable[[], float] = time.time
    #: Whether another release has taken objects of it.
    objects_taken: bool = False
    desired: DesiredRelease | None = None
    target: TargetCluster | None = None
    compared: Record | None = field(default=None, repr=False)
    given_up_to: ObjectKey | None = None

    async def decision(self, facts: Facts) -> tuple[Facts, Decision]:
        """The decision that follows from ``facts`` and from further facts found for it; returned with all these facts.

        Raises: RetryableError and ApiErrors when the environment does not answer.
        """
        while isinstance(found := decide(facts), Unknown):
            facts = await self._find(facts, found)
        return facts, found

    async def _find(self, facts: Facts, unknown: Unknown) -> Facts:
        match unknown:
            case Unknown.DESIRED:
                return await self._find_desired(facts)
            case Unknown.CONTENT:
                return await self._find_content(facts)
            case Unknown.DEPENDENCIES:
                return replace(facts, dependencies_ready=await self.lookups.dependencies_ready(self.release))

    async def _find_desired(self, facts: Facts) -> Facts:
        try:
            self.target = target = await self.lookups.target(self.release)
            ref = ref_of(self.release)
            is_new = target.records.latest(ref.storage, ref.name) is None
            # A release that waits for others says so at once, though its chart may have yet to be fetched.
            if is_new and not await self.lookups.dependencies_ready(self.release):
                return replace(facts, dependencies_ready=False)
            chart = await self.lookups.chart(self.release)
            values, secrets = await self.lookups.values(self.release)
        except _HINDRANCES as error:
            return replace(facts, hindrance=error)
        self.desired = await asyncio.to_thread(desired_release, self.release, chart, values, secrets)
        return self._with_desired(facts, self.desired, target)

    def _with_desired(self, facts: Facts, desired: DesiredRelease, target: TargetCluster) -> Facts:
        """The facts that follow once the desired release is known. Costs no request."""
        release, status, ref, records = self.release, self.status, desired.ref, target.records
        remediation = active_remediation(release, status, desired.attempt)
        return replace(
            facts,
            ref=ref,
            wanted=desired.digests,
            newest=records.latest(ref.storage, ref.name),
            holders=holders_of(release, records.holder),
            now=self.clock(),
            timeout=release.spec.timeout_of("upgrade"),
            remediation=remediation,
            install_retries_exhausted=install_retries_exhausted(release, status, desired.attempt),
            tests=policy_of_tests(release, remediation.action),
            force_requested=status.force_requested,
            objects_taken=self.objects_taken,
            replaced=self._replaced(desired, target),
        )

    def _replaced(self, desired: DesiredRelease, target: TargetCluster) -> ReleaseRef | None:
        """The Helm release that it is deployed as and gives up; None also when that is gone already, or is another
        HelmRelease's now, so that nothing is to be uninstalled."""
        last = self.status.last_ref
        newest = target.records.latest(last.storage, last.name) if last is not None else None
        if last is None or newest is None or newest.status == "uninstalled":
            return None
        replaced = replaced_release(self.release, desired, last, self.status.last_chart)
        was = ReleaseIdentity(last.name, last.storage, self.release.kubeconfig_source)
        if replaced is not None and was != ReleaseIdentity.of(self.release):
            self.given_up_to = self.owners.owner(was, but=self.release.key)
        return replaced if self.given_up_to is None else None

    async def _find_content(self, facts: Facts) -> Facts:
        """Whether the newest revision, which somebody else wrote or changed, has the wanted content."""
        desired, target, newest = self.desired, self.target, facts.newest
        if desired is None or target is None or newest is None:
            raise ValueError("there is no revision to compare with what is wanted")
        self.compared = record = await target.records.read(desired.ref.storage, desired.ref.name, newest.version)
        if record.status != "deployed":
            return replace(facts, same_content=False)
        try:
            context = context_of(desired.ref, record.version, action_of(record))
            rendered = await self.renderer.render(desired, context, target.cluster)
        except (ValuesError, RenderError) as error:
            return replace(facts, hindrance=error)
        return replace(facts, same_content=await asyncio.to_thread(holds, record, rendered, desired.values))


async def facts_of_spec(
    release: HelmRelease, index: ReleaseIndex, rules: AccessRules, expressions: Expressions
) -> Facts:
    """The facts that need neither chart nor values: those of the HelmRelease itself and of others in the index."""
    if release.spec.suspend:
        return Facts(suspended=True)
    return Facts(hindrance=await _hindrance(release, index, rules, expressions))


async def _hindrance(
    release: HelmRelease, index: ReleaseIndex, rules: AccessRules, expressions: Expressions
) -> GitsyncError | None:
    if fields := refused(release):
        return FieldNotSupported(f"not supported yet: {', '.join(fields)}", hint="remove it")
    try:
        await check_expressions(release, expressions.of(release.metadata.namespace))
    except FieldErrors as error:
        return error
    if (cycle := index.cycle_of(release.key)) is not None:  # reported before anything else
        return cycle
    if (other := index.owners.winner(release.key)) is not None:
        managed = f"release {ref_of(release)} is already managed by HelmRelease {other.namespaced_name}"
        if other in index.owners.uninstalled:
            return ReleaseNameLeft(f"{managed}, which is being removed and uninstalls it")
        if any(map(index.is_leaving, index.ancestry.lineage(other))):
            return ReleaseNameLeft(f"{managed}, which is about to be removed and leaves it to this one")
        if index.may_let_go(other):
            return ReleaseNameLeft(f"{managed}, which the commit has yet to change")
        return ReleaseNameTaken(
            managed,
            hint="give one of them another spec.releaseName, or delete one: the other takes the release over as it is",
        )
    try:
        rules.check(release)
    except CrossNamespaceRefused as error:
        return error
    return None
