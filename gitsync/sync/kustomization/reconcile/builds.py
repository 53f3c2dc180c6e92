"""What Kustomizations are built to, as long as it is worked with: a slow API server has many of them wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from gitsync.api.identity import ObjectKey
from gitsync.budget import Budget
from gitsync.build import Builder, BuildSpec
from gitsync.errors import RetryableError
from gitsync.manifests import Desired
from gitsync.runtime.memory import Memory, TakenMemory
from gitsync.runtime.progress import telling
from gitsync.sources.resolve.treeartifact import TreeArtifact

#: What the objects of all that are worked with take, and those of one namespace, in bytes; what there is for each
#: namespace whatever the others have; and what does not count of one Kustomization.
TOGETHER: Final = 96 << 20
OF_NAMESPACE: Final = 72 << 20
ALWAYS: Final = 4 << 20
UNCOUNTED: Final = 512 << 10
#: What comes out of files is there as text and decoded, which each take about as much as the files.
_AS_OBJECTS: Final = 2
#: Seconds after which one who waits looks again: it may be all else that is read that has taken the room, and nobody
#: here is told when that goes.
_AGAIN: Final = 1.0


class Builds:
    """Builds Kustomizations, with room in memory for what comes out. ``within`` is what there is for all that is
    read."""

    def __init__(self, builder: Builder, within: Budget | None = None) -> None:
        self._builder = builder
        self._memory = Memory("objects of Kustomizations", TOGETHER, OF_NAMESPACE, ALWAYS, within)
        #: What each came to when it could be built the last time, in bytes.
        self._weights: dict[ObjectKey, int] = {}

    @asynccontextmanager
    async def room(self, key: ObjectKey) -> AsyncIterator[Room]:
        """For what one is built to, until it is left."""
        room = Room(self, key)
        try:
            yield room
        finally:
            room.give_back()

    def forget(self, key: ObjectKey) -> None:
        """Forget one that is gone."""
        self._weights.pop(key, None)

    async def build(self, room: Room, artifact: TreeArtifact, spec: BuildSpec) -> Desired:
        """As ``Builder.build``, once there is room. Before, what it needs is guessed by what it came to the last time,
        else by its files. What turns out to need more than there is room for is let go, and built once more when there
        is: whoever waits has nothing of it in memory."""

        async def admit(size: int) -> None:
            await self._take(room, self._weights.get(room.key, _AS_OBJECTS * size))

        while True:
            desired = await self._builder.build(artifact.commit, artifact.tree, spec, admit)
            if not desired.errors:  # of what cannot be built there is nothing, and more once it can
                self._weights[room.key] = desired.weight
            if self._has_room(room, desired.weight):
                return desired
            del desired
            room.give_back()

    async def _take(self, room: Room, weight: int) -> None:
        """Wait for room: those who have it apply what they have, which ends."""
        if self._has_room(room, weight):
            return
        async with telling(lambda: "memory for its objects: others are being applied that take all of it"):
            while not self._has_room(room, weight):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN):
                        await self._memory.until_freed()

    def _has_room(self, room: Room, weight: int) -> bool:
        """Whether one has room for so much in all; what it has not is taken, where there is as much."""
        more = min(weight, OF_NAMESPACE) - room.size
        if weight <= UNCOUNTED or more <= 0:
            return True
        try:
            room.add(self._memory.hold(room.key.namespace, more), more)
        except RetryableError:
            return False
        return True


class Room:
    """What one Kustomization may have in memory: ``size`` bytes, as far as it counts."""

    def __init__(self, builds: Builds, key: ObjectKey) -> None:
        self._builds = builds
        self.key = key
        self.size = 0
        self._held: list[TakenMemory] = []

    async def build(self, artifact: TreeArtifact, spec: BuildSpec) -> Desired:
        """What it comes to at an artifact, with room for that. Waits for it. Raises: as ``Builder.build``."""
        return await self._builds.build(self, artifact, spec)

    def add(self, held: TakenMemory, size: int) -> None:
        """It has so much more."""
        self._held.append(held)
        self.size += size

    def give_back(self) -> None:
        """What was built is not worked with any more, or is only waited for."""
        for held in self._held:
            held.give_back()
        self._held, self.size = [], 0
