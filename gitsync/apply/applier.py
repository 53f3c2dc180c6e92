"""Putting objects into the cluster by server-side apply: one engine for Helm releases and plain manifests alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gitsync.api.identity import Manifest, ObjectKey, without_managed_fields
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.fieldmanagers import TakeOver, Writer, merged, pruned, taken_over
from gitsync.apply.order import waves
from gitsync.diff.secret import folded, is_core_secret
from gitsync.errors import AlreadyExists, Forbidden, Invalid, NotFound

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: Seconds to wait for an object that is on its way out before applying its successor.
GONE_TIMEOUT = 60.0
#: How often an object that comes and goes is looked at anew.
_ATTEMPTS = 5
#: The status by which the API server refuses an object that it can read.
_REFUSED = 422


class Applied(NamedTuple):
    """The API server's answer, the field managers whose fields were taken over, and whether the object is new."""

    object: Manifest
    taken_from: tuple[str, ...] = ()
    created: bool = False


class Applier:
    """Applies with one field manager. It takes over the fields that the writers in ``take_over_from`` have in an
    object, so that what its manifest does not have is removed (see ``fieldmanagers``).
    """

    def __init__(self, cluster: Cluster, manager: str, take_over_from: Set[Writer] = frozenset()) -> None:
        self._cluster = cluster
        self._manager = manager
        self._take_over_from = take_over_from

    async def apply_all(
        self, manifests: Sequence[Manifest], put: Callable[[Manifest], Awaitable[Manifest]] | None = None
    ) -> dict[ObjectKey, Manifest]:
        """Apply objects that are in install order: one kind after the other, the objects of a kind at once; each by
        ``put``, else by ``apply``.

        Returns the API server's answers. Raises: the first ApiError or ClusterUnavailable, after the others ended.
        """
        put = put or self.apply
        applied: dict[ObjectKey, Manifest] = {}
        for wave in waves(manifests):
            # Exceptions are collected so that one failing apply does not cancel its neighbours half way.
            answers = await asyncio.gather(*(put(item) for item in wave), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                applied[ObjectKey.of(answer)] = answer
        return applied

    async def apply(self, manifest: Manifest) -> Manifest:
        """Apply one object; see ``apply_over``."""
        return (await self.apply_over(manifest, None)).object

    async def apply_over(self, manifest: Manifest, live: Manifest | None) -> Applied:
        """Apply one object; one that is being deleted is waited out first, since an apply to it would be lost.

        Raises: as ``send``; NotReadyInTime when the one that is being deleted does not go.
        """
        applied = await self.send(manifest, live)
        if "deletionTimestamp" in applied.object["metadata"]:
            await wait_deleted(self._cluster, [ObjectKey.of(applied.object)], GONE_TIMEOUT)
            applied = await self.send(manifest, None)
        return applied

    async def apply_new(
        self, manifest: Manifest, adapted: Callable[[Manifest, Manifest], Manifest], *, expected: bool = False
    ) -> Applied:
        """Apply one object that may be there already: one that is, is applied as ``adapted(manifest, live)``. Whether
        it is there, the API server says in the apply itself. Only where it is ``expected`` to be there is it read
        first, which costs a request.

        Raises: as ``apply_over``.
        """
        key = ObjectKey.of(manifest)
        live = await self._cluster.find(key) if expected else None
        for _ in range(_ATTEMPTS):
            if live is None:
                try:
                    answer = await self._cluster.apply(storable(manifest), manager=self._manager, new=True)
                    return Applied(answer, created=True)
                except (AlreadyExists, Invalid) as error:  # invalid perhaps only together with what is there
                    live = await self._cluster.find(key)
                    if live is None and isinstance(error, Invalid):
                        raise
            elif "deletionTimestamp" in live["metadata"]:
                await wait_deleted(self._cluster, [key], GONE_TIMEOUT)
                live = None
            else:
                break
        return await self.apply_over(adapted(manifest, live) if live else manifest, live)

    async def send(self, manifest: Manifest, live: Manifest | None) -> Applied:
        """Apply one object at once. What comes out may be on its way to be deleted: then the apply is lost with it.

        Costs one request where nobody's fields are to be taken over. Where some are, and the object as it is now is
        given as ``live``, they are taken first, so that the object changes once. If not, the answer shows them: then
        they are taken, and the manifest is applied once more. An apply that is killed in between is finished by the
        next one.

        Raises: ApiError, ClusterUnavailable.
        """
        manifest = storable(manifest)
        taken = await self._take_over(manifest, live) if live is not None else ()
        created = False

        def on_create() -> None:
            nonlocal created
            created = True

        try:
            answer = await self._cluster.apply(manifest, manager=self._manager, on_create=on_create)
        except Invalid as error:
            # Perhaps only together with what somebody else wrote: of some fields, an object may have but one.
            found = await self._take_over(manifest, None) if error.status == _REFUSED else ()
            if not found:
                raise
            taken += found
            answer = await self._cluster.apply(manifest, manager=self._manager)
        if "deletionTimestamp" in answer["metadata"]:
            return Applied(answer, taken, created)
        if found := await self._take_over(manifest, answer):
            taken += found
            answer = await self._cluster.apply(manifest, manager=self._manager)
        return Applied(answer, taken, created)

    async def dry_run(self, manifest: Manifest) -> Manifest:
        """What applying one object would make of it; changes nothing. Costs one request more where fields would go
        because they are taken over: what an object is without them, the API server has to say (defaults come back).

        Raises: ApiError, ClusterUnavailable.
        """
        from gitsync.cluster import retry_on_conflict  # lazily: ``gitsync validate`` needs no cluster

        async def attempt() -> Manifest:
            answer, after = await self._foreseen(storable(manifest))
            if answer is after:
                return answer
            try:
                return await self._cluster.replace(without_managed_fields(after), manager=self._manager, dry_run=True)
            except Forbidden:
                return after  # without the right to update: without the server's defaults, then

        return await retry_on_conflict(attempt)

    async def _foreseen(self, manifest: Manifest) -> tuple[Manifest | None, Manifest]:
        """What an apply would make of an object: first by the API server's answer (None when it refuses), then with the
        fields gone that are taken over and dropped.
        """
        try:
            answer = await self._cluster.apply(manifest, manager=self._manager, dry_run=True)
        except Invalid as error:
            live = None
            if error.status == _REFUSED and self._take_over_from:
                version = manifest["apiVersion"].rpartition("/")[2]
                live = await self._cluster.find(ObjectKey.of(manifest), version=version)
            after = merged(live, manifest, self._manager, self._take_over_from) if live is not None else None
            if after is None:
                raise
            return None, after
        return answer, pruned(answer, manifest, self._manager, self._take_over_from)

    async def _take_over(self, manifest: Manifest, live: Manifest | None) -> tuple[str, ...]:
        """Take over fields of an object; ``live`` is how it is now, None when that is not known. Returns the managers
        that have lost some."""
        from gitsync.cluster import retry_on_conflict  # lazily: ``gitsync validate`` needs no cluster

        key, known = ObjectKey.of(manifest), [live] if live is not None else []

        def theirs(now: Manifest | None) -> TakeOver | None:
            return taken_over(now, manifest, self._manager, self._take_over_from) if now is not None else None

        if not self._take_over_from or (live is not None and theirs(live) is None):
            return ()  # as with nearly all, of which there are many

        async def attempt() -> tuple[str, ...]:
            now = known.pop() if known else await self._cluster.find(key)
            found = theirs(now)
            if now is None or found is None:
                return ()
            metadata = {**found.metadata, "resourceVersion": now["metadata"]["resourceVersion"]}
            await self._cluster.patch(key, {"metadata": metadata}, manager=self._manager)
            return found.managers

        try:
            managers = await retry_on_conflict(attempt)
        except NotFound:  # deleted meanwhile
            return ()
        if managers:
            log.info("fields taken over", object=str(key), **{"from": ", ".join(managers)})
        return managers


def storable(manifest: Manifest) -> Manifest:
    """A Secret with its stringData in data, as Flux applies it: the API server keeps it there, and takes nothing out of
    data that was applied as stringData.
    """
    strings = manifest.get("stringData")
    if not is_core_secret(manifest) or not isinstance(strings, dict):
        return manifest
    if not all(isinstance(value, str) for value in strings.values()):
        return manifest  # which the API server refuses, by the field's name
    return folded(manifest)
