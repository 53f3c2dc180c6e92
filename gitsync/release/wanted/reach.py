"""Whether who wants an object could ever have it.

Anybody may name anybody's object in his own Git. Whoever is worked on as a ServiceAccount that may not write an object
keeps nobody from it: else he could hold up, from within his namespace, what others delete and install elsewhere.
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

#: What is worked on as its ServiceAccount, where it names one.
Worked = HelmRelease | Kustomization


class Reach(Protocol):
    """Says how far those reach who want objects of the agent's own cluster."""

    def kustomization(self, name: str) -> Kustomization | None:
        """The Kustomization that is a sync, by its ``namespace/name``; None for another sync."""

    def account(self, item: Worked) -> str:
        """The ServiceAccount of its namespace that ``item`` is worked on as; "" for the agent's own."""

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        """Whether ``item`` may write an object."""


class Anywhere:
    """Where everybody has the same rights."""

    def kustomization(self, name: str) -> Kustomization | None:
        return None

    def account(self, item: Worked) -> str:
        return ""

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        return True


@dataclass(frozen=True)
class AccountReach:
    """Asks the API server, as the account; who works as the agent reaches everything. ``find`` gives Kustomizations."""

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
        """See Reach. Who cannot be told about is taken to reach it: nothing is deleted then."""
        account = self.account(item)
        if not account:
            return True
        try:
            return await self.cluster.impersonating(item.metadata.namespace, account).may("patch", key)
        except GitsyncError:
            return True


class Bringer(NamedTuple):
    """Who is on his way to objects; ``doubted``: nobody can tell to which."""

    item: Worked
    keys: Collection[ObjectKey]
    doubted: bool


@dataclass
class RightsToCome:
    """Whether rights to objects may come with what is on its way: somebody will have some, or nobody can tell whether
    he will, and he may write them himself. What was found of a namespace holds for as long as this is kept."""

    reach: Reach
    bringers: Sequence[Bringer]
    _known: dict[str, bool] = field(default_factory=dict)

    async def to(self, key: ObjectKey) -> bool:
        """Whether some to this object may come."""
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
