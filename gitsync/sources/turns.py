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
    """A server that does not answer holds up those alone who ask it on behalf of the same namespace."""

    def __init__(self) -> None:
        self._shares = Shares(_REQUESTS, "requests to chart repositories", each=_REQUESTS_TO_HOST)
        self._turns: SingleFlight[Any] = SingleFlight()

    async def close(self) -> None:
        """Ends what is under way."""
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
        """The result of ``work``, which all share who ask ``flight`` for ``key`` at the same time. Each owner comes to
        it through a slot of its own: nobody waits in the place of somebody whose slots are taken. ``where`` is for
        people; ``secrets`` are kept out of what the caller says of it.
        """
        keep_secret(secrets)

        async def in_turn() -> T:
            async with self._shares.held(owner, host):
                return await flight.run(key, work)

        async with telling(lambda: f"an answer of {where}"):
            result: T = await self._turns.run((owner, id(flight), key), in_turn)
            return result
