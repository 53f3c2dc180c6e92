"""Taking objects out of the cluster. The only place that decides whether an object may be deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, LEFT_TO_ANNOTATION
from gitsync.apply.claimant import Claimant
from gitsync.apply.deleted import find_all, wait_deleted
from gitsync.apply.ownership import note_of_heir, without_marks
from gitsync.apply.retention import OwnedClaims
from gitsync.errors import ApiError, KindUnknown, NotFound, NotReadyInTime
from gitsync.runtime.progress import telling
from gitsync.text import listed

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

Propagation = Literal["Background", "Foreground", "Orphan"]
#: Which of these objects somebody else wants, and who.
WantedBy = Callable[[Collection[ObjectKey]], Awaitable[Mapping[ObjectKey, Claimant]]]
#: Whether a live object is the deleter's own, by what is written on it now.
IsOurs = Callable[[Manifest], bool]
#: Why a live object of the deleter's own stays all the same; "" when it may go.
WhyKept = Callable[[Manifest], str]
#: Seconds for a HelmRelease to be uninstalled that has objects in a Namespace (or of a definition) deleted with it.
FIRST_TIMEOUT = 300.0
#: Seconds for a HelmRelease or Kustomization that is already being removed to delete what it has in such a Namespace.
HOLDER_TIME = 15.0
#: Seconds between two looks whether those that are about to be removed still want something.
LOOK_AGAIN = 0.5
#: How often an object that somebody goes on writing to is looked at anew before it is left for later.
_ATTEMPTS = 10


def wants_none(key: ObjectKey) -> bool:
    """``DeletionRules.stays`` of a deleter who goes on wanting nothing."""
    return False


def nothing_keeps(live: Manifest) -> str:
    """``DeletionRules.why_kept`` where no object is kept for what is written on it."""
    return ""


async def nobody(keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
    """``DeletionRules.wanted_by`` for objects that nobody else can want."""
    return {}


@dataclass(frozen=True)
class Deletion:
    """What became of the objects that were to be deleted:

    - ``deleted``: the deletion has begun; ``gone``: there was no such object any more; ``unserved``: nor can there be,
      since its kind is not served any more.
    - ``handed_over``: it is marked as ours, and stays because this claimant wants it, or may want it; ``taken``:
      likewise, but it is not marked as ours any more.
    - ``foreign``: it stays because it is not ours; ``kept``: it is ours, and stays for the reason given.
    """

    deleted: tuple[ObjectKey, ...] = ()
    handed_over: Mapping[ObjectKey, Claimant] = field(default_factory=dict)
    taken: Mapping[ObjectKey, Claimant] = field(default_factory=dict)
    foreign: tuple[ObjectKey, ...] = ()
    gone: tuple[ObjectKey, ...] = ()
    unserved: tuple[ObjectKey, ...] = ()
    kept: Mapping[ObjectKey, str] = field(default_factory=dict)

    def log(self, log: FilteringBoundLogger) -> None:
        """One line for each object that stays or goes to somebody else, and one for the kinds that are gone."""
        for key, why in self.kept.items():
            log.info("object kept", object=str(key), why=why)
        for key, claimant in self.handed_over.items():
            if claimant.why_kept:
                log.info("object kept", object=str(key), why=claimant.why_kept)
            elif claimant.doubt:
                log.warning("object kept", object=str(key), why=claimant.may_want_it)
            else:
                log.info("object handed over", object=str(key), to=str(claimant))
        if self.unserved:
            kinds = sorted({f"{key.kind}.{key.group}" for key in self.unserved})
            log.info("objects of a kind that is gone count as gone", kinds=", ".join(kinds), objects=len(self.unserved))


@dataclass(frozen=True, slots=True)
class DeletionRules:
    """Which objects may be deleted: those that are ours at that moment (``is_ours``), that nobody else wants
    (``wanted_by``), and that nothing keeps (``why_kept``).

    ``stays`` names what the deleter himself goes on wanting: a claim, say, that would go with its StatefulSet. Before a
    Namespace goes, syncs and releases that are about to be removed and have objects in it get ``leave_time`` seconds to
    delete them."""

    is_ours: IsOurs
    wanted_by: WantedBy = nobody
    why_kept: WhyKept = nothing_keeps
    propagation: Propagation = "Background"
    stays: Callable[[ObjectKey], bool] = wants_none
    leave_time: float = 0.0


async def delete_objects(
    cluster: Cluster,
    keys: Sequence[ObjectKey],
    rules: DeletionRules,
    *,
    owned: OwnedClaims | None = None,
    dry_run: bool = False,
) -> Deletion:
    """Delete these objects in this order (those of one kind at once), each only if it may go. Does not wait until they
    are gone: see ``wait_deleted``. ``owned`` knows what goes with an object. ``dry_run``: only say what would come of
    it.

    What is read is what is deleted: uid and resourceVersion are preconditions, and an object that was written to in
    between is looked at again. Raises: ApiError, ClusterUnavailable, after those of the same kind have been tried.
    """
    wanted_by, is_ours = rules.wanted_by, rules.is_ours
    wanted = await wanted_by(keys) if keys else {}
    deleter = _Deleter(cluster, rules, owned or OwnedClaims(cluster), dry_run)
    outcomes: dict[ObjectKey, _Outcome] = {}
    while first := _first_to_go([key for key in keys if key not in outcomes], wanted):
        outcomes |= await deleter.delete(first)
        # A HelmRelease that stays goes on wanting what it has inside.
        going = [key for key in first if outcomes[key][0] in ("deleted", "gone")]
        if dry_run:
            wanted = _without(wanted, going)
        elif going:
            await wait_deleted(cluster, going, FIRST_TIMEOUT)
            wanted = await wanted_by([key for key in keys if key not in outcomes])
    outcomes |= await deleter.delete([key for key in keys if key not in wanted and key not in outcomes])
    if not dry_run and (left := await _until_left(cluster, wanted, wanted_by, rules.leave_time)):
        outcomes |= await deleter.delete([key for key in keys if key in left])
        wanted = {key: claimant for key, claimant in wanted.items() if key not in left}

    def having(outcome: str) -> tuple[ObjectKey, ...]:
        return tuple(key for key, (found, _) in outcomes.items() if found == outcome)

    present = await find_all(cluster, wanted)
    ours = {key for key, live in present.items() if is_ours(live)}
    if not dry_run:
        await give_up(cluster, [key for key in sorted(ours) if wanted[key].unowned], is_ours)
    return Deletion(
        having("deleted"),
        {key: wanted[key] for key in present if key in ours},
        {key: wanted[key] for key in present if key not in ours},
        having("foreign"),
        having("gone"),
        having("unserved"),
        {key: why for key, (found, why) in outcomes.items() if found == "kept"},
    )


def _first_to_go(keys: Iterable[ObjectKey], wanted: Mapping[ObjectKey, Claimant]) -> list[ObjectKey]:
    """Of objects to delete, those because of which others are kept: a HelmRelease with objects in a Namespace that is
    to be deleted, too. When the release is gone, the Namespace may go."""
    holders = {(claimant.kind, claimant.name) for claimant in wanted.values() if claimant.inside is not None}
    return [key for key in keys if key not in wanted and (key.kind, key.namespaced_name) in holders]


async def _until_left(
    cluster: Cluster, wanted: Mapping[ObjectKey, Claimant], wanted_by: WantedBy, leave_time: float
) -> set[ObjectKey]:
    """Wait for claimants that are about to be removed, at most ``leave_time`` seconds. Returns the Namespaces and
    definitions that nobody wants any more by then, without those in which a claimant has left something: that is meant
    to stay."""
    inside = {key: set(claimant.leaves) for key, claimant in wanted.items() if claimant.leaves}
    if not inside:
        return set()
    holders = {key: {wanted[key].object} for key in inside}
    waiting, free, deadline = set(inside), set[ObjectKey](), time.monotonic() + leave_time
    why = listed(f"{key}: {wanted[key].why_kept}" for key in inside)
    async with telling(lambda: why):
        while waiting and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_AGAIN)
            still = await wanted_by(waiting)
            free |= waiting - still.keys()
            waiting = {key for key, claimant in still.items() if claimant.leaves}
            for key in waiting:
                inside[key].update(still[key].leaves)
                holders[key].add(still[key].object)
        # A claimant that is being removed wants nothing any more, but may have yet to delete what it has inside.
        leaving = set[ObjectKey]().union(*(holders[key] for key in free))
        with suppress(NotReadyInTime, ApiError):
            await wait_deleted(cluster, leaving, min(max(deadline - time.monotonic(), 0.0), HOLDER_TIME))
    present = await find_all(cluster, set[ObjectKey]().union(*(inside[key] for key in free)))
    staying = {key for key, live in present.items() if "deletionTimestamp" not in live["metadata"]}
    return {key for key in free if not inside[key] & staying}


def _without(wanted: Mapping[ObjectKey, Claimant], gone: Iterable[ObjectKey]) -> dict[ObjectKey, Claimant]:
    """What is still wanted when ``gone``, HelmReleases that had something inside, are gone."""
    holders = {(key.kind, key.namespaced_name) for key in gone}
    return {
        key: claimant
        for key, claimant in wanted.items()
        if claimant.inside is None or (claimant.kind, claimant.name) not in holders
    }


async def give_up(cluster: Cluster, keys: Iterable[ObjectKey], is_ours: IsOurs) -> None:
    """Take the marks off objects that nobody is the owner of from now on, as far as they are still ours.

    Raises: ApiError, ClusterUnavailable.
    """
    for key in keys:
        await _mark(cluster, key, is_ours, without_marks)


async def leave_to(cluster: Cluster, heirs: Mapping[ObjectKey, Claimant], is_ours: IsOurs) -> None:
    """Note on objects which claimant is to have them from now on, as far as they are still ours. Where its apply of one
    is refused for good, so that it never takes the object, the object is deleted with it all the same.

    Raises: ApiError, ClusterUnavailable.
    """
    for key, heir in sorted(heirs.items()):
        if not heir.doubt and not heir.why_kept:
            await _mark(cluster, key, is_ours, partial(_left_to, heir))


def _left_to(heir: Claimant, live: Manifest) -> Manifest:
    metadata = live["metadata"]
    note = {LEFT_TO_ANNOTATION: note_of_heir(live, heir.written)}
    return {"metadata": {**{name: metadata[name] for name in ("uid", "resourceVersion")}, "annotations": note}}


async def _mark(cluster: Cluster, key: ObjectKey, is_ours: IsOurs, patch: Callable[[Manifest], Manifest]) -> None:
    from gitsync.cluster import retry_on_conflict  # lazily: ``gitsync validate`` needs no cluster

    async def attempt() -> None:
        live = await cluster.find(key)
        if live is not None and is_ours(live):
            await cluster.patch(key, patch(live), manager=FIELD_MANAGER)

    with suppress(NotFound):
        await retry_on_conflict(attempt, attempts=_ATTEMPTS)


#: What became of an object, and why it was kept.
_Outcome = tuple[Literal["deleted", "foreign", "kept", "gone", "unserved"], str]


@dataclass(frozen=True, slots=True)
class _Deleter:
    cluster: Cluster
    rules: DeletionRules
    owned: OwnedClaims
    dry_run: bool

    async def delete(self, keys: Sequence[ObjectKey]) -> dict[ObjectKey, _Outcome]:
        """Those of one kind at once; what goes wrong is raised when all of them have been tried."""
        outcomes: dict[ObjectKey, _Outcome] = {}
        for _, same_kind in groupby(keys, key=lambda key: key[:2]):
            batch = list(same_kind)
            answers = await asyncio.gather(*(self._one(key) for key in batch), return_exceptions=True)
            for key, answer in zip(batch, answers, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                outcomes[key] = answer
        return outcomes

    async def _one(self, key: ObjectKey) -> _Outcome:
        from gitsync.cluster import retry_on_conflict  # lazily: ``gitsync validate`` needs no cluster

        unwanted: dict[ObjectKey, str] = {}

        async def attempt() -> _Outcome:
            live = await self.cluster.find(key)
            if live is None:
                return "gone", ""
            if not self.rules.is_ours(live):
                return "foreign", ""
            if why := self.rules.why_kept(live):
                return "kept", why
            if not self.dry_run:
                if wanted := await self._wanted_of(claims := await self.owned.going_with(live)):
                    unwanted.update((claim, claims[claim]) for claim in claims.keys() - wanted)
                    await self.owned.let_stay(live, wanted)
                    return await attempt()
                uid, version = live["metadata"]["uid"], live["metadata"]["resourceVersion"]
                if not await self.cluster.delete(
                    key, propagation=self.rules.propagation, uid=uid, resource_version=version
                ):
                    return await attempt()  # it was deleted meanwhile; there may be a new one of its name by now
            return "deleted", ""

        try:
            outcome = await retry_on_conflict(attempt, attempts=_ATTEMPTS)
        except KindUnknown:
            return "unserved", ""
        await self.owned.delete(unwanted)
        return outcome

    async def _wanted_of(self, keys: Collection[ObjectKey]) -> set[ObjectKey]:
        """Of objects that would go with another one, those that somebody wants, and that stay therefore."""
        mine = set(filter(self.rules.stays, keys))
        return mine | (await self.rules.wanted_by(keys)).keys() if keys else mine
