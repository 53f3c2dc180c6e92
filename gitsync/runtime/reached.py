"""Keys that have reached a point (objects that were applied, say), and waiting until several of them have."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(eq=False, slots=True)
class _Wait:
    """A wait for keys, of which ``left`` have yet to be added."""

    left: int
    over: asyncio.Future[None]


class Reached(Generic[K]):
    """The keys that have reached the point. They stay so: nothing is ever taken out."""

    def __init__(self) -> None:
        self._keys: set[K] = set()
        self._waits: defaultdict[K, list[_Wait]] = defaultdict(list)

    def add(self, key: K) -> None:
        """``key`` has reached the point; more than once does no harm."""
        self._keys.add(key)
        for wait in self._waits.pop(key, ()):
            wait.left -= 1
            if not wait.left and not wait.over.done():
                wait.over.set_result(None)

    async def all_of(self, keys: Iterable[K]) -> None:
        """Return when all of these have been added. Has no deadline of its own."""
        missing = set(keys) - self._keys
        if not missing:
            return
        wait = _Wait(len(missing), asyncio.get_running_loop().create_future())
        for key in missing:
            self._waits[key].append(wait)
        await wait.over
