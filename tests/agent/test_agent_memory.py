"""What is bounded in memory by itself is bounded together, too."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import warnings
import weakref
from asyncio.sslproto import SSLProtocol

import pytest

from gitsync.agent.allocator import AT_LAST, CALM, READ_BUFFER, GarbageSearch, read_less_at_once
from gitsync.budget import Budget, Share, Spent
from gitsync.runtime.cache import Cache, Room


def test_budgets_that_are_part_of_another_one_leave_each_other_less() -> None:
    whole = Budget(10, 0)
    records, lists = (Share(Budget(8, 1, whole), 8) for _ in range(2))
    records.take(8)
    with pytest.raises(Spent) as own:
        records.take(1)
    assert (own.value.most, own.value.together) == (8, False)
    lists.take(2)
    with pytest.raises(Spent) as together:
        lists.take(1)
    assert (together.value.most, together.value.together) == (10, True)
    assert str(together.value) == "more than 0 MiB of memory, with all else that is read"
    records.give(8)
    lists.take(6)
    assert (whole.taken, lists.taken, records.taken) == (8, 8, 0)


def test_a_little_is_there_for_each_however_much_the_others_have() -> None:
    whole = Budget(10, 0)
    greedy, modest = (Share(Budget(10, 2, whole), 10) for _ in range(2))
    greedy.take(10)
    modest.take(2)
    with pytest.raises(Spent):
        modest.take(1)


def test_caches_in_one_room_forget_what_the_largest_has_not_used_for_longest() -> None:
    room = Room(10)
    large, small = Cache[str](10, room), Cache[str](10, room)
    small.put("a", "a", 2)
    for key in "bcd":
        large.put(key, key, 2)
    assert large.get("b") == "b"
    small.put("e", "e", 3)
    assert [large.get(key) for key in "bcd"] == ["b", None, "d"]
    assert [small.get(key) for key in "ae"] == ["a", "e"]
    assert room.weight == 9
    small.put("f", "f", 11)
    assert small.get("f") is None
    assert room.weight == 9


async def test_a_tls_connection_is_read_in_parts_of_64_kib(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a name of asyncio's that it promises nothing about."""
    monkeypatch.setattr(SSLProtocol, "max_size", 256 << 10)  # asyncio's, whatever an agent in this process has set
    loop, context = asyncio.get_running_loop(), ssl.create_default_context()

    def part() -> int:
        connection = SSLProtocol(loop, asyncio.Protocol(), context, loop.create_future())
        found = memoryview(connection.get_buffer(1 << 20)).nbytes
        del connection
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # there is nothing to close, it was never opened
            gc.collect()
        return found

    assert part() > READ_BUFFER, "or there is nothing to be made less"
    read_less_at_once()
    assert part() == READ_BUFFER


def test_an_agent_has_no_library_that_it_may_never_need() -> None:
    unneeded = {"cryptography", "jwt", "pysequoia", "sigstore", "helm_python"}
    code = f"import sys, gitsync.agent; print({unneeded!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


class Circle:
    def __init__(self) -> None:
        self.itself = self


async def test_garbage_is_looked_for_in_what_is_new_and_found_all_the_same() -> None:
    now = 0.0
    search = GarbageSearch(lambda: now)
    old = Circle()
    at_the_start = weakref.ref(old)
    async with search.in_parts():
        del old
        new = [Circle() for _ in range(1000)]
        gc.collect()
        later = weakref.ref(new[0])
        del new
        gc.collect()
        assert None not in (at_the_start(), later()), "nobody looks at what was in use before"
        assert _searched() < 1000
        circles = [weakref.ref(Circle()) for _ in range(gc.get_threshold()[0] + 1)]
        assert circles[0]() is None

        now = CALM - 1
        search.look()
        assert later() is not None
        now = CALM
        search.look()
        assert (at_the_start(), later()) == (None, None), "but in a calm moment"
    assert gc.get_freeze_count() == 0


async def test_garbage_is_found_when_there_is_no_calm_moment() -> None:
    now = 0.0
    search = GarbageSearch(lambda: now)
    async with search.in_parts():
        circle = Circle()
        gc.collect()
        left = weakref.ref(circle)
        del circle
        while now < AT_LAST - 1:
            now += 1
            gc.collect()
            search.look()
        assert left() is not None
        now = AT_LAST
        search.look()
        assert left() is None


async def test_when_nothing_was_left_out_nothing_is_searched() -> None:
    now = 0.0
    search = GarbageSearch(lambda: now)
    searches: list[str] = []
    async with search.in_parts():
        gc.callbacks.append(lambda phase, _: searches.append(phase))
        try:
            now = 10 * AT_LAST
            search.look()
        finally:
            gc.callbacks.pop()
    assert searches == []


def _searched() -> int:
    """How many objects a search of all would look at now."""
    return sum(len(gc.get_objects(generation)) for generation in range(3))
