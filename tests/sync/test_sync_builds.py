"""What many Kustomizations are built to while the API server is slow: no more of it is in memory than there is room
for."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from gitsync.api.identity import CommitInfo, ObjectKey, Origin
from gitsync.api.names import KUSTOMIZE_GROUP
from gitsync.budget import INPUT, Budget
from gitsync.build import Builder, BuildSpec
from gitsync.build.builder import Admit
from gitsync.errors import ManifestError
from gitsync.manifests import Desired
from gitsync.runtime.progress import reporting
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sync.kustomization.reconcile.builds import ALWAYS, OF_NAMESPACE, TOGETHER, Builds, Room
from gitsync.tree import Tree
from tests.until import until

MIB = 1 << 20
LARGE = 15 * MIB
#: So many of that weight there is room for in one namespace.
AT_ONCE = OF_NAMESPACE // LARGE


def key(name: str, namespace: str = "bad") -> ObjectKey:
    return ObjectKey(KUSTOMIZE_GROUP, "Kustomization", namespace, name)


class Counting:
    """Stands in for the Builder: what it has made, as long as anybody has it. ``weight`` of each, made of files of
    ``size``."""

    def __init__(self, weight: int, size: int | None = None) -> None:
        self.weight = weight
        self.size = weight // 2 if size is None else size
        self.errors: tuple[ManifestError, ...] = ()
        self.made: weakref.WeakSet[Desired] = weakref.WeakSet()
        self.builds = 0

    async def build(self, commit: CommitInfo, tree: Tree, spec: BuildSpec, admit: Admit) -> Desired:
        await admit(self.size)
        await asyncio.sleep(0)
        self.builds += 1
        desired = _Desired(commit, {}, errors=self.errors, weight=0 if self.errors else self.weight)
        self.made.add(desired)
        return desired


class _Desired(Desired):
    __hash__ = object.__hash__


ARTIFACT = TreeArtifact("main@sha1:1", CommitInfo("1" * 40), "https://git.example/fleet", cast(Tree, None))


@dataclass
class World:
    """Kustomizations that are built, and then wait for the API server until ``applied``."""

    builder: Counting
    builds: Builds = field(init=False)
    budget: Budget = field(default_factory=Budget.of_input)

    def __post_init__(self) -> None:
        self.builds = Builds(cast(Builder, self.builder), self.budget)
        self.applied = asyncio.Event()
        self.working: set[str] = set()
        self.most = 0

    async def work(self, name: str, namespace: str = "bad", *, gives_back: bool = False) -> None:
        async with self.builds.room(key(name, namespace)) as room:
            desired = await room.build(ARTIFACT, BuildSpec("./large"))
            if gives_back:
                room.give_back()
            self.working.add(name)
            self.most = max(self.most, len(self.builder.made))
            await self.applied.wait()
            self.working.discard(name)
            del desired


@asynccontextmanager
async def many(world: World, count: int = 40) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(world.work(f"p{number}")) for number in range(count)]
    try:
        yield tasks
    finally:
        world.applied.set()
        await asyncio.gather(*tasks)
        assert world.budget.taken == 0, "all of it is given back"


async def test_of_many_that_are_large_no_more_are_in_memory_than_there_is_room_for() -> None:
    world = World(Counting(LARGE))
    async with many(world):
        await until(lambda: len(world.working) == AT_ONCE)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(world.builder.made) == world.builder.builds == AT_ONCE
    assert world.most == AT_ONCE
    assert world.builder.builds == 40, "each is built once"


async def test_what_is_larger_than_its_files_is_built_once_more_when_there_is_room() -> None:
    world = World(Counting(LARGE, size=1000))
    async with many(world):
        await until(lambda: world.builder.builds >= 40)  # each has been built once, and most of them let go
        await until(lambda: len(world.working) == AT_ONCE)
        assert len(world.builder.made) == AT_ONCE
    assert world.most <= AT_ONCE
    assert world.builder.builds <= 2 * 40
    world.applied, world.builder.builds = asyncio.Event(), 0
    async with many(world):
        await until(lambda: len(world.working) == AT_ONCE)
        assert world.builder.builds == AT_ONCE, "from there on it is known"
    assert world.builder.builds == 40


async def test_a_commit_that_cannot_be_built_does_not_let_all_of_the_next_one_in_at_once() -> None:
    world = World(Counting(LARGE, size=1000))
    world.applied.set()
    await asyncio.gather(*(world.work(f"p{number}") for number in range(40)))
    world.builder.errors = (ManifestError("a variable is not set", origin=Origin("a.yaml", 1)),)
    await asyncio.gather(*(world.work(f"p{number}") for number in range(40)))
    world.builder.errors, world.builder.builds, world.applied = (), 0, asyncio.Event()
    async with many(world):
        await until(lambda: len(world.working) == AT_ONCE)
        assert world.builder.builds == AT_ONCE, "what each comes to is still known"


async def test_others_are_built_meanwhile_and_so_is_what_is_small() -> None:
    world = World(Counting(LARGE))
    async with many(world):
        await until(lambda: len(world.working) == AT_ONCE)
        world.builder.weight, world.builder.size = ALWAYS // 2, ALWAYS // 4
        honest = asyncio.create_task(world.work("honest", "good"))
        await until(lambda: "honest" in world.working)
        world.builder.weight = world.builder.size = 1000
        small = asyncio.create_task(world.work("small", "bad"))
        await until(lambda: "small" in world.working)
        world.applied.set()
        await asyncio.gather(honest, small)


async def test_one_that_has_been_applied_and_waits_for_its_readiness_keeps_nobody_out() -> None:
    """It may wait for what the next one brings."""
    world = World(Counting(OF_NAMESPACE))
    first = asyncio.create_task(world.work("first", gives_back=True))
    await until(lambda: world.working == {"first"})
    second = asyncio.create_task(world.work("second"))
    await until(lambda: world.working == {"first", "second"})
    world.applied.set()
    await asyncio.gather(first, second)


async def test_one_that_is_larger_than_all_room_is_built_when_it_is_alone() -> None:
    world = World(Counting(2 * TOGETHER))
    async with many(world, 3):
        await until(lambda: len(world.working) == 1)
    assert world.most == 1


async def test_room_that_all_else_that_is_read_has_given_back_is_found() -> None:
    """Nobody who applies anything gives any back: there is nobody else."""
    world = World(Counting(LARGE))
    world.budget.add(INPUT)
    waiting = asyncio.create_task(world.work("one"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert world.builder.builds == 0, "there is no room"
    world.budget.add(-INPUT)
    await until(lambda: world.working == {"one"})
    world.applied.set()
    await waiting


async def test_a_wait_for_room_is_told_and_ends_with_who_waits() -> None:
    world = World(Counting(OF_NAMESPACE))
    told: list[str] = []

    async def note(reason: str) -> bool:
        told.append(reason)
        return False

    async def second(room: Room) -> None:
        with reporting(note):
            await room.build(ARTIFACT, BuildSpec("./large"))

    async with many(world, 1):
        await until(lambda: len(world.working) == 1)
        async with world.builds.room(key("second")) as room:
            waiting = asyncio.create_task(second(room))
            await until(lambda: told)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    assert told == ["memory for its objects: others are being applied that take all of it"]
