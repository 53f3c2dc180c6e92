"""How far one plan has come in the cluster: what applies its objects and what waits for them tell each other here."""

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
from gitsync.sync.spec import SyncSpec

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Seconds for the controller of a custom resource to begin with what it makes of that: a Secret of an ExternalSecret.
MADE_OF_IT = 10.0


@dataclass
class Course:
    """One sync's plan, which is being carried out. ``hopeless`` says which releases wait in vain, where that is not
    for the plan alone to say."""

    cluster: Cluster
    index: ReleaseIndex
    plan: SyncPlan
    report: Report
    spec: SyncSpec
    hopeless: Hopeless | None = None
    #: By key, the API server's answer; {} for an object whose readiness is not waited for, which nobody looks at.
    applied: dict[ObjectKey, Manifest] = field(default_factory=dict)
    #: By their keys in the plan, objects whose kind has come meanwhile, in the namespace that they turned out to need.
    placed: dict[ObjectKey, DesiredObject] = field(default_factory=dict)
    #: What is being applied at this moment, and waits for no release, or is to become ready.
    busy: set[ObjectKey] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.steps = [step for stage in self.plan.stages for step in stage]
        #: Steps that have been taken, have failed, or wait for something: what comes after them need not wait more.
        self.tried: Reached[ObjectKey] = Reached()
        #: Steps about which nothing more will be done.
        self.over: Reached[ObjectKey] = Reached()
        #: Definitions of kinds, of which objects can be applied by now, or will not be.
        self.served: Reached[ObjectKey] = Reached()
        #: Namespaces ("" for cluster-scoped objects) in which all that was applied is ready, or has failed.
        self.settled: Reached[str] = Reached()
        releases = filter(self.spec.is_release, self.plan.desired.helm_releases)
        #: The commit's releases that the sync waits for.
        self.followed = frozenset(key for key in releases if self.spec.waits and self.cluster.serves(key))
        self.releases = ReleasesSettling(self.index, self.followed)
        #: When the controllers of the custom resources that were applied are to have begun with what they make of them.
        self.made_at = 0.0
        #: Who wants to hear what is waited for, while it is carried out; None when nobody does.
        self.outside: Listener | None = None

    def desired(self, step: Step) -> DesiredObject:
        """The object of a step, in the namespace that it turned out to need."""
        return self.placed.get(step.key, step.desired)

    def note(self, key: ObjectKey, answer: Manifest) -> None:
        """An object has been applied, and the API server has answered with this."""
        self.applied[key] = without_managed_fields(answer) if self.is_waited_for(key, answer) else {}
        if not is_builtin(key.group) and not is_own_kind(key):
            self.made_at = asyncio.get_running_loop().time() + MADE_OF_IT

    def is_idle(self, step: Step) -> None:
        """Nothing is done about a step, for now or for good: who waits for what it brings may have to wait no more."""
        self.busy.discard(step.key)
        self.releases.look_again()

    def is_waited_for(self, key: ObjectKey, manifest: Manifest) -> bool:
        """Whether the sync waits for an object that is no release to become ready: not for what nobody gives a status,
        nor for what nobody looks at while it is suspended."""
        if is_own_kind(key) and (manifest.get("spec") or {}).get("suspend") is True:
            return False
        if not self.spec.waits or self.spec.is_release(key) or (self.spec.is_root and is_kustomization(key)):
            return False
        return bool(self.spec.cluster) or not (is_statusless(key) or (self.hopeless is not None and is_own_kind(key)))


def passed_on(outside: Listener | None, *, news_only: bool = False) -> Listener:
    """Tells it to whoever asked for all of this, without a line: each object has one. Holds nothing else: timers that
    are set meanwhile keep it until their time, also when they are cancelled."""
    told = ""

    async def tell(reason: str) -> bool | None:
        nonlocal told
        if outside is None or (news_only and reason == told):
            return outside is not None
        told = reason
        again = await outside(reason)
        return news_only or again

    return tell
