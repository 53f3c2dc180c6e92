"""What a sync is told to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

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
    which sync they are about.
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

    @property
    def force_setting(self) -> str:
        """What asks for ``force``."""
        return "the annotation kustomize.toolkit.fluxcd.io/force: enabled" if self.is_root else "spec.force: true"

    @property
    def context(self) -> dict[str, str]:
        """What each of its log lines carries besides the commit."""
        return {} if self.is_root else {"sync": self.owner.full_name}
