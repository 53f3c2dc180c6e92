"""Reading the live state of many objects with as few requests as possible: by lists where these are cheaper."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import SYNC_LABEL
from gitsync.errors import Forbidden, KindUnknown, NotFound

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer

#: From so many objects of one kind in one namespace on, one list of what the sync has applied is cheaper than a get
#: each; and from so many that the sync has never applied, one list of what any sync has.
LIST_FROM = 5
LIST_ALL_FROM = 50
CONCURRENT_READS = 16


class LiveReader:
    """Reads live objects. What is watched anyway (``watched``, by group and kind) is looked up there."""

    def __init__(self, cluster: Cluster, watched: dict[tuple[str, str], Informer]) -> None:
        self._cluster = cluster
        self._watched = watched
        self._slots = asyncio.Semaphore(CONCURRENT_READS)

    async def read(
        self,
        keys: Iterable[ObjectKey],
        new: Collection[ObjectKey] = (),
        labels: str = SYNC_LABEL,
        *,
        guess: bool = False,
    ) -> dict[ObjectKey, Manifest | None]:
        """Each of these objects; None when it is not there, nothing serves its kind yet, or we may not read it (then
        applying it fails, and says so about this one object). ``labels`` select what the sync has applied.

        Those in ``new`` have never been applied by this sync: where they are many, and a list of all that any sync has
        applied does not name them, they are taken as not there, rather than asked for one by one; with ``guess`` they
        are, however many, and nobody asks. Applying finds out.
        """
        scopes: dict[tuple[str, str, str], list[ObjectKey]] = {}
        for key in keys:
            scopes.setdefault(self._cluster.scope_of(key), []).append(key)
        found: dict[ObjectKey, Manifest | None] = {}
        for part in await asyncio.gather(
            *(self._scope(scope, wanted, new, labels, guess=guess) for scope, wanted in scopes.items())
        ):
            found |= part
        return found

    async def _scope(
        self,
        scope: tuple[str, str, str],
        keys: list[ObjectKey],
        new: Collection[ObjectKey],
        labels: str,
        *,
        guess: bool,
    ) -> dict[ObjectKey, Manifest | None]:
        group, kind, namespace = scope
        if (watch := self._watched.get((group, kind))) is not None:
            return {key: watch.get(key) for key in keys}
        if guess and (guessed := [key for key in keys if key in new]):
            asked = [key for key in keys if key not in new]
            rest = await self._scope(scope, asked, (), labels, guess=False) if asked else {}
            return {**dict.fromkeys(guessed), **rest}
        found: dict[ObjectKey, Manifest | None] = {}
        wanted = set(keys)
        unknown = wanted.intersection(new)
        lists_all = len(unknown) >= LIST_ALL_FROM
        if lists_all or len(keys) - len(unknown) >= LIST_FROM:
            try:
                listed = await self._cluster.list(
                    group, kind, namespace=namespace, labels=SYNC_LABEL if lists_all else labels
                )
                found = dict.fromkeys(unknown) if lists_all else {}
                found |= {key: item for item in listed if (key := ObjectKey.of(item)) in wanted}
            except (KindUnknown, NotFound):
                return dict.fromkeys(keys)
            except Forbidden:
                pass  # without the right to list them, there may be one to read each
        # An object that is not in the list may be there all the same: somebody took the label off.
        missing = [key for key in keys if key not in found]
        read = await asyncio.gather(*(self._find(key) for key in missing))
        return {**found, **dict(zip(missing, read, strict=True))}

    async def _find(self, key: ObjectKey) -> Manifest | None:
        async with self._slots:
            try:
                return await self._cluster.find(key)
            except (KindUnknown, Forbidden):
                return None
