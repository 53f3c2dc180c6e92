"""What the repository is asked for pages: one question at a time, and none whose answer nobody waits for."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from gitsync.api.identity import CommitInfo
from gitsync.cluster import Cluster
from gitsync.errors import GitUnavailable, NoRoom
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import JournalEntry
from gitsync.web.ui import Page, questions
from gitsync.web.ui.changes import Changes
from gitsync.web.ui.questions import Heads, Questions
from tests.until import until
from tests.web.conftest import Visiting

OLD, NEW, OTHER = ("a" * 40, "b" * 40, "c" * 40)


class Slow:
    """A repository that answers when it is told to."""

    url = "https://git.example/fleet.git"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.dropped = 0
        self.answers = asyncio.Event()

    async def heads(self) -> Heads:
        raise GitUnavailable("nobody asks for them here")

    async def plan(self, branch: str) -> Changes:
        return await self.difference("", branch)

    async def difference(self, old: str, new: str) -> Changes:
        self.asked.append(new)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.dropped += 1
            raise
        finally:
            self.at_once -= 1
        return Changes([], 0, 3, commit=CommitInfo(new, "Ann", "one"))


async def test_who_asks_the_same_shares_an_answer_and_other_questions_wait_their_turn() -> None:
    slow = Slow()
    asked = Questions(slow)
    tasks = [asyncio.create_task(asked.difference(OLD, new)) for new in (NEW, NEW, OTHER)]
    await until(lambda: slow.asked == [NEW])
    slow.answers.set()
    one, same, other = await asyncio.gather(*tasks)
    assert one is same
    assert other is not one
    assert (slow.most_at_once, slow.asked) == (1, [NEW, OTHER])
    assert await asked.difference(OLD, NEW) is one
    assert slow.asked == [NEW, OTHER]


async def test_a_plan_is_made_again_for_who_asks_for_a_newer_one() -> None:
    slow = Slow()
    slow.answers.set()
    asked = Questions(slow)
    first = await asked.plan("main", 0.0)
    assert await asked.plan("main", first.at) is first
    assert (await asked.plan("main", first.at + 0.001)) is not first
    assert slow.asked == ["main", "main"]


async def test_there_is_an_end_to_patience_and_to_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    asked = Questions(slow)
    tasks = [asyncio.create_task(asked.difference(OLD, f"{n:040}")) for n in range(questions._WAITING)]
    await until(lambda: len(slow.asked) == 1)
    with pytest.raises(NoRoom):
        await asked.difference(OLD, NEW)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    monkeypatch.setattr(questions, "PATIENCE", 0.05)
    with pytest.raises(GitUnavailable, match="no answer within"):
        await asked.difference(OLD, OTHER)
    await asked.close()


async def test_a_question_is_dropped_with_the_last_browser_that_waits_for_it(cluster: Cluster, namespace: str) -> None:
    slow = Slow()
    page = Page(cluster, (namespace, "gitsync"), namespace, repository=slow)
    entries = [JournalEntry(it, "Ann", "one", 1767323045.0 + at, 1.0, "succeeded") for at, it in enumerate((OLD, NEW))]
    await SyncStore(cluster, namespace, "gitsync").save_journal(tuple(reversed(entries)))
    async with Visiting(page) as visitor:
        await until(lambda: len(page.board.commits) == 2)
        asking = asyncio.create_task(visitor.get(f"/commits/{NEW}/difference"))
        await until(lambda: slow.asked == [NEW])
        asking.cancel()
        with pytest.raises((asyncio.CancelledError, aiohttp.ClientError)):
            await asking
        await until(lambda: slow.dropped == 1)
        for path in (f"/commits/{NEW}/difference", "/pending/plan"):
            assert (await visitor.get(path, **{"Sec-Fetch-Site": "cross-site"}))[0] == 403
        assert slow.asked == [NEW]
