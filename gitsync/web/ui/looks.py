"""Single objects, read when somebody looks at one: the object, what it consists of, and its Events.

Who looks at the same one at the same time shares a look, and so do those who look again at once. How many looks are
under way is bounded, and so is what one may find.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_own_kind, is_release
from gitsync.errors import ApiError, ClusterUnavailable, Forbidden, GitsyncError
from gitsync.live.events import last_seen
from gitsync.live.finder import Extent, Finder
from gitsync.live.objecttree import ObjectNode
from gitsync.runtime.singleflight import SingleFlight

if TYPE_CHECKING:
    from gitsync.web.ui.board import Board

#: Seconds that a look is good for, that one may take, and that a page waits for it.
FRESH: Final = 1.0
_PATIENCE: Final = 20.0
_AT_ONCE: Final = 4
_REMEMBERED: Final = 64
_MOST_OBJECTS: Final = 300
_MOST_EVENTS: Final = 30


@dataclass(frozen=True, slots=True)
class Look:
    """What was found: ``manifest`` is None when the object is not there, ``tree`` when there is nothing to show below
    it; ``left_out`` objects were too many. ``troubles`` are what could not be read."""

    key: ObjectKey
    manifest: Manifest | None = field(repr=False)
    tree: ObjectNode | None = None
    left_out: int = 0
    events: Sequence[Manifest] = field(default=(), repr=False)
    troubles: Sequence[GitsyncError] = ()


class Looks:
    """Looks at objects of the cluster of a board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._flights: SingleFlight[Look] = SingleFlight()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._past: LRUCache[ObjectKey, tuple[float, Look]] = LRUCache(_REMEMBERED)

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def at(self, key: ObjectKey) -> Look:
        """A look at an object, at most a moment old. Raises: ClusterUnavailable."""
        past = self._past.get(key)
        if past is not None and time.monotonic() - past[0] < FRESH:
            return past[1]
        return await self._flights.run(key, lambda: self._look(key))

    async def tree_of(self, key: ObjectKey, patience: float) -> ObjectNode | None:
        """What an object consists of, as it was seen last; None when nobody has seen it, nor does in ``patience``
        seconds."""
        try:
            async with asyncio.timeout(patience):
                return (await self.at(key)).tree
        except (TimeoutError, GitsyncError):
            past = self._past.get(key)
            return past[1].tree if past is not None else None

    async def _look(self, key: ObjectKey) -> Look:
        try:
            async with self._slots, asyncio.timeout(_PATIENCE):
                found = await self._found(key)
        except TimeoutError:
            raise ClusterUnavailable(f"{key} could not be looked at within {_PATIENCE:g} s") from None
        self._past[key] = (time.monotonic(), found)
        return found

    async def _found(self, key: ObjectKey) -> Look:
        troubles: list[GitsyncError] = []
        cluster = self._board.cluster
        try:
            manifest = await cluster.find(key)
        except Forbidden as error:
            manifest = self._board.known.find(key)
            troubles.append(error)
        except ApiError as error:
            return Look(key, None, troubles=[error])
        if manifest is None:
            return Look(key, None, troubles=troubles)
        events, tree = await asyncio.gather(self._events(key, troubles), self._tree(key, manifest, troubles))
        return Look(key, manifest, *tree, events, troubles)

    async def _tree(
        self, key: ObjectKey, manifest: Manifest, troubles: list[GitsyncError]
    ) -> tuple[ObjectNode | None, int]:
        if is_own_kind(key) and not (is_release(key) or is_kustomization(key)):
            return None, 0
        finder = self._finder(with_records=False)
        try:
            tree = await finder.tree(key, manifest)
            if is_release(key) and not tree.children:  # not released yet: only Helm's record names its objects
                finder = self._finder(with_records=True)
                tree = await finder.tree(key, manifest)
        except GitsyncError as error:
            troubles.append(error)
            return None, 0
        return tree, finder.left_out

    def _finder(self, *, with_records: bool) -> Finder:
        extent = Extent(inside=False, most=_MOST_OBJECTS, records=with_records, tolerant=True)
        return Finder(self._board.cluster, extent, self._board.known.find)

    async def _events(self, key: ObjectKey, troubles: list[GitsyncError]) -> Sequence[Manifest]:
        fields = f"involvedObject.kind={key.kind},involvedObject.name={key.name}"
        try:
            found = await self._board.cluster.list("", "Event", namespace=key.namespace, fields=fields)
        except GitsyncError as error:
            troubles.append(error)
            return ()
        return sorted(found, key=last_seen, reverse=True)[:_MOST_EVENTS]
