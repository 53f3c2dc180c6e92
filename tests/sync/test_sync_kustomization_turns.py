"""A commit comes to many Kustomizations: who has something new in his own directory is not kept waiting by others."""

from __future__ import annotations

import asyncio

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sync.kustomization.reconcile.turns import LOOK, Turns
from tests.build.trees import tree
from tests.clock import jumping_clock

MANY = 50


def key(number: int) -> ObjectKey:
    return ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, "apps", f"app-{number}")


def artifact(revision: str, changed: int = -1) -> TreeArtifact:
    """A directory for each; one is another one than before."""
    files = {f"apps/{number}/one.yaml": f"a: {revision if number == changed else ''}" for number in range(MANY)}
    return TreeArtifact(f"main@sha1:{revision}", CommitInfo(revision), "https://git.example/fleet", tree(files))


async def order(turns: Turns, found: TreeArtifact) -> list[int]:
    """Who builds when, of all who are woken at the same moment."""
    done = []

    async def one(number: int) -> None:
        await turns.wait(key(number), found, f"./apps/{number}")
        done.append(number)

    await asyncio.gather(*map(one, range(MANY)))
    return done


async def test_who_has_something_new_goes_first_and_all_others_one_after_the_other() -> None:
    turns, loop = Turns(), asyncio.get_running_loop()
    first, second = artifact("a"), artifact("b", changed=MANY - 1)
    for found in (first, second):  # a digest that is not Git's is made in a thread
        for number in range(MANY):
            await found.tree.directory_digest(f"apps/{number}")
    with jumping_clock():
        began = loop.time()
        assert await order(turns, first) == list(range(MANY)), "nobody has built anything yet"
        assert loop.time() == began
        assert await order(turns, second) == [MANY - 1, *range(MANY - 1)]
        assert LOOK * (MANY - 2) < loop.time() - began < 2 * LOOK * MANY


async def test_nobody_waits_who_looks_at_the_same_revision_again_or_is_new() -> None:
    turns, loop = Turns(), asyncio.get_running_loop()
    found, later = artifact("a"), artifact("b")
    for each in (found, later):
        await each.tree.directory_digest("apps/0")
    with jumping_clock():
        began = loop.time()
        await turns.wait(key(0), found, "apps/0")
        await turns.wait(key(0), found, "apps/0")
        turns.forget(key(0))
        await turns.wait(key(0), later, "apps/0")
        assert loop.time() == began
        await turns.wait(key(0), later, "apps/missing")
        await turns.wait(key(0), found, "apps/missing")
        assert loop.time() == began, "what is missing may be anything"
        await turns.wait(key(0), found, "apps/0")
        await turns.wait(key(0), later, "apps/0")
        assert loop.time() > began


async def test_commits_that_come_faster_than_all_can_look_keep_nobody_waiting_for_ever() -> None:
    """Each commit cuts short the waits of those who have not yet looked at the one before."""
    turns, found = Turns(), [artifact(revision) for revision in "abcd"]
    for each in found:
        for number in range(MANY):
            await each.tree.directory_digest(f"apps/{number}")
    await order(turns, found[0])
    done: set[int] = set()

    async def one(number: int, each: TreeArtifact) -> None:
        await turns.wait(key(number), each, f"./apps/{number}")
        done.add(number)

    with jumping_clock():
        for each in found[1:]:
            tasks = [asyncio.create_task(one(number, each)) for number in range(MANY)]
            await asyncio.sleep(LOOK * 5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert done == set(range(MANY))
