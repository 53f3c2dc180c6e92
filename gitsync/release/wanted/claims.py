"""Who wants which objects: syncs the objects of their commits, releases those of their revisions. State only; no I/O.

An object belongs to one sync or one release. What it says of its owner is written on it (``apply/ownership``); here is
what those say who want it. Both are asked before an object is deleted, and before one is taken from somebody.
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

#: Why a release wants an object: for the revision that is deployed, the one that is on its way, or the hooks that run
#: then. Why a sync does: for its commit, or for that as soon as somebody, who has the object, lets go of it. What is
#: kept is nobody's wish: it is there until it is known who wants it, and must not go with its Namespace meanwhile.
Why = Literal["deployed", "underway", "hooks", "commit", "let go", "kept"]
#: What makes an object somebody's, now or at once.
_HAS = ("deployed", "underway", "commit")
#: Syncs of which it is remembered whether they prune.
_MOST_SYNCS = 10_000
#: What is no claim against others who are to have the object for good.
_NOT_FOR_GOOD = ("hooks", "let go")


class Brought(NamedTuple):
    """What a sync's commit brings that wants objects itself, as that commit has it: a Kustomization, which may be there
    already, or a HelmRelease that has yet to be applied. There may be none, one as it was before, or the one before it
    that is still being deleted."""

    item: HelmRelease | Kustomization
    sync: Claimant
    commit: str


class ObjectClaims:
    """The claims of all syncs and releases. ``cluster`` names the cluster that the objects are in: "" for the one that
    the agent serves, else the Secret with its kubeconfig."""

    def __init__(self) -> None:
        #: Called with each object that somebody no longer wants or has, or has from now on or has applied while another
        #: kept it for him, and the cluster that it is in.
        self.on_release: list[Callable[[ObjectKey, str], None]] = []
        #: Called with each sync whose objects have gone with their Namespace, which is there again.
        self.on_emptied: list[Callable[[Claimant], None]] = []
        self._claims: dict[tuple[Claimant, Why], tuple[str, frozenset[ObjectKey]]] = {}
        self._claimants: defaultdict[tuple[str, ObjectKey], set[tuple[Claimant, Why]]] = defaultdict(set)
        #: By sync whose commit cannot be read in whole: the commit, and why nobody can tell all that it wants.
        self.unread: dict[Claimant, tuple[str, str]] = {}
        #: By sync, the commit that it is at.
        self.commits: dict[Claimant, str] = {}
        #: Set when the sync of the settings has said what it wants, since the start.
        self.first_commit = asyncio.Event()
        self.first_commit.set()
        #: By sync, the releases that it is about to remove, and the syncs.
        self._leaving: dict[Claimant, frozenset[Claimant]] = {}
        self._leaving_syncs: dict[Claimant, frozenset[Claimant]] = {}
        #: By sync, the objects of its commit that it does not apply.
        self._left_alone: dict[Claimant, frozenset[ObjectKey]] = {}
        self._brought: dict[Claimant, tuple[HelmRelease | Kustomization, ...]] = {}
        #: The names of the syncs that delete what their commits drop, those that are gone included.
        self._pruning: LRUCache[str, bool] = LRUCache(_MOST_SYNCS)

    def set(self, claimant: Claimant, why: Why, keys: Iterable[ObjectKey], *, cluster: str = "") -> None:
        """``claimant`` wants exactly these, as far as ``why`` goes."""
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
        """``claimant`` does not want this one any more, as far as ``why`` goes."""
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
        """``sync`` is at a commit from now on; ``why`` says what of it cannot be read, "" when all of it can.
        ``prunes``: it deletes what a commit drops."""
        self.commits[sync] = commit
        self._pruning[sync.name] = prunes
        if why:
            self.unread[sync] = (commit, why)
        else:
            self.unread.pop(sync, None)

    def set_leaving(self, sync: Claimant, releases: Iterable[Claimant]) -> None:
        """``sync`` is about to remove exactly these releases: what they have is free for others already."""
        before, leaving = self._leaving.get(sync, frozenset()), frozenset(releases)
        self._leaving[sync] = leaving
        if not (new := leaving - before):
            return
        for (claimant, _), (cluster, keys) in list(self._claims.items()):
            if claimant in new:
                self.tell(keys, cluster)

    def set_leaving_syncs(self, sync: Claimant, syncs: Iterable[Claimant]) -> None:
        """``sync`` is about to remove exactly these: what they have is theirs until they are gone, and they will want
        nothing more."""
        self._leaving_syncs[sync] = frozenset(syncs)

    def set_brought(self, sync: Claimant, items: Iterable[HelmRelease | Kustomization]) -> None:
        """The commit that ``sync`` is at brings exactly these."""
        self._brought[sync] = tuple(items)

    def set_left_alone(self, sync: Claimant, keys: Iterable[ObjectKey]) -> None:
        """``sync`` wants these to be there, and never makes them its own."""
        self._left_alone[sync] = frozenset(keys)

    def leaves_alone(self, sync: Claimant, key: ObjectKey) -> bool:
        """Whether an object is one of these."""
        return key in self._left_alone.get(sync, ())

    def is_only_kept(self, key: ObjectKey) -> bool:
        """Whether nobody wants an object of the agent's own cluster, and somebody keeps it for a while."""
        whys = {why for _, why in self._claimants.get(("", key), ())}
        return whys == {"kept"}

    def took(self, claimant: Claimant, keys: Iterable[ObjectKey], cluster: str) -> None:
        """``claimant`` has applied these: who kept one for him need not keep it any more."""
        self.tell((key for key in keys if self._is_kept(key, cluster, but=claimant)), cluster)

    def reached(self, sync: Claimant, key: ObjectKey) -> None:
        """``sync`` has applied a HelmRelease: from here on it says itself what it wants."""
        self._brought[sync] = tuple(item for item in self._brought.get(sync, ()) if item.key != key)

    def brought(self) -> Iterator[Brought]:
        """What the commits of all syncs bring."""
        for sync, items in self._brought.items():
            commit = self.commits.get(sync, "")
            yield from (Brought(item, sync, commit) for item in items)

    @property
    def leaving_syncs(self) -> frozenset[Claimant]:
        """The Kustomizations, as syncs, that some sync or release is about to remove."""
        return self._still(self._leaving_syncs)

    @property
    def leaving(self) -> frozenset[Claimant]:
        """The releases that some sync is about to remove."""
        return self._still(self._leaving)

    def _still(self, leaving: Mapping[Claimant, frozenset[Claimant]]) -> frozenset[Claimant]:
        """Without those whose object somebody else has by now, or at once: they stay, and may want something new."""
        return frozenset(
            item for remover, items in leaving.items() for item in items if not self._is_had(item, but=remover)
        )

    def is_leaving(self, release: Claimant) -> bool:
        """Whether a release is one of ``leaving``, which takes longer the more there are of these."""
        return self._leaves(release, frozenset())

    def _leaves(self, item: Claimant, asked: frozenset[Claimant]) -> bool:
        """Whether a release or sync is about to be removed. ``asked`` are those that this is asked for."""
        leaving = self._leaving_syncs if item.kind == "sync" else self._leaving
        removers = [remover for remover, items in leaving.items() if item in items]
        return any(not self._is_had(item, but=remover, asked=asked) for remover in removers)

    def _is_had(self, item: Claimant, *, but: Claimant, asked: frozenset[Claimant] = frozenset()) -> bool:
        """Whether somebody else has its object, or is about to, and is not about to be removed himself."""
        asked |= {item}
        owners = {claimant for claimant, why in self._claimants.get(("", item.object), ()) if why in _HAS}
        return any(not self._leaves(owner, asked) for owner in owners - asked - {but})

    def claimants(
        self, key: ObjectKey, *, cluster: str = "", but: Claimant | None = None, for_good: bool = False
    ) -> list[Claimant]:
        """Who wants an object, without ``but`` and releases that are about to be removed; syncs first, then by name.
        ``for_good``: also without those that only run it as a hook, or wait until it is let go of."""
        claims = self._claimants.get((cluster, key), ())
        wanting = {claimant for claimant, why in claims if why != "kept" and not (for_good and why in _NOT_FOR_GOOD)}
        found = {claimant for claimant in wanting - {but} if not self.is_leaving(claimant)}
        return sorted(found, key=lambda item: (item.kind != "sync", item))

    def holders(self, key: ObjectKey, *, cluster: str = "") -> frozenset[Claimant]:
        """The releases that are deployed with an object, whatever is to become of them."""
        claims = self._claimants.get((cluster, key), ())
        return frozenset(claimant for claimant, why in claims if why == "deployed")

    def to_have(self, key: ObjectKey, cluster: str) -> list[Claimant]:
        """The syncs that are to have an object, of which somebody lets go: they waited for it, or have applied it
        before he wrote to it once more; and those that keep it until it is known who wants it."""
        claims = self._claimants.get((cluster, key), ())
        return [claimant for claimant, why in claims if why in ("let go", "commit", "kept") and claimant.kind == "sync"]

    def prunes(self, sync: str) -> bool:
        """Whether a sync of this agent, be it gone, deletes what a commit drops."""
        return self._pruning.get(sync, False)

    def inside(self, holds: Callable[[ObjectKey], bool], *, cluster: str, but: Claimant) -> Iterator[Claimant]:
        """Who wants an object that would go with a Namespace or a definition, once for each; ``holds`` says which
        would. Of ``but`` only what it wants as a sync, whose commit may have an object and not the Namespace that it is
        in."""
        out = self.leaving
        for (claimant, why), (where, keys) in sorted(self._claims.items()):
            is_asked = where == cluster and why not in ("hooks", "kept") and claimant not in out
            if is_asked and (claimant != but or why == "commit"):
                yield from (claimant._replace(inside=key) for key in sorted(filter(holds, keys)))

    def kept_inside(self, holds: Callable[[ObjectKey], bool], *, cluster: str, but: Claimant) -> Iterator[Claimant]:
        """Who else keeps an object that would go, for whom that is to have it: nobody can tell yet, nor has anybody
        taken it meanwhile."""
        for (claimant, why), (where, keys) in sorted(self._claims.items()):
            if where == cluster and why == "kept" and claimant != but:
                doubt = "nobody can tell yet who is to have it"
                left = (key for key in keys if holds(key) and not self._is_taken(key, cluster))
                yield from (claimant._replace(inside=key, doubt=doubt) for key in sorted(left))

    def keys(self, claimant: Claimant, why: Why) -> frozenset[ObjectKey]:
        """What ``claimant`` wants for a reason."""
        return self._claims.get((claimant, why), ("", frozenset[ObjectKey]()))[1]

    def held_by(self, claimant: Claimant) -> dict[str, frozenset[ObjectKey]]:
        """The objects that ``claimant`` wants, by cluster."""
        found: dict[str, frozenset[ObjectKey]] = {}
        for (owner, why), (cluster, keys) in self._claims.items():
            if owner == claimant and why != "kept":
                found[cluster] = found.get(cluster, frozenset()) | keys
        return found

    def knows(self, claimant: Claimant) -> bool:
        """Whether ``claimant`` wants anything: that it is one of this agent's."""
        return any(known == claimant for known, _ in self._claims)

    def tell(self, keys: Iterable[ObjectKey], cluster: str) -> None:
        """Somebody no longer wants these, or is about to leave them."""
        for key in list(keys):
            for listener in list(self.on_release):
                listener(key, cluster)

    def emptied(self, namespace: str, *, by: Claimant, cluster: str) -> list[Claimant]:
        """``by`` has made a Namespace anew that somebody had deleted: what others had in it has gone with it. These."""
        inside = self.inside(lambda key: key.namespace == namespace, cluster=cluster, but=by)
        others = sorted({item.by_name for item in inside} - {by})
        for claimant in others:
            for listener in list(self.on_emptied):
                listener(claimant)
        return others

    def tell_of(self, claimant: Claimant) -> None:
        """``claimant`` is about to leave all that it has."""
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
    """The Kustomization that a sync would be, by its ``namespace/name``."""
    return Claimant("sync", sync).object
