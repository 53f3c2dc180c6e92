"""Whether who wants an object could ever have it.

Anybody may name anybody's object in his own Git. Whoever is worked on as a ServiceAccount that may not write an object
keeps nobody from it: else he could hold up, from within his namespace, what others delete and install elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
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

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        """Whether ``item`` may write an object."""


class Anywhere:
    """Where everybody has the same rights."""

    def kustomization(self, name: str) -> Kustomization | None:
        return None

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

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        """See Reach. Who cannot be told about is taken to reach it: nothing is deleted then."""
        account = self.rules.service_account(item)
        if not account:
            return True
        try:
            return await self.cluster.impersonating(item.metadata.namespace, account).may("patch", key)
        except GitsyncError:
            return True
