"""Taking objects out of the cluster. The only place that decides whether an object may be deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.claims import Claimant
from gitsync.errors import Conflict, KindUnknown, NotReadyInTime
from gitsync.health import assess
from gitsync.runtime.progress import SILENCE, report

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from gitsync.cluster import Cluster, WatchEvent

Propagation = Literal["Background", "Foreground", "Orphan"]
#: Says who else wants some of these objects.
WantedBy = Callable[[Collection[ObjectKey]], Awaitable[Mapping[ObjectKey, Claimant]]]
#: Whether a live object is the deleter's own, by what is written on it now.
IsOurs = Callable[[Manifest], bool]
#: How often an object that somebody goes on writing to is looked at anew before it is left for later.
_ATTEMPTS = 10


async def nobody(keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
    """For objects that nobody else can want."""
    return {}


@dataclass(frozen=True)
class Deletion:
    """What came of it: what was deleted; what stays because somebody else wants it, or because it is not ours; what was
    gone already; whose kind is not served any more, so that there can be none of it."""

    deleted: tuple[ObjectKey, ...] = ()
    handed_over: Mapping[ObjectKey, Claimant] = field(default_factory=dict)
    foreign: tuple[ObjectKey, ...] = ()
    gone: tuple[ObjectKey, ...] = ()
    unserved: tuple[ObjectKey, ...] = ()

    def log(self, log: FilteringBoundLogger) -> None:
        """One line for each object that goes to somebody else, and one for the kinds that are gone."""
        for key, claimant in self.handed_over.items():
            if claimant.doubt:
                log.warning("object kept", object=str(key), why=f"{claimant} may want it: {claimant.doubt}")
            else:
                log.info("object handed over", object=str(key), to=str(claimant))
        if self.unserved:
            kinds = sorted({f"{key.kind}.{key.group}" for key in self.unserved})
            log.info("objects of a kind that is gone count as gone", kinds=", ".join(kinds), objects=len(self.unserved))


async def delete_objects(
    cluster: Cluster,
    keys: Sequence[ObjectKey],
    is_ours: IsOurs,
    wanted_by: WantedBy = nobody,
    propagation: Propagation = "Background",
) -> Deletion:
    """Delete these objects in this order (those of one kind at once), each only if it is ours at that moment and nobody
    else wants it. Does not wait until they are gone: see ``wait_deleted``.

    What is read is what is deleted: uid and resourceVersion are preconditions, and an object that was written to in
    between is looked at again. Raises: ApiError, ClusterUnavailable, after those of the same kind have been tried.
    """
    wanted = await wanted_by(keys) if keys else {}
    outcomes: dict[ObjectKey, str] = {}
    for _, same_kind in groupby([key for key in keys if key not in wanted], key=lambda key: key[:2]):
        batch = list(same_kind)
        answers = await asyncio.gather(
            *(_delete(cluster, key, is_ours, propagation) for key in batch), return_exceptions=True
        )
        for key, answer in zip(batch, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            outcomes[key] = answer

    def having(outcome: str) -> tuple[ObjectKey, ...]:
        return tuple(key for key, found in outcomes.items() if found == outcome)

    return Deletion(
        having("deleted"),
        await _present(cluster, wanted, is_ours),
        having("foreign"),
        having("gone"),
        having("unserved"),
    )


async def _present(
    cluster: Cluster, wanted: Mapping[ObjectKey, Claimant], is_ours: IsOurs
) -> dict[ObjectKey, Claimant]:
    """Those that are there and still ours: what somebody has taken already is not handed over once more."""
    found = await find_all(cluster, wanted)
    return {key: wanted[key] for key, live in found.items() if is_ours(live)}


async def _delete(cluster: Cluster, key: ObjectKey, is_ours: IsOurs, propagation: Propagation) -> str:
    attempts = 0
    while True:
        try:
            live = await cluster.find(key)
            if live is None:
                return "gone"
            if not is_ours(live):
                return "foreign"
            uid, version = live["metadata"]["uid"], live["metadata"]["resourceVersion"]
            await cluster.delete(key, propagation=propagation, uid=uid, resource_version=version)
            return "deleted"
        except KindUnknown:
            return "unserved"
        except Conflict:
            attempts += 1
            if attempts == _ATTEMPTS:
                raise


async def find_all(cluster: Cluster, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Manifest]:
    """Those of these objects that are in the cluster; one request each. Of a kind that is not served there are none."""

    async def find(key: ObjectKey) -> Manifest | None:
        try:
            return await cluster.find(key)
        except KindUnknown:
            return None

    keys = list(keys)
    found = await asyncio.gather(*(find(key) for key in keys))
    return {key: live for key, live in zip(keys, found, strict=True) if live is not None}


async def wait_deleted(cluster: Cluster, keys: Iterable[ObjectKey], timeout: float) -> None:  # noqa: ASYNC109
    """Wait until these objects exist no more, at most ``timeout`` seconds.

    Raises: NotReadyInTime, naming what is left and why.
    """
    left = await find_all(cluster, keys)
    if not left:
        return
    changed = asyncio.Event()

    def on_event(event: WatchEvent) -> None:
        if event.type == "DELETED":
            left.pop(event.key, None)
        elif event.key in left:
            left[event.key] = event.manifest
        changed.set()

    try:
        async with asyncio.timeout(timeout), AsyncExitStack() as stack:
            for key in sorted(left):
                watch = await stack.enter_async_context(
                    cluster.watch(key.group, key.kind, namespace=key.namespace, fields=f"metadata.name={key.name}")
                )
                stack.callback(watch.subscribe(on_event))
                if watch.get(key) is None:
                    left.pop(key, None)
            await _until_none(left, changed)
    except TimeoutError:
        raise NotReadyInTime(
            f"still being deleted after {timeout:g}s: {_why_left(left)}",
            hint="a finalizer holds it back: see metadata.finalizers",
        ) from None


async def _until_none(left: dict[ObjectKey, Manifest], changed: asyncio.Event) -> None:
    """Return when no object is left. Reports what is, each reason once, at most every SILENCE seconds."""
    reported = ""
    while left:
        try:
            async with asyncio.timeout(SILENCE if reported != _why_left(left) else None):
                await changed.wait()
            changed.clear()
        except TimeoutError:
            why = _why_left(left)
            reported = "" if await report(why) else why


def _why_left(left: dict[ObjectKey, Manifest]) -> str:
    """``ConfigMap/ns/x: is being deleted; finalizers: a/b (and 2 more)``"""
    key = min(left)
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return f"{key}: {assess(left[key]).message or 'is still there'}{more}"
