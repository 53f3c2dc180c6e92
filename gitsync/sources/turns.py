"""Asking the servers of sources: in turns by namespace, and once for all who ask the same at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from gitsync.logs import keep_secret
from gitsync.runtime.fairslots import Shares
from gitsync.runtime.progress import telling
from gitsync.runtime.singleflight import SingleFlight

T = TypeVar("T")

#: Requests at once on behalf of one namespace, and of those to one host.
_REQUESTS = 32
_REQUESTS_TO_HOST = 8


class Turns:
    """Requests by namespace: a server that does not answer holds up only those namespaces that ask it."""

    def __init__(self) -> None:
        self._shares = Shares(_REQUESTS, "requests to chart repositories", each=_REQUESTS_TO_HOST)
        self._turns: SingleFlight[Any] = SingleFlight()

    async def close(self) -> None:
        """Ends the requests that are under way."""
        await self._turns.close()

    async def shared(
        self,
        owner: str,
        host: str,
        where: str,
        flight: SingleFlight[T],
        key: Hashable,
        work: Callable[[], Awaitable[T]],
        secrets: frozenset[str] = frozenset(),
    ) -> T:
        """The result of ``work``, shared by all that call with the same ``key`` and ``flight`` at the same time.
        Each owner needs a free slot of its own first, so that no owner waits for one whose slots are taken.
        ``where`` is the server's name in messages; ``secrets`` are kept out of what the caller logs."""
        keep_secret(secrets)

        async def in_turn() -> T:
            async with self._shares.held(owner, host):
                return await flight.run(key, work)

        async with telling(lambda: f"an answer of {where}"):
            result: T = await self._turns.run((owner, id(flight), key), in_turn)
            return result
