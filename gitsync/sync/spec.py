"""What a sync is told to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.parts.rendering import IgnoreRule
from gitsync.apply.readiness import KSTATUS, Readiness
from gitsync.sync.owner import Owner

#: Seconds that a sync waits for its releases to settle before it goes on to prune and says how they stand.
SETTLE_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class SyncSpec:
    """``owner``: whose its objects are, and where it reads; ``prune``: delete what left Git; ``allow_mass_prune``: also
    when it is most of what there is; ``default_namespace``: where objects go whose manifest names none.

    ``waits``: it has ended when all that it applied is ready, or has failed, or ``settle_timeout`` seconds have passed;
    else as soon as all is applied. ``readiness`` says when an object is. ``force``: what Kubernetes does not change is
    deleted and created anew. ``is_root``: it is the sync of the agent's settings; its log lines need not say
    which sync they are about. ``is_removed``: it is removed by a commit that nobody knows, or by hand: then whatever
    any sync is at may have taken its objects from it. ``may_return``: it is removed by a commit, and a newer one may
    bring it again. ``ignore`` are fields that are left to others once an object is
    there.

    ``cluster`` names the cluster that its objects are in, by the Secret or ConfigMap that says which; "" for the
    agent's own. In another one a HelmRelease is an object like any other: whoever serves that works on it.
    """

    owner: Owner
    prune: bool = True
    allow_mass_prune: bool = False
    default_namespace: str = "default"
    settle_timeout: float = SETTLE_TIMEOUT
    waits: bool = True
    readiness: Readiness = KSTATUS
    force: bool = False
    is_root: bool = False
    is_removed: bool = False
    may_return: bool = False
    cluster: str = ""
    ignore: tuple[IgnoreRule, ...] = ()

    def is_release(self, key: ObjectKey) -> bool:
        """Whether an object is a HelmRelease that the agent works on."""
        return not self.cluster and is_release(key)

    def is_kustomization(self, key: ObjectKey) -> bool:
        """Whether an object is a Kustomization that the agent works on."""
        return not self.cluster and is_kustomization(key)

    def works_on(self, key: ObjectKey) -> bool:
        """Whether the agent works on an object, and deletes what that has with it."""
        return self.is_release(key) or self.is_kustomization(key)

    @property
    def force_setting(self) -> str:
        """What asks for ``force``."""
        return "the annotation kustomize.toolkit.fluxcd.io/force: enabled" if self.is_root else "spec.force: true"

    @property
    def context(self) -> dict[str, str]:
        """What each of its log lines carries besides the commit."""
        return {} if self.is_root else {"sync": self.owner.full_name}
