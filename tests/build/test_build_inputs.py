from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gitsync.build.inputs import InputMemory, read_all
from gitsync.runtime.progress import reporting
from gitsync.tree import TreeEntry
from tests.until import until

MIB = 1 << 20


async def test_what_waits_is_let_in_when_another_one_has_ended_and_says_that_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gitsync.runtime.progress.SILENCE", 0.0)
    memory = InputMemory(together=40 * MIB, of_owner=24 * MIB, always=MIB)
    told: list[str] = []

    async def note(reason: str) -> bool:
        told.append(reason)
        return False

    async def second() -> int:
        with reporting(note):
            async with memory.held("greedy", 16 * MIB):
                return memory.taken

    async with memory.held("greedy", 16 * MIB):
        waiting = asyncio.create_task(second())
        await until(lambda: told)
        assert not waiting.done()
        async with memory.held("other", 16 * MIB):  # what one owner may have leaves room
            assert memory.taken == 32 * MIB
            async with memory.held("third", MIB):  # a little is there for each
                assert memory.taken == 33 * MIB
    assert await waiting == 16 * MIB
    assert told == ["memory for what is to be built: others have all of it"]
    assert memory.taken == 0


async def test_one_who_gives_up_waiting_has_taken_nothing() -> None:
    memory = InputMemory(together=2 * MIB, of_owner=2 * MIB, always=0)
    async with memory.held("a", 2 * MIB):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), memory.held("a", MIB):
                pytest.fail("there was no room")
    assert memory.taken == 0


async def test_files_are_read_some_megabytes_at_a_time_and_each_once() -> None:
    asked: list[list[str]] = []

    async def read(blob_ids: Sequence[str]) -> dict[str, bytes]:
        asked.append(list(blob_ids))
        return {blob_id: blob_id.encode() for blob_id in blob_ids}

    sizes = {"a": MIB, "b": MIB, "c": 3 * MIB, "d": 1}
    entries = [TreeEntry(f"{blob}{copy}", blob, size) for blob, size in sizes.items() for copy in (1, 2)]
    assert await read_all(entries, read) == {blob: blob.encode() for blob in sizes}
    assert asked == [["a", "b"], ["c"], ["d"]]
    assert await read_all([], read) == {}
