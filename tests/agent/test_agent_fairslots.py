"""Slots that owners take in turns, and those that are each owner's own."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import time
from collections import Counter

import pytest

from gitsync.runtime import progress
from gitsync.runtime.fairslots import FairSlots, Shares
from gitsync.runtime.progress import reporting
from tests.clock import jumping_clock
from tests.until import until


class Holders:
    """Who got a slot, in order; each keeps it until ``leave``."""

    def __init__(self, slots: FairSlots) -> None:
        self._slots = slots
        self._leaves: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.entered: list[str] = []

    async def come(self, *names: str, entered: int) -> None:
        """They ask for a slot in this order, and so many get one."""
        for name in names:
            self._leaves[name] = asyncio.Event()
            self.tasks[name] = asyncio.ensure_future(self._hold(name))
            await asyncio.sleep(0)
        await until(lambda: len(self.entered) >= entered)

    async def leave(self, *names: str, entered: int) -> None:
        """They give their slots back; then so many have had one."""
        for name in names:
            await until(lambda name=name: name in self.entered)
            self._leaves[name].set()
            await self.tasks[name]
        await until(lambda: len(self.entered) >= entered)

    async def _hold(self, name: str) -> None:
        async with self._slots.held(name[0]):
            self.entered.append(name)
            await self._leaves[name].wait()


async def test_a_slot_is_given_back_once_by_whoever_has_it_then() -> None:
    slots = FairSlots(1, "things")
    slot = await slots.take("a")
    waiting = [asyncio.ensure_future(slots.take(owner)) for owner in "bc"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    with slot:
        pass
    slot.give_back()
    await asyncio.sleep(0.01)
    assert [task.done() for task in waiting] == [True, False]
    waiting[0].result().give_back()
    (await waiting[1]).give_back()
    assert slots.is_idle


async def test_owners_alternate_where_there_is_one_slot() -> None:
    slots = FairSlots(1, "things")
    holders = Holders(slots)
    await holders.come("a1", "a2", "a3", "b1", "b2", entered=1)
    for number, one in enumerate(("a1", "b1", "a2", "b2"), 2):
        await holders.leave(one, entered=number)
    assert holders.entered == ["a1", "b1", "a2", "b2", "a3"]


async def test_a_free_slot_goes_to_who_has_fewest_then_to_who_has_waited_for_a_turn_longest() -> None:
    slots = FairSlots(2, "things")
    holders = Holders(slots)
    await holders.come("a1", "a2", "a3", "a4", "b1", "c1", entered=2)

    await holders.leave("a1", entered=3)
    await holders.leave("a2", entered=4)
    await holders.leave("b1", entered=5)
    assert holders.entered == ["a1", "a2", "b1", "c1", "a3"]
    await holders.leave("a3", "c1", "a4", entered=6)
    assert slots.is_idle


async def test_nobody_has_more_than_each_may() -> None:
    holders = Holders(FairSlots(3, "things", each=2))
    await holders.come("a1", "a2", "a3", "b1", entered=3)
    assert holders.entered == ["a1", "a2", "b1"]
    await holders.leave("a1", entered=4)
    assert holders.entered[3:] == ["a3"]
    await holders.leave("a2", "a3", "b1", entered=4)


@pytest.mark.parametrize("given", [False, True])
async def test_who_goes_away_while_he_waits_leaves_no_slot_taken(given: bool) -> None:
    slots = FairSlots(1, "things")
    slot, holders = await slots.take("a"), Holders(slots)
    await holders.come("b1", "c1", entered=0)
    if given:  # it is b's turn already when b goes away
        slot.give_back()
    holders.tasks["b1"].cancel()
    slot.give_back()
    await holders.leave("c1", entered=1)
    assert "b1" not in holders.entered
    assert slots.is_idle


async def test_a_wait_for_a_slot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE", 0.01)
    told: list[str] = []

    async def tell(reason: str) -> bool:
        told.append(reason)
        return len(told) < 2

    slots = FairSlots(1, "releases")

    async def wait() -> None:
        with reporting(tell):
            async with slots.held("b"):
                pass

    async with slots.held("a"):
        waiting = asyncio.ensure_future(wait())
        await until(lambda: len(told) == 2)
    await waiting
    assert told == ["a slot: all 1 for releases are taken, 1 by others"] * 2


async def test_of_many_who_wait_one_says_so_and_of_ones_own_slots_nobody() -> None:
    told: list[str] = []

    async def tell(reason: str) -> None:
        told.append(reason)

    slots, owners = FairSlots(2, "objects"), ["a"] * 50
    mine, others = asyncio.Event(), asyncio.Event()

    async def hold(owner: str, leave: asyncio.Event) -> None:
        with reporting(tell):
            async with slots.held(owner):
                await leave.wait()

    holding = [asyncio.ensure_future(hold(owner, mine)) for owner in owners]
    with jumping_clock():
        await asyncio.sleep(100 * progress.SILENCE)
    assert told == []
    mine.set()
    await asyncio.gather(*holding)
    assert slots.is_idle

    strangers = [asyncio.ensure_future(hold("b", others)) for _ in range(2)]
    waiting = [asyncio.ensure_future(hold(owner, mine)) for owner in owners]
    with jumping_clock():
        await asyncio.sleep(100 * progress.SILENCE)
    assert told == ["a slot: all 2 for objects are taken, 2 by others"]
    others.set()
    await asyncio.gather(*strangers, *waiting)
    assert slots.is_idle


@pytest.mark.parametrize("owners", [1, 4000])
async def test_what_one_who_waits_costs_does_not_grow_with_how_many_do(owners: int) -> None:
    async def seconds(count: int) -> float:
        slots = FairSlots(16, "objects")

        async def use(number: int) -> None:
            async with slots.held(number % owners):
                await asyncio.sleep(0)

        started = time.process_time()
        await asyncio.gather(*map(use, range(count)))
        return time.process_time() - started

    gc.disable()  # what else there is in the process is none of it
    try:
        few, many = [min([await seconds(count) for _ in range(3)]) for count in (400, 4000)]
    finally:
        gc.enable()
    assert many < 10 * few * 4


async def test_the_order_is_that_of_looking_at_everybody_each_time() -> None:
    """Held against the rule itself, with owners who come, go and give up at random."""
    chance = random.Random(7)
    slots = FairSlots(3, "things", each=2)
    held: Counter[str] = Counter()
    given: dict[str, int] = {}
    turns = itertools.count()
    waiting: list[tuple[int, str, asyncio.Task[None]]] = []
    holding: list[tuple[str, asyncio.Event, asyncio.Task[None]]] = []
    entered: list[int] = []

    async def hold(number: int, owner: str, leave: asyncio.Event) -> None:
        async with slots.held(owner):
            entered.append(number)
            await leave.wait()

    async def settle() -> None:
        """Whoever gets a slot by the rule has got it, in this order, and nobody else."""
        expected = []
        while sum(held.values()) < 3:
            able = [item for item in waiting if held[item[1]] < 2]
            if not able:
                break
            number, owner, task = item = min(able, key=lambda item: (held[item[1]], given.get(item[1], -1), item[0]))
            waiting.remove(item)
            held[owner] += 1
            given[owner] = next(turns)
            expected.append(number)
            holding.append((owner, leaves[number], task))
        await until(lambda: len(entered) >= len(expected))
        for _ in range(3):
            await asyncio.sleep(0)
        assert sorted(entered) == sorted(expected)
        entered.clear()

    leaves: dict[int, asyncio.Event] = {}
    for number in range(600):
        what = chance.random()
        if what < 0.5:
            owner, leaves[number] = chance.choice("abcd"), asyncio.Event()
            waiting.append((number, owner, asyncio.ensure_future(hold(number, owner, leaves[number]))))
            await asyncio.sleep(0)
        elif what < 0.6 and waiting:
            *_, task = waiting.pop(chance.randrange(len(waiting)))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif holding:
            owner, leave, task = holding.pop(chance.randrange(len(holding)))
            leave.set()
            await task
            held[owner] -= 1
        await settle()
    assert sum(map(len, slots._next.values())) < 2 * len(waiting) + 3 * 16
    for *_, task in (*waiting, *holding):
        task.cancel()
    await asyncio.gather(*(task for *_, task in (*waiting, *holding)), return_exceptions=True)
    assert slots.is_idle


async def test_of_shares_nobody_takes_anybody_elses() -> None:
    shares = Shares(2, "requests", each=1)
    async with shares.held("a", "slow"), shares.held("a", "other"), shares.held("b", "slow"):
        late = asyncio.ensure_future(shares.held("a", "third").__aenter__())
        async with asyncio.timeout(60), shares.held("b", "fast"):
            assert not late.done()
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
    assert not shares._slots
