"""What Kustomizations are built to, as long as it is worked with: a slow API server has many of them wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
#: An object that is applied is there twice: as it is wanted, and as the API server has it.
_COPIES: Final = 2


class Builds:
    """Builds Kustomizations, with room in memory for what comes out. ``within`` is what there is for all that is
    read."""

    def __init__(self, builder: Builder, within: Budget | None = None) -> None:
        self._builder = builder
        self._memory = Memory("objects of Kustomizations", TOGETHER, OF_NAMESPACE, ALWAYS, within)
        #: What each came to the last time, as far as it counts.
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
        """As ``Builder.build``. What there is no room for is built once more when there is: whoever waits has nothing
        of it in memory."""
        key = room.key
        while True:
            weight = self._weights.get(key, 0)
            await self._take(room, weight)
            desired = await self._builder.build(artifact.commit, artifact.tree, spec)
            found = _COPIES * desired.weight if desired.weight > UNCOUNTED else 0
            self._note(key, found)
            if found <= weight:
                return desired
            room.give_back()
            if self._has_room(room, found):
                return desired
            del desired

    def _note(self, key: ObjectKey, weight: int) -> None:
        if weight:
            self._weights[key] = weight
        else:
            self._weights.pop(key, None)

    async def _take(self, room: Room, weight: int) -> None:
        """Wait for room: those who have it apply what they have, which ends."""
        if not weight or self._has_room(room, weight):
            return
        async with telling(lambda: "memory for its objects: others are being applied that take all of it"):
            while not self._has_room(room, weight):
                await self._memory.room()

    def _has_room(self, room: Room, weight: int) -> bool:
        try:
            room.held = self._memory.hold(room.key.namespace, min(weight, OF_NAMESPACE))
        except RetryableError:
            return False
        return True


class Room:
    """What one Kustomization may have in memory."""

    def __init__(self, builds: Builds, key: ObjectKey) -> None:
        self._builds = builds
        self.key = key
        self.held: TakenMemory | None = None

    async def build(self, artifact: TreeArtifact, spec: BuildSpec) -> Desired:
        """What it comes to at an artifact, with room for that. Waits for it. Raises: as ``Builder.build``."""
        return await self._builds.build(self, artifact, spec)

    def give_back(self) -> None:
        """What was built is not worked with any more, or is only waited for."""
        if self.held is not None:
            self.held.give_back()
            self.held = None
