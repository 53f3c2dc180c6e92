"""The lists of files of all sources take a bounded amount of memory, and who asks for more hurts nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gitsync.errors import NoRoom
from gitsync.git import GitReference
from gitsync.sources.git import GitArtifacts, GitPlace, GitSpec
from gitsync.sources.git.spec import Content
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from gitsync.tree import Tree, TreeEntry
from gitsync.treememory import TreeMemory
from tests.git.git_world import Repository
from tests.until import until

KIB = 1 << 10


async def nothing(blob_ids: Sequence[str]) -> dict[str, bytes]:
    return {}


class Trees:
    """Of files whose list takes so many KiB, made in a memory; ``made`` counts them."""

    def __init__(self, memory: TreeMemory) -> None:
        self.memory = memory
        self.made = 0

    async def make(self, name: str, kib: int, namespace: str = "apps") -> Tree:
        async def making() -> Tree:
            self.made += 1
            return Tree(name, [TreeEntry("x" * (kib * KIB), name, 1)], nothing)

        return await self.memory.make(name, namespace, making)


async def test_a_namespace_has_its_share_and_others_have_theirs_whatever_it_takes() -> None:
    trees = Trees(TreeMemory(together=4 << 20, of_namespace=3 << 20, always=1 << 20))
    first = await trees.make("first", 2000)
    with pytest.raises(NoRoom, match="the sources of namespace apps would take more than 3 MiB of memory") as refused:
        await trees.make("second", 2000)
    assert "name fewer or smaller sources" in refused.value.hint
    other = await trees.make("other", 1500, "other")
    with pytest.raises(NoRoom, match="the lists of the files of all sources would take more than 4 MiB"):
        await trees.make("more", 1500, "third")
    small = await trees.make("small", 1000, "third")
    assert [tree.files for tree in (first, other, small)] == [1, 1, 1]


async def test_what_nobody_uses_makes_way_and_what_is_used_does_not() -> None:
    trees = Trees(TreeMemory(together=4 << 20, of_namespace=3 << 20, always=0))
    used = await trees.make("used", 1000)
    for name in ("unused", "second"):
        await trees.make(name, 1500)
    assert trees.memory.get("unused") is None
    assert trees.memory.get("used") is used
    assert trees.memory.get("second") is not None


async def test_there_is_room_again_once_a_tree_is_gone_and_no_list_is_made_for_nothing_before() -> None:
    trees = Trees(TreeMemory(together=2 << 20, of_namespace=2 << 20, always=0))
    first = await trees.make("first", 1500)
    for _ in range(3):
        with pytest.raises(NoRoom):
            await trees.make("second", 1500)
    assert trees.made == 2
    del first
    trees.memory.forget(lambda key: key == "first")
    second = await trees.make("second", 1500)
    assert trees.made == 3
    await asyncio.to_thread(trees.memory.forget, lambda _: True)
    del second
    await until(lambda: trees.memory.taken == 0)


async def test_a_repository_that_is_too_large_is_refused_until_another_one_is_gone(tmp_path: Path) -> None:
    memory = TreeMemory(together=100 * KIB, of_namespace=60 * KIB, always=0)
    life = GitArtifacts(tmp_path / "git", Store(tmp_path), Turns(), 60.0, memory)
    specs = {}
    for name in ("one", "two"):
        origin = Repository.make(tmp_path / name)
        origin.commit({f"{'long/' * 20}{number}.yaml": f"{name}\n" for number in range(200)})
        specs[name] = GitSpec(GitPlace(str(origin.path)), GitReference(branch="main"), Content(), "apps")
    try:
        artifact = await life.refresh("one", specs["one"])
        tree = await life.tree(specs["one"], artifact)
        assert tree.files == 200
        assert memory.taken < 200 * 180, "the artifact has the list of the commit, and no other"
        with pytest.raises(NoRoom, match="the sources of namespace apps would take"):
            await life.refresh("two", specs["two"])
        assert await life.tree(specs["one"], artifact) is tree
        life.forget("one", specs["one"])
        del tree
        assert (await life.refresh("two", specs["two"])).files == 200
    finally:
        await life.close()
