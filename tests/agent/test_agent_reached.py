"""Waiting until several things have come so far."""

from __future__ import annotations

import asyncio

from gitsync.runtime.reached import Reached


async def test_who_waits_for_several_goes_on_at_the_last_of_them() -> None:
    reached: Reached[str] = Reached()
    waiting = [asyncio.ensure_future(reached.all_of(keys)) for keys in (["a", "b", "b"], ["a"], [])]

    async def over() -> list[bool]:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [task.done() for task in waiting]

    assert await over() == [False, False, True]
    for _ in range(2):
        reached.add("a")
    assert await over() == [False, True, True]
    reached.add("c")
    assert await over() == [False, True, True]
    reached.add("b")
    assert await over() == [True, True, True]
    async with asyncio.timeout(1):
        await reached.all_of(["a", "b", "c"])


async def test_who_gives_up_is_not_told() -> None:
    reached: Reached[str] = Reached()
    given_up, waiting = (asyncio.ensure_future(reached.all_of(["a"])) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    reached.add("a")
    async with asyncio.timeout(1):
        await waiting
    assert given_up.cancelled()
