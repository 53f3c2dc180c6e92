"""How far one sync's plan has come in the cluster. Applying and waiting tell each other by this."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.builtin import is_builtin
from gitsync.api.identity import Manifest, ObjectKey, without_managed_fields
from gitsync.api.kinds import is_kustomization, is_own_kind, is_statusless
from gitsync.manifests import DesiredObject
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.runtime.progress import Report as Listener
from gitsync.runtime.reached import Reached
from gitsync.sync.outcome import Hopeless, ReleasesSettling
from gitsync.sync.plan import Step, SyncPlan
from gitsync.sync.reporting.report import Report
from gitsync.sync.rollout.unanswered import Unanswered
from gitsync.sync.spec import SyncSpec

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Seconds for the controller of a custom resource to make other objects of it, as a Secret of an ExternalSecret.
MADE_OF_IT = 10.0


@dataclass
class Course:
    """The state of one sync's plan while it is carried out. ``hopeless``, if given, says which releases wait in
    vain; without it the plan alone is looked at."""

    cluster: Cluster
    index: ReleaseIndex
    plan: SyncPlan
    report: Report
    spec: SyncSpec
    hopeless: Hopeless | None = None
    #: The applies that have been sent.
    unanswered: Unanswered = field(default_factory=Unanswered)
    #: By key, the API server's answer; {} for an object whose readiness is not waited for, since it is not used.
    applied: dict[ObjectKey, Manifest] = field(default_factory=dict)
    #: By their keys in the plan, objects whose kind has come meanwhile, in the namespace that they turned out to need.
    placed: dict[ObjectKey, DesiredObject] = field(default_factory=dict)
    #: Objects that are being applied at this moment and do not wait for a release, or that are becoming ready.
    busy: set[ObjectKey] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.steps = [step for stage in self.plan.stages for step in stage]
        #: Steps that have been taken, have failed, or wait for something: the next stage need not wait for them.
        self.tried: Reached[ObjectKey] = Reached()
        #: Steps about which nothing more will be done.
        self.over: Reached[ObjectKey] = Reached()
        #: CustomResourceDefinitions whose objects can be applied now, or never will be.
        self.served: Reached[ObjectKey] = Reached()
        #: Namespaces ("" for cluster-scoped objects) in which all that was applied is ready, or has failed.
        self.settled: Reached[str] = Reached()
        releases = filter(self.spec.is_release, self.plan.desired.helm_releases)
        #: The commit's releases that the sync waits for.
        self.followed = frozenset(key for key in releases if self.spec.waits and self.cluster.serves(key))
        self.releases = ReleasesSettling(self.index, self.followed)
        #: The moment (of the event loop's clock) until which controllers may yet make other objects of those that were
        #: applied.
        self.made_at = 0.0
        #: Called with what is waited for; None when nobody wants to know.
        self.outside: Listener | None = None

    def desired(self, step: Step) -> DesiredObject:
        """The object of a step, in the namespace that it turned out to need."""
        return self.placed.get(step.key, step.desired)

    def note(self, key: ObjectKey, answer: Manifest) -> None:
        """An object has been applied, and the API server has answered with this."""
        self.applied[key] = without_managed_fields(answer) if self.is_waited_for(key, answer) else {}
        if not is_builtin(key.group) and not is_own_kind(key):
            self.made_at = asyncio.get_running_loop().time() + MADE_OF_IT

    def note_idle(self, step: Step) -> None:
        """Nothing is done about a step, for now or for good: releases that wait for what it brings may now wait in
        vain."""
        self.busy.discard(step.key)
        self.releases.look_again()

    def is_waited_for(self, key: ObjectKey, manifest: Manifest) -> bool:
        """Whether the sync waits for an object other than a release to become ready: not for kinds that have no
        status, nor for suspended objects, which are not reconciled."""
        if is_own_kind(key) and (manifest.get("spec") or {}).get("suspend") is True:
            return False
        if not self.spec.waits or self.spec.is_release(key) or (self.spec.is_root and is_kustomization(key)):
            return False
        return bool(self.spec.cluster) or not (is_statusless(key) or (self.hopeless is not None and is_own_kind(key)))


def passed_on(outside: Listener | None, *, news_only: bool = False) -> Listener:
    """A listener that passes reasons on to ``outside`` without logging them, since each object would have a line. It
    refers to nothing else: timers that are set meanwhile keep it until their time, even when they are cancelled."""
    told = ""

    async def tell(reason: str) -> bool | None:
        nonlocal told
        if outside is None or (news_only and reason == told):
            return outside is not None
        told = reason
        again = await outside(reason)
        return news_only or again

    return tell
