"""How often a webhook is taken, what came before, and how often a line says what is wrong."""

from __future__ import annotations

import pytest

from gitsync.web.receivers.limits import BETWEEN_WARNINGS, MOST_REMEMBERED, REMEMBERED_FOR, Rates, Replays, Wrongs


class Clock:
    """Stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_are_taken_at_once_and_then_as_many_as_time_brings() -> None:
    clock = Clock()
    rates = Rates(clock, burst=3, per_second=2)
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.take("b") == 0
    clock.now += 0.5
    assert [rates.take("a"), rates.take("a")] == [0, 0.5]
    clock.now += 100
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


async def is_new(replays: Replays, receiver: str, identity: bytes, *, done: bool = True) -> bool:
    """Whether a delivery is, with which all goes well, or not."""
    async with replays.once(receiver, identity) as turn:
        turn.is_done = done
        return turn.is_new


async def test_the_same_delivery_is_known_for_a_while_and_of_its_receiver_alone() -> None:
    clock = Clock()
    replays = Replays(clock)
    assert await is_new(replays, "a", b"1")
    assert not await is_new(replays, "a", b"1")
    assert await is_new(replays, "b", b"1")
    assert [await is_new(replays, "a", b""), await is_new(replays, "a", b"")] == [True, True]
    clock.now += REMEMBERED_FOR + 1
    assert await is_new(replays, "a", b"1")


async def test_what_nothing_came_of_may_come_again() -> None:
    replays = Replays()
    assert await is_new(replays, "a", b"1", done=False)
    assert await is_new(replays, "a", b"1")
    with pytest.raises(ValueError, match="a defect"):
        async with replays.once("a", b"2"):
            raise ValueError("a defect")
    assert await is_new(replays, "a", b"2")


async def test_what_is_remembered_has_bounds() -> None:
    replays = Replays()
    for number in range(MOST_REMEMBERED + 1):
        assert await is_new(replays, "a", str(number).encode())
    assert await is_new(replays, "a", b"0")
    assert not await is_new(replays, "a", str(MOST_REMEMBERED).encode())


def test_what_is_wrong_is_told_once_a_minute_with_how_often() -> None:
    clock = Clock()
    wrongs = Wrongs(clock)
    assert wrongs.count("a") == 1
    assert [wrongs.count("a") for _ in range(1000)] == [0] * 1000
    assert wrongs.count("b") == 1
    clock.now += BETWEEN_WARNINGS
    assert wrongs.count("a") == 1001
    assert wrongs.count("a") == 0
