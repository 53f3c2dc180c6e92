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
    """The settings of one sync.

    - ``owner``: whose its objects are, and where it reads. ``default_namespace``: where objects go that name none.
    - ``prune``: delete objects that left Git; ``allow_mass_prune``: also when these are most of all.
    - ``waits``: it ends when all that it has applied is ready or has failed, or after ``settle_timeout`` seconds; else
      as soon as all is applied. ``readiness`` says when an object counts as ready.
    - ``force``: an object with a change that Kubernetes does not allow is deleted and created anew.
    - ``ignore``: fields that are left to others once an object exists.
    - ``is_root``: it is the sync of the agent's settings, which log lines do not name.
    - ``is_removed``: its Kustomization is being removed, by hand or by an unknown commit; then any commit that is under
      way may have given its objects to others. ``may_return``: it is removed by a commit, and a newer one may bring it
      again.
    - ``cluster``: the Secret or ConfigMap that describes the cluster of its objects; "" for the agent's own. In another
      cluster, a HelmRelease is an object like any other, for an agent there.
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
        """The setting by which a user asks for ``force``, in words."""
        return "the annotation kustomize.toolkit.fluxcd.io/force: enabled" if self.is_root else "spec.force: true"

    @property
    def context(self) -> dict[str, str]:
        """The fields that each of its log lines has, besides the commit."""
        return {} if self.is_root else {"sync": self.owner.full_name}
