"""Who wants which objects: syncs the objects of their commits, releases those of their revisions. State only; no I/O.

An object belongs to one sync or one release. Who owns it is written on the object (``apply/ownership``); who wants it
is known here. Both are asked before an object is deleted, and before one is taken from somebody.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from cachetools import LRUCache

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.claimant import Claimant

#: Why a claimant wants an object. A release: it is in the revision that is "deployed", in the one that is "underway",
#: or among the "hooks" that run for that. A sync: it is in its "commit", or will be its own once the present holder has
#: "let go". "kept" is no wish: the object has left the sync's commit, and stays until it is known who is to have it;
#: meanwhile it must not go with its Namespace.
Why = Literal["deployed", "underway", "hooks", "commit", "let go", "kept"]
#: The reasons for which a claimant has an object, now or at once.
_HAS = ("deployed", "underway", "commit")
#: Syncs of which it is remembered whether they prune.
_MOST_SYNCS = 10_000
#: The reasons that do not keep another claimant from having the object for good.
_NOT_FOR_GOOD = ("hooks", "let go")


class Brought(NamedTuple):
    """A Kustomization or HelmRelease as the commit of a sync has it: such an object wants objects itself.
    Kustomizations may have been applied already; HelmReleases have yet to be. In the cluster there may be none, one as
    it was before, or one that is still being deleted."""

    item: HelmRelease | Kustomization
    sync: Claimant
    commit: str


class ObjectClaims:
    """The claims of all syncs and releases. ``cluster`` names the cluster that the objects are in: "" for the one that
    the agent serves, else the Secret with its kubeconfig."""

    def __init__(self) -> None:
        #: Called with an object, and the cluster that it is in, when a claimant gives it up; and when one takes or
        #: applies an object that a sync has kept for it.
        self.on_release: list[Callable[[ObjectKey, str], None]] = []
        #: Called with each sync or release whose objects have gone with a Namespace that is there again.
        self.on_emptied: list[Callable[[Claimant], None]] = []
        self._claims: dict[tuple[Claimant, Why], tuple[str, frozenset[ObjectKey]]] = {}
        self._claimants: defaultdict[tuple[str, ObjectKey], set[tuple[Claimant, Why]]] = defaultdict(set)
        #: By sync whose commit cannot be read in whole: the commit, and why.
        self.unread: dict[Claimant, tuple[str, str]] = {}
        #: By sync, the commit that it is at.
        self.commits: dict[Claimant, str] = {}
        #: Set once the sync of the settings has read its first commit since the start, so that its claims are known.
        self.first_commit = asyncio.Event()
        self.first_commit.set()
        #: By sync, the releases that it is about to remove, and the syncs (of Kustomizations).
        self._leaving: dict[Claimant, frozenset[Claimant]] = {}
        self._leaving_syncs: dict[Claimant, frozenset[Claimant]] = {}
        #: By sync, the objects of its commit that it does not apply.
        self._left_alone: dict[Claimant, frozenset[ObjectKey]] = {}
        self._brought: dict[Claimant, tuple[HelmRelease | Kustomization, ...]] = {}
        #: The names of the syncs that delete what their commits drop, those that are gone included.
        self._pruning: LRUCache[str, bool] = LRUCache(_MOST_SYNCS)

    def set(self, claimant: Claimant, why: Why, keys: Iterable[ObjectKey], *, cluster: str = "") -> None:
        """Replace the objects that ``claimant`` wants for the reason ``why``."""
        claim, wanted = (claimant, why), frozenset(keys)
        old_cluster, old = self._claims.get(claim, (cluster, frozenset()))
        moved = old_cluster != cluster
        dropped = old if moved else old - wanted
        for key in dropped:
            self._remove((old_cluster, key), claim)
        new = wanted if moved else wanted - old
        for key in new:
            self._claimants[cluster, key].add(claim)
        if wanted:
            self._claims[claim] = (cluster, wanted)
        else:
            self._claims.pop(claim, None)
        self.tell((key for key in dropped if not self._has(claimant, key, old_cluster)), old_cluster)
        if why in _HAS:
            self.tell((key for key in new if self._is_kept(key, cluster, but=claimant)), cluster)

    def drop(self, claimant: Claimant, why: Why, key: ObjectKey) -> None:
        """``claimant`` does not want this object any more for the reason ``why``."""
        cluster, keys = self._claims.get((claimant, why), ("", frozenset()))
        self.set(claimant, why, keys - {key}, cluster=cluster)

    def forget(self, claimant: Claimant) -> None:
        """``claimant`` wants nothing any more."""
        for claim in [claim for claim in self._claims if claim[0] == claimant]:
            self.set(claimant, claim[1], ())
        by_sync = self._brought, self._leaving, self._leaving_syncs, self._left_alone, self.commits, self.unread
        for known in by_sync:
            known.pop(claimant, None)

    def set_commit(self, sync: Claimant, commit: str, why: str, *, prunes: bool = True) -> None:
        """``sync`` is at this commit from now on; ``why`` says what of it cannot be read, "" when all of it can.
        ``prunes``: it deletes objects that leave Git."""
        self.commits[sync] = commit
        self._pruning[sync.name] = prunes
        if why:
            self.unread[sync] = (commit, why)
        else:
            self.unread.pop(sync, None)

    def set_leaving(self, sync: Claimant, releases: Iterable[Claimant]) -> None:
        """Replace the releases that ``sync`` is about to remove: their objects are free for others already."""
        before, leaving = self._leaving.get(sync, frozenset()), frozenset(releases)
        self._leaving[sync] = leaving
        if not (new := leaving - before):
            return
        for (claimant, _), (cluster, keys) in list(self._claims.items()):
            if claimant in new:
                self.tell(keys, cluster)

    def set_leaving_syncs(self, sync: Claimant, syncs: Iterable[Claimant]) -> None:
        """Replace the syncs that ``sync`` is about to remove. They keep what they have until they are gone, and will
        want nothing new."""
        self._leaving_syncs[sync] = frozenset(syncs)

    def set_brought(self, sync: Claimant, items: Iterable[HelmRelease | Kustomization]) -> None:
        """Replace what the commit of ``sync`` brings."""
        self._brought[sync] = tuple(items)

    def set_left_alone(self, sync: Claimant, keys: Iterable[ObjectKey]) -> None:
        """Replace the objects of its commit that ``sync`` wants to exist, but leaves alone: it never owns them."""
        self._left_alone[sync] = frozenset(keys)

    def leaves_alone(self, sync: Claimant, key: ObjectKey) -> bool:
        """Whether ``sync`` leaves an object of its commit alone."""
        return key in self._left_alone.get(sync, ())

    def is_only_kept(self, key: ObjectKey) -> bool:
        """Whether nobody wants an object of the agent's own cluster, and a sync keeps it for now."""
        whys = {why for _, why in self._claimants.get(("", key), ())}
        return whys == {"kept"}

    def took(self, claimant: Claimant, keys: Iterable[ObjectKey], cluster: str) -> None:
        """``claimant`` has applied these: a sync that has kept one for it need not any more."""
        self.tell((key for key in keys if self._is_kept(key, cluster, but=claimant)), cluster)

    def reached(self, sync: Claimant, key: ObjectKey) -> None:
        """``sync`` has applied a HelmRelease of its commit: from here on, the release's own claims count."""
        self._brought[sync] = tuple(item for item in self._brought.get(sync, ()) if item.key != key)

    def brought(self) -> Iterator[Brought]:
        """What the commits of all syncs bring."""
        for sync, items in self._brought.items():
            commit = self.commits.get(sync, "")
            yield from (Brought(item, sync, commit) for item in items)

    @property
    def leaving_syncs(self) -> frozenset[Claimant]:
        """The syncs of Kustomizations that some sync or release is about to remove."""
        return self._still(self._leaving_syncs)

    @property
    def leaving(self) -> frozenset[Claimant]:
        """The releases that some sync is about to remove."""
        return self._still(self._leaving)

    def _still(self, leaving: Mapping[Claimant, frozenset[Claimant]]) -> frozenset[Claimant]:
        """All that are about to be removed, without those whose HelmRelease or Kustomization another claimant has by
        now: these stay, and may want something new."""
        return frozenset(
            item for remover, items in leaving.items() for item in items if not self._is_had(item, but=remover)
        )

    def is_leaving(self, release: Claimant) -> bool:
        """Whether a release is one of ``leaving``. Quicker than looking there, which takes long where there are
        many."""
        return self._leaves(release, frozenset())

    def _leaves(self, item: Claimant, asked: frozenset[Claimant]) -> bool:
        """Whether a release or sync is about to be removed. ``asked`` are those for which that is being worked out, so
        that a circle of owners ends."""
        leaving = self._leaving_syncs if item.kind == "sync" else self._leaving
        removers = [remover for remover, items in leaving.items() if item in items]
        return any(not self._is_had(item, but=remover, asked=asked) for remover in removers)

    def _is_had(self, item: Claimant, *, but: Claimant, asked: frozenset[Claimant] = frozenset()) -> bool:
        """Whether a claimant other than ``but`` has the HelmRelease or Kustomization of ``item``, and is not about to
        be removed itself."""
        asked |= {item}
        owners = {claimant for claimant, why in self._claimants.get(("", item.object), ()) if why in _HAS}
        return any(not self._leaves(owner, asked) for owner in owners - asked - {but})

    def claimants(
        self, key: ObjectKey, *, cluster: str = "", but: Claimant | None = None, for_good: bool = False
    ) -> list[Claimant]:
        """The claimants of an object, without ``but`` and releases that are about to be removed; syncs first, then by
        name. ``for_good``: also without those that only run it as a hook, or wait until it is let go of."""
        claims = self._claimants.get((cluster, key), ())
        wanting = {claimant for claimant, why in claims if why != "kept" and not (for_good and why in _NOT_FOR_GOOD)}
        found = {claimant for claimant in wanting - {but} if not self.is_leaving(claimant)}
        return sorted(found, key=lambda item: (item.kind != "sync", item))

    def holders(self, key: ObjectKey, *, cluster: str = "") -> frozenset[Claimant]:
        """The releases whose deployed revision has an object, also those that are about to be removed."""
        claims = self._claimants.get((cluster, key), ())
        return frozenset(claimant for claimant, why in claims if why == "deployed")

    def to_have(self, key: ObjectKey, cluster: str) -> list[Claimant]:
        """The syncs to wake when an object is let go of: those that wait for it; those that have it in their commit,
        since the other may have written to it after them; and those that keep it until it is known who wants it."""
        claims = self._claimants.get((cluster, key), ())
        return [claimant for claimant, why in claims if why in ("let go", "commit", "kept") and claimant.kind == "sync"]

    def prunes(self, sync: str) -> bool:
        """Whether a sync of this agent deletes objects that leave Git; also of one that is gone."""
        return self._pruning.get(sync, False)

    def inside(self, holds: Callable[[ObjectKey], bool], *, cluster: str, but: Claimant) -> Iterator[Claimant]:
        """Claimants of objects that would go with a Namespace or a definition (``holds`` says which would), one item
        for each object. Of ``but``, only objects of its commit: that may have an object, but not the Namespace around
        it."""
        out = self.leaving
        for (claimant, why), (where, keys) in sorted(self._claims.items()):
            is_asked = where == cluster and why not in ("hooks", "kept") and claimant not in out
            if is_asked and (claimant != but or why == "commit"):
                yield from (claimant._replace(inside=key) for key in sorted(filter(holds, keys)))

    def kept_inside(self, holds: Callable[[ObjectKey], bool], *, cluster: str, but: Claimant) -> Iterator[Claimant]:
        """Syncs other than ``but`` that keep an object inside, because it is not known yet who is to have it; without
        objects that have been taken meanwhile."""
        for (claimant, why), (where, keys) in sorted(self._claims.items()):
            if where == cluster and why == "kept" and claimant != but:
                doubt = "it is not known yet who is to have it"
                left = (key for key in keys if holds(key) and not self._is_taken(key, cluster))
                yield from (claimant._replace(inside=key, doubt=doubt) for key in sorted(left))

    def keys(self, claimant: Claimant, why: Why) -> frozenset[ObjectKey]:
        """The objects that ``claimant`` wants for the reason ``why``."""
        return self._claims.get((claimant, why), ("", frozenset[ObjectKey]()))[1]

    def held_by(self, claimant: Claimant) -> dict[str, frozenset[ObjectKey]]:
        """The objects that ``claimant`` wants, by cluster."""
        found: dict[str, frozenset[ObjectKey]] = {}
        for (owner, why), (cluster, keys) in self._claims.items():
            if owner == claimant and why != "kept":
                found[cluster] = found.get(cluster, frozenset()) | keys
        return found

    def knows(self, claimant: Claimant) -> bool:
        """Whether ``claimant`` is one of this agent's: it wants something."""
        return any(known == claimant for known, _ in self._claims)

    def tell(self, keys: Iterable[ObjectKey], cluster: str) -> None:
        """Tell the listeners that a claimant has given up these objects, or is about to."""
        for key in list(keys):
            for listener in list(self.on_release):
                listener(key, cluster)

    def emptied(self, namespace: str, *, by: Claimant, cluster: str) -> list[Claimant]:
        """``by`` has created a Namespace again that somebody had deleted. Returns the other claimants that had objects
        in it, which have gone with it, and tells the listeners of them."""
        inside = self.inside(lambda key: key.namespace == namespace, cluster=cluster, but=by)
        others = sorted({item.by_name for item in inside} - {by})
        for claimant in others:
            for listener in list(self.on_emptied):
                listener(claimant)
        return others

    def tell_of(self, claimant: Claimant) -> None:
        """Tell the listeners that ``claimant`` is about to give up all its objects."""
        for cluster, keys in self.held_by(claimant).items():
            self.tell(keys, cluster)

    def _has(self, claimant: Claimant, key: ObjectKey, cluster: str) -> bool:
        claims = self._claimants.get((cluster, key), ())
        return any(one == claimant and why in _HAS for one, why in claims)

    def _is_kept(self, key: ObjectKey, cluster: str, *, but: Claimant) -> bool:
        return any(why == "kept" and one != but for one, why in self._claimants.get((cluster, key), ()))

    def _is_taken(self, key: ObjectKey, cluster: str) -> bool:
        return any(why in _HAS for _, why in self._claimants.get((cluster, key), ()))

    def _remove(self, place: tuple[str, ObjectKey], claim: tuple[Claimant, Why]) -> None:
        claims = self._claimants[place]
        claims.discard(claim)
        if not claims:
            del self._claimants[place]


def kustomization_of(sync: str) -> ObjectKey:
    """The Kustomization of the sync ``namespace/name``."""
    return Claimant("sync", sync).object
