"""Whether a claimant has the rights to have an object at all.
 Any tenant may put any object into their own Git. A release or Kustomization that works as a ServiceAccount which may
not write an object does not keep others from it: else a tenant could hold up what others delete and install elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import RBAC_GROUP
from gitsync.errors import GitsyncError
from gitsync.release.access import AccessRules

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: An object that may name a ServiceAccount as which it is worked on.
Worked = HelmRelease | Kustomization


class Reach(Protocol):
    """Says which objects of the agent's own cluster a release or Kustomization may write."""

    def kustomization(self, name: str) -> Kustomization | None:
        """The Kustomization of a sync, by its ``namespace/name``; None for a sync that is no Kustomization."""

    def account(self, item: Worked) -> str:
        """The ServiceAccount of its namespace that ``item`` is worked on as; "" for the agent's own."""

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        """Whether ``item`` may write an object."""


class Anywhere:
    """The Reach where all work with the agent's rights."""

    def kustomization(self, name: str) -> Kustomization | None:
        return None

    def account(self, item: Worked) -> str:
        return ""

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        return True


@dataclass(frozen=True)
class AccountReach:
    """Asks the API server what a ServiceAccount may do. One that works as the agent may write everything. ``find``
    gives Kustomizations."""

    cluster: Cluster
    rules: AccessRules
    find: Callable[[str], Kustomization | None]

    def kustomization(self, name: str) -> Kustomization | None:
        """See Reach."""
        return self.find(name)

    def account(self, item: Worked) -> str:
        """See Reach."""
        return self.rules.service_account(item)

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        """See Reach. True also when that cannot be found out, so that nothing is deleted then."""
        account = self.account(item)
        if not account:
            return True
        try:
            return await self.cluster.impersonating(item.metadata.namespace, account).may("patch", key)
        except GitsyncError:
            return True


class Bringer(NamedTuple):
    """A release or Kustomization that is on its way to these objects; ``doubted``: these are not known."""

    item: Worked
    keys: Collection[ObjectKey]
    doubted: bool


@dataclass
class RightsToCome:
    """Whether rights (RBAC objects) in a namespace may be about to come: one of ``bringers`` will have such objects, or
    may (``doubted``), and may write them. What was found for a namespace is remembered."""

    reach: Reach
    bringers: Sequence[Bringer]
    _known: dict[str, bool] = field(default_factory=dict)

    async def to(self, key: ObjectKey) -> bool:
        """Whether rights to this object may be about to come."""
        if (known := self._known.get(key.namespace)) is not None:
            return known
        for bringer in self.bringers:
            if await self._brings(bringer, key.namespace):
                self._known[key.namespace] = True
                return True
        self._known[key.namespace] = False
        return False

    async def _brings(self, bringer: Bringer, namespace: str) -> bool:
        rights = [key for key in bringer.keys if key.group == RBAC_GROUP and key.namespace in ("", namespace)]
        if bringer.doubted:
            kind = "RoleBinding" if namespace else "ClusterRoleBinding"
            rights.append(ObjectKey(RBAC_GROUP, kind, namespace, bringer.item.metadata.name))
        return any([await self.reach.covers(bringer.item, key) for key in rights])
