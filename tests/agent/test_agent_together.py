"""Several things at once: who ends whom, and when a failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest

from gitsync.runtime.together import as_one, finish_all, until_one_ends, until_one_fails

Do = Callable[..., Awaitable[None]]


class Work:
    """Pieces of work, and how each has ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def well(self, turns: int = 0) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        self.ended.append("well")
        return "done"

    async def badly(self) -> str:
        self.ended.append("badly")
        raise ValueError("no")

    async def never(self) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended.append("cancelled")
        return ""


async def test_all_is_finished_before_a_failure_is_told() -> None:
    work = Work()
    with pytest.raises(ValueError, match="no"):
        await finish_all([work.badly(), work.well(5)])
    assert work.ended == ["badly", "well"]
    assert await finish_all([work.well(3), work.well()]) == ["done", "done"]


async def test_a_failure_ends_the_rest_and_success_does_not() -> None:
    work = Work()
    await until_one_fails(work.well(), work.well(5))
    with pytest.raises(ValueError, match="no"):
        await until_one_fails(work.never(), work.badly())
    assert work.ended == ["well", "well", "badly", "cancelled"]


async def test_tasks_that_are_begun_one_by_one_and_what_begins_them_end_as_one() -> None:
    work = Work()

    async def begin(*tasks: Coroutine[None, None, str], then: Awaitable[str]) -> None:
        async with as_one() as group:
            for task in tasks:
                group.create_task(task)
                await asyncio.sleep(0)
            await then

    await begin(work.well(5), then=work.well())
    with pytest.raises(ValueError, match="no"):
        await begin(work.never(), work.badly(), then=work.never())
    with pytest.raises(ValueError, match="no"):
        await begin(work.never(), then=work.badly())
    assert work.ended == ["well", "well", "badly", *["cancelled"] * 2, "badly", "cancelled"]


async def test_the_first_that_ends_ends_the_rest() -> None:
    work = Work()
    await until_one_ends(work.never(), work.well())
    with pytest.raises(ValueError, match="no"):
        await until_one_ends(work.never(), work.badly())
    assert work.ended == ["well", "cancelled", "badly", "cancelled"]


@pytest.mark.parametrize("do", [until_one_fails, until_one_ends])
async def test_cancelling_ends_all_of_it(do: Do) -> None:
    work = Work()
    task = asyncio.ensure_future(do(work.never(), work.never()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended == ["cancelled", "cancelled"]
