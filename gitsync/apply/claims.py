"""Who wants which objects: syncs the objects of their commits, releases those of their revisions. State only; no I/O.

An object belongs to one sync or one release. What it says of its owner is written on it (``ownership``); here is what
those say who want it. Both are asked before an object is deleted, and before one is taken from somebody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from gitsync.api.identity import ObjectKey

#: What of a release wants an object: the revision that is deployed, or the one that is on its way.
Why = Literal["deployed", "underway", "commit"]


class Claimant(NamedTuple):
    """A sync, or a release by its HelmRelease's ``namespace/name``. ``doubt`` is why nobody can tell at the moment
    whether it wants an object; "" when it does."""

    kind: Literal["sync", "HelmRelease"]
    name: str
    doubt: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def of_release(cls, key: ObjectKey) -> Claimant:
        """The release of a HelmRelease."""
        return cls("HelmRelease", f"{key.namespace}/{key.name}")


class ObjectClaims:
    """The claims of all syncs and releases. ``cluster`` names the cluster that the objects are in: "" for the one that
    the agent serves, else the Secret with its kubeconfig."""

    def __init__(self) -> None:
        #: Called with each object that somebody no longer wants, and the cluster that it is in.
        self.on_release: list[Callable[[ObjectKey, str], None]] = []
        self._claims: dict[tuple[Claimant, Why], tuple[str, frozenset[ObjectKey]]] = {}
        self._claimants: defaultdict[tuple[str, ObjectKey], set[tuple[Claimant, Why]]] = defaultdict(set)

    def set(self, claimant: Claimant, why: Why, keys: Iterable[ObjectKey], *, cluster: str = "") -> None:
        """``claimant`` wants exactly these, as far as ``why`` goes."""
        claim, wanted = (claimant, why), frozenset(keys)
        old_cluster, old = self._claims.get(claim, (cluster, frozenset()))
        moved = old_cluster != cluster
        dropped = old if moved else old - wanted
        for key in dropped:
            self._remove((old_cluster, key), claim)
        for key in wanted if moved else wanted - old:
            self._claimants[cluster, key].add(claim)
        if wanted:
            self._claims[claim] = (cluster, wanted)
        else:
            self._claims.pop(claim, None)
        for listener in self.on_release if dropped else ():
            for key in dropped:
                listener(key, old_cluster)

    def forget(self, claimant: Claimant) -> None:
        """``claimant`` wants nothing any more."""
        for claim in [claim for claim in self._claims if claim[0] == claimant]:
            self.set(claimant, claim[1], ())

    def claimants(self, key: ObjectKey, *, cluster: str = "", but: Claimant | None = None) -> list[Claimant]:
        """Who wants an object, ``but`` left out; syncs first, then by name."""
        found = {claimant for claimant, _ in self._claimants.get((cluster, key), ()) if claimant != but}
        return sorted(found, key=lambda item: (item.kind != "sync", item))

    def knows(self, claimant: Claimant) -> bool:
        """Whether ``claimant`` wants anything: that it is one of this agent's."""
        return any(known == claimant for known, _ in self._claims)

    def _remove(self, place: tuple[str, ObjectKey], claim: tuple[Claimant, Why]) -> None:
        claims = self._claimants[place]
        claims.discard(claim)
        if not claims:
            del self._claimants[place]
