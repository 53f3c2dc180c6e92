"""Logins that were given, kept as long as they are good, and asked for once by all who need one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cachetools import LRUCache

from gitsync.logs import keep_secret
from gitsync.oci import Lease, Login
from gitsync.runtime.singleflight import SingleFlight

#: How many are kept: those that were used last.
MOST = 1024
#: Seconds before its end that a login is not given any more, or half of its life if that is shorter: who has one works
#: with it for a while.
SPARE = 300.0
#: The longest that one is taken to be good, in seconds: what ECR says of its own.
LONGEST = 12 * 3600.0


@dataclass(frozen=True, slots=True, repr=False)
class Given:
    """A login as a service has given it, good for so many seconds."""

    username: str
    password: str
    lifetime: float


class KeptLogins:
    """By whose they are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: LRUCache[str, Lease] = LRUCache(MOST)
        self._asking: SingleFlight[Lease] = SingleFlight()

    async def close(self) -> None:
        """End what is under way."""
        await self._asking.close()

    async def lend(self, key: str, ask: Callable[[], Awaitable[Given]]) -> Lease:
        """The login of ``key``: the one that is kept while it is good, else what ``ask`` brings. What is secret of it
        is kept out of what is said meanwhile. Raises: what ``ask`` does."""
        lease = self._known.get(key)
        if lease is None or lease.until <= self._clock():
            lease = await self._asking.run(key, lambda: self._ask(key, ask))
        keep_secret(lease.login.secrets)
        return lease

    def forget(self, key: str, lease: Lease) -> None:
        """It is not taken any more: the next one who needs it asks anew."""
        if self._known.get(key) is lease:
            del self._known[key]

    async def _ask(self, key: str, ask: Callable[[], Awaitable[Given]]) -> Lease:
        self._known.pop(key, None)
        now = self._clock()  # what it takes to ask is a part of its life
        given = await ask()
        lifetime = min(given.lifetime, LONGEST)
        lease = Lease(Login(given.username, given.password), now + lifetime - min(SPARE, lifetime / 2))
        self._known[key] = lease
        return lease
