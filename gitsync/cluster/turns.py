"""How many requests to an API server are under way at once, and whose is next: namespaces take turns.

One release may have ten thousand objects: its requests then wait for each other, and do not keep out those of others.
FairSlots (``runtime``) does the same, but reports its waits; a report about a request would be another request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar

_owner: ContextVar[str] = ContextVar("owner", default="")


def work_for(owner: str) -> None:
    """From here on, in this task and in those that it starts, requests are for ``owner``: a namespace; "" for the agent
    itself."""
    _owner.set(owner)


class Turns:
    """At most ``size`` bodies of ``async with`` at once. The owners who wait take turns (see ``work_for``)."""

    def __init__(self, size: int) -> None:
        self._free = size
        #: Those who wait, by owner; the owner whose turn is next comes first.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(_owner.get(), deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given in the same moment
                self._give()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._give()

    def _give(self) -> None:
        while self._waiting:
            owner = next(iter(self._waiting))
            turns = self._waiting.pop(owner)
            turn = turns.popleft()
            if turns:
                self._waiting[owner] = turns  # last now
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
