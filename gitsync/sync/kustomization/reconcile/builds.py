"""A bound on the memory of objects that Kustomizations are built to: with a slow API server, many are applied at
once."""

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

#: Bytes that the objects of all Kustomizations under way may take, and those of one namespace; what each namespace may
#: take whatever the others have; and up to which size a Kustomization does not count.
TOGETHER: Final = 96 << 20
OF_NAMESPACE: Final = 72 << 20
ALWAYS: Final = 4 << 20
UNCOUNTED: Final = 512 << 10
#: How many times the size of its files a build takes: its output is there as text and decoded.
_AS_OBJECTS: Final = 2
#: Seconds after which a wait looks again by itself: the larger budget may have been used up by other kinds of content,
#: and nobody here is told when that is given back.
_AGAIN: Final = 1.0


class Builds:
    """Builds Kustomizations once there is room in memory for the result. It counts ``within`` the budget for all
    foreign content, too."""

    def __init__(self, builder: Builder, within: Budget | None = None) -> None:
        self._builder = builder
        self._memory = Memory("objects of Kustomizations", TOGETHER, OF_NAMESPACE, ALWAYS, within)
        #: The weight in bytes of the last result of each.
        self._weights: dict[ObjectKey, int] = {}

    @asynccontextmanager
    async def room(self, key: ObjectKey) -> AsyncIterator[Room]:
        """Memory for what a Kustomization is built to, until the body is left."""
        room = Room(self, key)
        try:
            yield room
        finally:
            room.give_back()

    def forget(self, key: ObjectKey) -> None:
        """Forget one that is gone."""
        self._weights.pop(key, None)

    async def build(self, room: Room, artifact: TreeArtifact, spec: BuildSpec) -> Desired:
        """As ``Builder.build``, once there is room for the result: as much as for the last one, or else by the size of
        the files. A result that turns out to be larger than there is room for is dropped, and built once more when
        there is: nobody waits with a result in memory."""

        async def admit(size: int) -> None:
            await self._take(room, self._weights.get(room.key, _AS_OBJECTS * size))

        while True:
            desired = await self._builder.build(artifact.commit, artifact.tree, spec, admit)
            if not desired.errors:  # one that cannot be built has no objects, but will have some
                self._weights[room.key] = desired.weight
            if self._has_room(room, desired.weight):
                return desired
            del desired
            room.give_back()

    async def _take(self, room: Room, weight: int) -> None:
        """Wait for room. It comes, since those who have it apply what they have built and then give it back."""
        if self._has_room(room, weight):
            return
        async with telling(lambda: "memory for its objects: others are being applied that take all of it"):
            while not self._has_room(room, weight):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN):
                        await self._memory.until_freed()

    def _has_room(self, room: Room, weight: int) -> bool:
        """Whether ``room`` has so many bytes in all; what is missing is taken now, if that much is free."""
        more = min(weight, OF_NAMESPACE) - room.size
        if weight <= UNCOUNTED or more <= 0:
            return True
        try:
            room.add(self._memory.hold(room.key.namespace, more), more)
        except RetryableError:
            return False
        return True


class Room:
    """The memory that one Kustomization has taken: ``size`` bytes."""

    def __init__(self, builds: Builds, key: ObjectKey) -> None:
        self._builds = builds
        self.key = key
        self.size = 0
        self._held: list[TakenMemory] = []

    async def build(self, artifact: TreeArtifact, spec: BuildSpec) -> Desired:
        """Build the Kustomization at an artifact, once there is room. Raises: as ``Builder.build``."""
        return await self._builds.build(self, artifact, spec)

    def add(self, held: TakenMemory, size: int) -> None:
        """Add memory that was taken."""
        self._held.append(held)
        self.size += size

    def give_back(self) -> None:
        """Give all of it back: the objects are not needed any more."""
        for held in self._held:
            held.give_back()
        self._held, self.size = [], 0
