"""What Git is asked for a page: what a commit differs in from another, what one would do.

That takes seconds and a processor, so one question is worked on at a time; who asks the same shares it, and one whose
answer nobody waits for any more is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from cachetools import LRUCache

from gitsync.errors import GitUnavailable, NoRoom
from gitsync.runtime.singleflight import SingleFlight

if TYPE_CHECKING:
    from gitsync.web.ui.changes import Changes

#: Seconds that an answer may take, answers that are remembered, and questions that may wait for their turn.
PATIENCE: Final = 180.0
_REMEMBERED: Final = 12
#: Seconds that a look at the newest commits is good for, and may take.
FRESH: Final = 5.0
_LOOK: Final = 60.0
_WAITING: Final = 8


@dataclass(frozen=True, slots=True)
class Heads:
    """What a repository has at a moment: the newest commit of what is followed, called so in words, and those of all
    branches by their names."""

    followed: str
    commit: str
    branches: Mapping[str, str]


class Repository(Protocol):
    """The repository that is synced, as the user of the page may read it, and what comes of it in the cluster."""

    @property
    def url(self) -> str:
        """Where it is, without a login."""
        ...

    async def difference(self, old: str, new: str) -> Changes:
        """What differs between two commits, by their ids. Raises: GitsyncError."""
        ...

    async def plan(self, branch: str) -> Changes:
        """What the newest commit of a branch would do to the cluster in place of the one that is synced, "" for that
        of what is followed. Raises: GitsyncError."""
        ...

    async def heads(self) -> Heads:
        """The newest commits. Raises: GitsyncError."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and when, in seconds since the epoch."""

    changes: Changes
    at: float


class Questions:
    """Asks a repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._looks: SingleFlight[Heads] = SingleFlight()
        self._heads: tuple[float, Heads] | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._answers: LRUCache[Hashable, Answer] = LRUCache(_REMEMBERED)

    @property
    def url(self) -> str:
        """Where the repository is."""
        return self._repository.url

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()
        await self._looks.close()

    async def difference(self, old: str, new: str) -> Answer:
        """What one commit changes that comes after another. Raises: GitsyncError."""
        return await self._ask(("difference", old, new), 0.0, lambda: self._repository.difference(old, new))

    async def plan(self, branch: str, since: float) -> Answer:
        """What a branch would do ("": what is followed), as it was found no earlier than ``since``, in seconds since
        the epoch. Raises: GitsyncError."""
        return await self._ask(("plan", branch), since, lambda: self._repository.plan(branch))

    async def heads(self) -> Heads:
        """The newest commits, at most a moment old. Raises: GitsyncError."""
        known = self._heads
        if known is not None and time.monotonic() - known[0] < FRESH:
            return known[1]
        return await self._looks.run("heads", self._look)

    async def _look(self) -> Heads:
        try:
            async with asyncio.timeout(_LOOK):
                found = await self._repository.heads()
        except TimeoutError:
            raise GitUnavailable(f"the repository did not say within {_LOOK:g} s what it has") from None
        self._heads = time.monotonic(), found
        return found

    async def _ask(self, question: Hashable, since: float, ask: Callable[[], Awaitable[Changes]]) -> Answer:
        """The answer, one from before ``since`` not taken."""
        known = self._answers.get(question)
        if known is not None and known.at >= since:
            return known
        return await self._flights.run(question, lambda: self._work(question, ask))

    async def _work(self, question: Hashable, ask: Callable[[], Awaitable[Changes]]) -> Answer:
        if self._waiting >= _WAITING:
            raise NoRoom(f"{_WAITING} questions about the repository wait already", hint="try again in a minute")
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._turn:
                    at = time.time()
                    answer = Answer(await ask(), at)
        except TimeoutError:
            raise GitUnavailable(f"the repository gave no answer within {PATIENCE:g} s") from None
        finally:
            self._waiting -= 1
        self._answers[question] = answer
        return answer
